#!/usr/bin/env bash
# Puts known incidents back, one at a time, into a copy of the tree, and demands that a fast test fails for each.
# usage: tests/seeded_bugs/run.sh [name …]      SIM=1 asks every judge about every bug, not only the next about those still missed
# Writes target/seeded-bugs/report.json. Ends with an error when a bug is missed or a patch no longer fits the code.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/target/seeded-bugs
tree=$out/tree
log=$out/last.log
sound=$out/sound
export CARGO_TARGET_DIR=$out/build CARGO_TERM_COLOR=never RUST_BACKTRACE=0 CARGO_PROFILE_DEV_DEBUG=0
export SIM_SCHEDULES=${SIM_SCHEDULES:-250}
unset SIM_ONLY SIM_REPORT
cargo=${CARGO:-cargo}

json() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | tr -d '\n')"; }

# The tests that failed in the log, and what the simulation says of its first failing seed.
failed() {
    sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | head -3
    sed -n 's/^seed [0-9]*: \(.*\)$/simulation: \1/p' "$log" | head -1
}

# 0: a test failed or hangs, 1: all passed, 2: it does not build.
run() {
    local words=(test --locked --offline -p llmrollout-core -p llmrollout --no-fail-fast)
    if ! "$cargo" "${words[@]}" --no-run "$@" >"$log" 2>&1; then return 2; fi
    if timeout 300 "$cargo" "${words[@]}" "$@" >"$log" 2>&1; then return 1; fi
}

mkdir -p "$tree"
# Files as new as now, or cargo takes what it built before for fresh. Whatever the tree held before: an interrupted run leaves its bug behind.
find "$tree" -mindepth 1 -delete
(cd "$root" && tar -cf - --exclude=./target --exclude=./fuzz/target --exclude=./.git .) | tar -xmf - -C "$tree"
rm -rf "$sound" && cp -R "$tree/src" "$sound"
cd "$tree"

# What the tree held without a bug, as new as now.
restore() {
    { diff -rq "$sound" src || true; } | sed -n 's/^Files .* and \(.*\) differ$/\1/p' | while read -r file; do cp "$sound/${file#src/}" "$file"; done
    diff -rq "$sound" src >/dev/null
}

echo "without a bug: everything must pass"
if run --lib --test core --test it --test sim; then
    echo "the tests fail without a bug; see $log"
    failed
    exit 1
elif [ $? -ne 1 ]; then
    echo "the tree does not build; see $log"
    exit 1
fi

bugs=() missed=() broken=()
for patch in "$root"/tests/seeded_bugs/*.patch; do
    name=$(basename "$patch" .patch)
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qx -- "$name"; then continue; fi
    incident=$(sed -n '1s/^# //p' "$patch")
    if ! patch -p1 --silent --no-backup-if-mismatch -F2 <"$patch" >"$log" 2>&1; then
        echo "$name: the patch no longer fits the code"
        broken+=("$name")
        find src \( -name "*.rej" -o -name "*.orig" \) -delete
        restore
        continue
    fi
    # The golden scenarios know most and are asked first, the unit tests the rest of what one decision can show, the
    # simulation the whole.
    result=1 by=
    for judge in "--test core -- scenarios:: plans:: evidence::" "--test core" "--lib" "--test it" "--test sim"; do
        if [ $result -ne 1 ] && [ -z "${SIM:-}" ]; then break; fi
        now=0
        # shellcheck disable=SC2086 # two words
        run $judge || now=$?
        case $now in
            0) result=0; by=$(printf '%s\n%s' "$by" "$(failed)" | sed '/^$/d') ;;
            2) result=2; break ;;
        esac
    done
    restore
    case $result in
        0) printf '%-36s caught by %s\n' "$name" "$(printf '%s' "$by" | paste -sd ';' | sed 's/;/; /g')" ;;
        1) printf '%-36s MISSED: %s\n' "$name" "$incident"; missed+=("$name") ;;
        *) printf '%-36s does not build with the patch; see %s\n' "$name" "$log"; broken+=("$name"); cp "$log" "$out/$name.log" ;;
    esac
    list=$(while read -r one; do [ -z "$one" ] || { json "$one"; printf ','; }; done <<<"$by")
    bugs+=("    {\"name\": $(json "$name"), \"incident\": $(json "$incident"), \"caught_by\": [${list%,}]}")
done

{
    printf '{\n  "bugs": [\n'
    printf '%s' "$(IFS=$'\n'; echo "${bugs[*]}" | sed '$!s/$/,/')"
    printf '\n  ],\n  "missed": ['
    printf '%s' "$(for m in "${missed[@]:-}"; do [ -z "$m" ] || printf '%s, ' "$(json "$m")"; done | sed 's/, $//')"
    printf '],\n  "broken": ['
    printf '%s' "$(for m in "${broken[@]:-}"; do [ -z "$m" ] || printf '%s, ' "$(json "$m")"; done | sed 's/, $//')"
    printf ']\n}\n'
} >"$out/report.json"
echo "${#bugs[@]} bugs, ${#missed[@]} missed, ${#broken[@]} patches that no longer fit; $out/report.json"
[ ${#missed[@]} -eq 0 ] && [ ${#broken[@]} -eq 0 ]
