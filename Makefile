# Everything that people and CI run. `make` lists it.
CARGO ?= cargo
CHART := charts/llmrollout
CARGO_DENY_VERSION := 0.20.2
CARGO_MUTANTS_VERSION := 27.1.0
# Helm from the PATH, else the one the lab built (`cargo run -p e2e -- lab build`).
CACHE := $(or $(LLMROLLOUT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/llmrollout)
TOOLS := $(CACHE)/cargo-tools
HELM ?= $(or $(shell command -v helm),$(lastword $(wildcard $(CACHE)/helm-*/helm)),helm)
export PATH := $(TOOLS)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help build fmt lint crds chart man image lint-ship test demo e2e lab tools soak seeded-bugs model bench bench-core bench-decisions fuzz mutants

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build every binary
	$(CARGO) build --workspace --bins --locked

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## format, clippy and rustdoc without a warning; licenses and sources when cargo-deny is there
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	else echo "lint: cargo-deny is not there, licenses and sources are not checked; run 'make tools'"; fi

crds: ## write the CRDs from the code, and the chart's copy
	$(CARGO) run -q --bin crdgen crds
	@if [ -d $(CHART) ]; then mkdir -p $(CHART)/crds && cp crds/*.yaml $(CHART)/crds/; fi

chart: crds ## check and render the chart with helm
	$(HELM) lint $(CHART)
	{ printf '%s\n' '# Everything to install, for those who do not use Helm. Made from the chart by `make chart`.' \
	  '# Name a metrics provider under `providers` in the ConfigMap, then: kubectl apply --server-side -f config/install.yaml' \
	  'apiVersion: v1' 'kind: Namespace' 'metadata: {name: llmrollout-system}'; \
	  $(HELM) template llmrollout $(CHART) -n llmrollout-system --include-crds --skip-tests; } > config/install.yaml
	{ printf '%s\n' '# The operator for its own namespace only. Made from the chart by `make chart`.'; \
	  $(HELM) template llmrollout $(CHART) -n default --skip-tests --set rbac.scope=namespace \
	  --set orders.enforce=false,warnings.enabled=false; } > config/namespaced/install.yaml
	{ printf '%s\n' '# What Prometheus and Grafana need, for those who do not use Helm: a ServiceMonitor and a PrometheusRule for the' \
	  '# Prometheus operator, a board for the sidecar of Grafana. Made from the chart by `make chart`.'; \
	  $(HELM) template llmrollout $(CHART) -n llmrollout-system --set serviceMonitor.enabled=true,alerts.enabled=true,board.enabled=true \
	  -s templates/servicemonitor.yaml -s templates/prometheusrule.yaml -s templates/board.yaml; } > config/monitoring.yaml

man: ## the man pages of the command line: writes target/man
	$(CARGO) run -q --bin kubectl-llmrollout -- man --dir target/man

# A program that needs nothing below it: the C library is linked in. TARGETS="x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu"
# where both can be built; each is named as the image's index names it.
TARGETS ?= $(shell rustc -vV | sed -n 's/^host: //p')
arch = $(subst x86_64,amd64,$(subst aarch64,arm64,$(firstword $(subst -, ,$(1)))))

image: ## the operator's image as an OCI layout with an SBOM, without a container runtime: writes target/image
	for target in $(TARGETS); do RUSTFLAGS="-C target-feature=+crt-static" \
	  $(CARGO) build --release --locked --bin llmrollout-operator --target $$target || exit 1; done
	$(CARGO) run -q -p e2e -- image --revision "$$(git rev-parse HEAD)" \
	  $(foreach t,$(TARGETS),--program $(call arch,$(t))=target/$(t)/release/llmrollout-operator)

lint-ship: ## helm, checkov, kubernetes-validate, yamllint, promtool and a real API server on what is shipped
	HELM="$(HELM)" JUDGES="$(CACHE)/judges" tests/ship/judge.sh

test: ## everything that must hold: writes target/test/report.json
	$(CARGO) run -q -p e2e -- check

demo: ## one release promoted, one taken back, on real servers; FAST=1 for short holds
	$(CARGO) run -q -p e2e -- demo $(if $(filter 1,$(FAST)),--fast)

e2e: ## the cases on real servers: writes target/e2e/report.json
	$(CARGO) run -q -p e2e -- cases

.PHONY: crash faults
crash: ## kill the operator at each of its writes, on each side of it: writes target/crash/report.json
	$(CARGO) run -q -p e2e -- cases --only operator_dies_at_every_write

faults: ## every case on real servers that docs/faults.md names, and all crashes: writes target/faults/report.json
	$(CARGO) run -q -p e2e -- cases $$(grep -o 'lab `[a-z_]*`' docs/faults.md | tr -d '`' | sort -u | sed 's/^lab /--only /'); \
	  ended=$$?; python3 tests/faults.py docs/faults.md target/e2e/report.json target/crash/report.json target/faults/report.json && exit $$ended

lab: ## bring a lab up; `cargo run -p e2e -- lab down` ends it
	$(CARGO) run -q -p e2e -- lab up

tools: ## install cargo-deny and cargo-mutants beside the lab's tools, once
	@test -x $(TOOLS)/bin/cargo-deny || $(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)
	@test -x $(TOOLS)/bin/cargo-mutants || \
	  $(CARGO) install cargo-mutants --version $(CARGO_MUTANTS_VERSION) --locked --root $(TOOLS)

soak: ## tell many seeded stories: SCHEDULES=1000000 SEED=1; tells how far it is and writes target/soak/report.json
	@mkdir -p target/soak
	SIM_SCHEDULES=$(or $(SCHEDULES),20000) SIM_SEED=$(or $(SEED),1) SIM_REPORT=$(CURDIR)/target/soak/report.json \
	  $(CARGO) test -q --profile sim --test sim --locked -- --nocapture schedules_hold

seeded-bugs: ## put known incidents back, one at a time: each must be caught
	CARGO="$(CARGO)" tests/seeded_bugs/run.sh $(BUGS)

model: ## walk every state of a small world: writes target/model/report.json
	$(CARGO) test -q --profile sim --test model --locked -- --full

bench: ## how fast the way back is and what a fleet costs, SIZES=100: writes target/bench/speed.{json,md}
	$(CARGO) run -q -p e2e -- bench --sizes $(or $(SIZES),100)

bench-core: ## how long a decision takes, and how many releases are simulated in a minute: writes target/bench/{decide,schedules}.json
	BENCH_SECONDS=$(or $(SECONDS),10) $(CARGO) bench -q -p llmrollout-core --bench decide --bench schedules --locked

bench-decisions: ## how often releases are judged wrongly, by us and by others, ROLLOUTS=2000: writes target/bench/decisions.json
	ROLLOUTS=$(or $(ROLLOUTS),2000) VARIANTS=$(VARIANTS) $(CARGO) bench -q -p llmrollout-core --bench decisions --locked

# What cargo-fuzz hands to the compiler, without it: coverage needs no nightly. With --target build scripts stay plain.
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ = target/fuzz/build/$(FUZZ_HOST)/release/llmrollout-fuzz

fuzz: ## any status and any world: nothing goes forward without evidence, SECONDS=60; what it finds is in target/fuzz
	@mkdir -p target/fuzz/corpus target/fuzz/found
	RUSTFLAGS="$(FUZZ_FLAGS)" CARGO_TARGET_DIR=target/fuzz/build \
	  $(CARGO) build -q --release --manifest-path fuzz/Cargo.toml --target $(FUZZ_HOST) --locked
	$(FUZZ) target/fuzz/corpus fuzz/corpus -max_total_time=$(or $(SECONDS),60) -max_len=640 -len_control=0 \
	  -artifact_prefix=target/fuzz/found/ -print_final_stats=1 -verbosity=0

MUTANTS = $(CARGO) mutants -p llmrollout-core $(if $(IN_PLACE),--in-place,-j $(or $(JOBS),2)) --output target/mutants

mutants: tools ## change the core in one place at a time, SHARD=0/20 for a part: writes target/mutants/report.json
	@mkdir -p target/mutants && rm -rf target/mutants/first.json target/mutants/second.json target/mutants/mutants.out*
	-$(MUTANTS) $(if $(SHARD),--shard $(SHARD)) $(if $(FILE),--re $(FILE))
	mv target/mutants/mutants.out/outcomes.json target/mutants/first.json
	@cp target/mutants/mutants.out/missed.txt target/mutants/missed.txt
	-@test ! -s target/mutants/missed.txt || { \
	  $(MUTANTS) --config .cargo/mutants-rest.toml --re "$$(python3 -c 'import re,sys; print("^(" + "|".join(re.escape(l.strip()) for l in sys.stdin) + ")$$")' < target/mutants/missed.txt)"; \
	  mv target/mutants/mutants.out/outcomes.json target/mutants/second.json; }
	python3 tests/mutants.py target/mutants/first.json target/mutants/second.json target/mutants/report.json
