//! What of a gate survives a restart when Prometheus no longer has the range: at most sixty numbers, written small. Every
//! figure is rounded so that evidence gets smaller, never larger. Decides nothing but which of two evidences is smaller.

use serde::{Deserialize, Serialize};

use super::{
    Count,
    gate::{Config, Gate, Kind, Step},
    halfplane::Memory,
    means::Moments,
    wealth::{MOST, Wealth},
};

/// Logs are kept in hundredths of a nat.
const PARTS: f64 = 100.0;
/// No log is kept that is further from zero.
const FURTHEST: f64 = 1e7;
/// Evidences so close are the same.
const SAME: f64 = 0.1;
/// So much of a count is lost when it is written down, at most.
const ROUNDED: f64 = 1e-5;

/// The state of one gate, small enough for a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// When the last stratum ended.
    pub as_of: f64,
    /// The step, counted from 0.
    pub step: usize,
    /// Requests and bad ones of the step: green's, then blue's.
    pub counts: [f64; 4],
    /// What is known of blue: faded counts, or mean and variance.
    pub blue: [f64; 2],
    /// The logs of all bets, in hundredths: those since the start and since this step with their best strata, of Pass, of
    /// the environment, of the split; as base64 digits of five bits, the sixth says that more follow.
    pub logs: String,
}

impl Checkpoint {
    /// Of a gate that has begun.
    pub fn of(gate: &Gate) -> Option<Self> {
        let step = gate.step?;
        let bets = bets(gate.config.kind);
        let mut numbers = Vec::new();
        for (_, wealth) in kept(&gate.fail) {
            numbers.extend(wealth.logs.iter().take(bets.fail).map(|log| down(*log)));
            numbers.extend(wealth.largest.iter().take(bets.fail).map(|best| up(*best)));
        }
        numbers.extend(gate.pass.logs.iter().take(bets.pass).map(|log| down(*log)));
        numbers.extend(gate.environment.logs.iter().take(bets.environment).map(|log| up(*log)));
        numbers.extend(gate.split.logs.iter().take(bets.split).map(|log| up(*log)));
        let blue = match gate.config.kind {
            Kind::Mean { .. } => [gate.moments.mean, gate.moments.variance],
            _ => [gate.memory.seen.n, gate.memory.seen.x],
        };
        Some(Self {
            as_of: (gate.as_of.max(0.0) * 1000.0).round() / 1000.0,
            step: step.index,
            counts: [gate.green.n, gate.green.x, gate.blue.n, gate.blue.x].map(short),
            blue: blue.map(short),
            logs: numbers.into_iter().flat_map(digits).collect(),
        })
    }

    /// The gate again, in a step with these shares. None when the text is not one of ours for such a gate.
    pub fn restore(&self, config: Config, share: f64, next: f64) -> Option<Gate> {
        let mut gate = Gate::new(config, &[]);
        let bets = bets(config.kind);
        let mut numbers = Numbers { digits: self.logs.bytes() };
        let processes = if self.step == 0 { vec![0] } else { vec![0, self.step] };
        for index in processes {
            let logs = numbers.take(bets.fail)?;
            gate.fail.push((index, Wealth { logs, largest: numbers.take(bets.fail)? }));
        }
        gate.pass.logs = numbers.take(bets.pass)?;
        gate.environment.logs = numbers.take(bets.environment)?;
        for (log, kept) in gate.split.logs.iter_mut().zip(numbers.take(bets.split)?) {
            *log = kept;
        }
        let [green_n, green_x, blue_n, blue_x] = self.counts;
        (gate.green, gate.blue) = (Count::new(green_n, green_x), Count::new(blue_n, blue_x));
        let [first, second] = self.blue;
        let sound =
            [self.as_of, green_n, green_x, blue_n, blue_x, first, second].iter().all(|v| v.is_finite() && *v >= 0.0);
        if !sound || numbers.digits.next().is_some() {
            return None;
        }
        match config.kind {
            Kind::Mean { .. } => gate.moments = Moments { mean: first, variance: second },
            _ => gate.memory = Memory { seen: Count::new(first, second) },
        }
        gate.as_of = self.as_of;
        gate.step = Some(Step { index: self.step, share, next });
        Some(gate)
    }
}

/// Of two gates that should be the same, one from the range and one kept: the range's, but with the smaller evidence on
/// each side if they are more than a tenth of a nat apart. Also whether more was kept than the range shows. None when the
/// range does not hold all the requests any more that were counted. Compare them in the same step, as of the same moment.
pub fn smaller(recomputed: Gate, kept: &Gate) -> Option<(Gate, bool)> {
    let mut gate = recomputed;
    let holds = |range: Count, kept: Count| range.n >= (1.0 - ROUNDED) * kept.n;
    if !(holds(gate.green, kept.green) && holds(gate.blue, kept.blue)) {
        return None;
    }
    let (fail, pass) = (kept.ln_fail() - gate.ln_fail(), kept.ln_pass() - gate.ln_pass());
    if fail < -SAME {
        gate.fail.clone_from(&kept.fail);
    }
    if pass < -SAME {
        gate.pass = kept.pass;
    }
    Some((gate, fail > SAME || pass > SAME))
}

/// How many bets a gate has.
struct Bets {
    fail: usize,
    pass: usize,
    environment: usize,
    split: usize,
}

fn bets(kind: Kind) -> Bets {
    match kind {
        Kind::Compare(_) => Bets { fail: 9, pass: 4, environment: 0, split: 6 },
        Kind::Bound { .. } => Bets { fail: 9, pass: 4, environment: 9, split: 0 },
        Kind::Mean { .. } => Bets { fail: 4, pass: 3, environment: 0, split: 6 },
    }
}

/// The processes since the start and since this step; those between only add to the evidence.
fn kept(processes: &[(usize, Wealth)]) -> impl Iterator<Item = &(usize, Wealth)> {
    let last = processes.last().filter(|_| processes.len() > 1);
    processes.first().into_iter().chain(last)
}

/// In hundredths; what is whole already stays.
fn down(log: f64) -> f64 {
    (log * PARTS + 1e-6).floor()
}

fn up(log: f64) -> f64 {
    (log * PARTS - 1e-6).ceil()
}

/// Six digits of a figure.
fn short(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 0.0;
    }
    format!("{value:.5e}").parse().unwrap_or(0.0)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A whole number, sign last, five bits a digit, the smallest first.
fn digits(number: f64) -> Vec<char> {
    let number = if number.is_finite() { number.clamp(-FURTHEST, FURTHEST) } else { -FURTHEST };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, whole and not negative")]
    let mut rest = ((number.abs() as u64) << 1) | u64::from(number < 0.0);
    let mut text = Vec::new();
    loop {
        let more = if rest >= 32 { 32 } else { 0 };
        let digit = usize::try_from((rest & 31) | more).unwrap_or_default();
        text.extend(ALPHABET.get(digit).map(|byte| char::from(*byte)));
        rest >>= 5;
        if rest == 0 {
            return text;
        }
    }
}

/// Reads them back.
struct Numbers<'a> {
    digits: std::str::Bytes<'a>,
}

impl Numbers<'_> {
    fn next(&mut self) -> Option<f64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.digits.next()?;
            let digit = u64::try_from(ALPHABET.iter().position(|b| *b == byte)?).ok()?;
            if shift > 30 {
                return None;
            }
            value |= (digit & 31) << shift;
            shift += 5;
            if digit & 32 == 0 {
                break;
            }
        }
        let size = f64::from(u32::try_from(value >> 1).ok()?) / PARTS;
        Some(if value & 1 == 1 { -size } else { size })
    }

    fn take(&mut self, count: usize) -> Option<[f64; MOST]> {
        let mut all = [0.0; MOST];
        for slot in all.iter_mut().take(count) {
            *slot = self.next()?;
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Stratum, strata::Health};

    fn configs() -> [Config; 3] {
        [Config::compare(4), Config::bound(4, 0.02), Config::mean(4)]
    }

    /// Four steps of a release that is a little worse, until each figure has as many digits as it will.
    fn gate(config: Config, ticks: u32) -> Gate {
        let mut gate = Gate::new(config, &[Count::new(36_000.0, 360.0)]);
        for (index, (share, next)) in [(0.05, 0.2), (0.2, 0.5), (0.5, 1.0), (0.5, 1.0)].into_iter().enumerate() {
            gate.begin_step(index, share, next);
            for tick in 1..=ticks {
                let until = 1.8e9 + 15.0 * f64::from(u32::try_from(index).unwrap() * ticks + tick);
                let (n_g, n_b) = ((1500.0 * share).round(), (1500.0 * (1.0 - share)).round());
                let green = Count::new(n_g, (n_g * 0.013).round());
                gate.close(&Stratum { seconds: 15.0, until, green, blue: Count::new(n_b, (n_b * 0.01).round()) });
            }
        }
        gate
    }

    #[test]
    fn six_gates_fit_in_two_kilobytes_and_sixty_numbers_each() {
        let mut all = Vec::new();
        for config in configs() {
            let kept = Checkpoint::of(&gate(config, 240)).unwrap();
            let bets = bets(config.kind);
            let numbers = 2 + 4 + 2 + 4 * bets.fail + bets.pass + bets.environment + bets.split;
            assert!(numbers <= 60, "{numbers} numbers");
            all.extend([kept.clone(), kept]);
        }
        let size = serde_json::to_string(&all).unwrap().len();
        assert!(size <= 2048, "{size} bytes");
    }

    #[test]
    fn a_restored_gate_has_no_more_evidence_and_little_less() {
        for config in configs() {
            let gate = gate(config, 40);
            let text = serde_json::to_string(&Checkpoint::of(&gate).unwrap()).unwrap();
            let kept: Checkpoint = serde_json::from_str(&text).unwrap();
            let back = kept.restore(config, 0.5, 1.0).unwrap();
            assert!(back.ln_fail() <= gate.ln_fail() && back.ln_pass() <= gate.ln_pass());
            assert!((back.ln_pass() - gate.ln_pass()).abs() < 0.02);
            // The two processes in between weigh a fifteenth each.
            assert!(gate.ln_fail() - back.ln_fail() < 0.5, "{} {}", gate.ln_fail(), back.ln_fail());
            let (now, before) = (back.evidence(Health::default()), gate.evidence(Health::default()));
            assert_eq!((now.split_wrong, now.environment), (before.split_wrong, before.environment));
            assert_eq!(Checkpoint::of(&back), Some(kept), "kept twice is kept once");
        }
    }

    #[test]
    fn what_is_not_ours_is_not_restored() {
        let good = Checkpoint::of(&gate(Config::compare(4), 4)).unwrap();
        let broken = [
            Checkpoint { logs: String::new(), ..good.clone() },
            Checkpoint { logs: format!("{}A", good.logs), ..good.clone() },
            Checkpoint { logs: good.logs.replacen(|_| true, "!", 1), ..good.clone() },
            Checkpoint { logs: "/".repeat(400), ..good.clone() },
            Checkpoint { as_of: f64::NAN, ..good.clone() },
            Checkpoint { counts: [-1.0, 0.0, 0.0, 0.0], ..good.clone() },
        ];
        for kept in broken {
            assert_eq!(kept.restore(Config::compare(4), 0.5, 1.0), None, "{kept:?}");
        }
        assert_eq!(good.restore(Config::mean(4), 0.5, 1.0), None, "it was another gate's");
    }

    #[test]
    fn of_two_evidences_the_smaller_is_kept_side_by_side() {
        let (long, short) = (gate(Config::compare(4), 40), gate(Config::compare(4), 20));
        assert_eq!(smaller(long.clone(), &long), Some((long.clone(), false)));
        assert_eq!(smaller(short.clone(), &long), None, "the range has lost half of it");
        let alike = Gate { green: long.green, blue: long.blue, ..short };
        for (a, b) in [(&long, &alike), (&alike, &long)] {
            let (kept, less) = smaller(a.clone(), b).unwrap();
            assert_eq!(less, b.ln_fail() > a.ln_fail() || b.ln_pass() > a.ln_pass());
            assert!((kept.ln_fail() - a.ln_fail().min(b.ln_fail())).abs() < SAME);
            assert!((kept.ln_pass() - a.ln_pass().min(b.ln_pass())).abs() < SAME);
        }
    }

    #[test]
    fn what_was_rounded_when_it_was_written_down_is_still_all_there() {
        let gate = gate(Config::compare(4), 240);
        let kept = Checkpoint::of(&gate).unwrap().restore(Config::compare(4), 0.5, 1.0).unwrap();
        assert!(smaller(gate, &kept).is_some_and(|(_, less)| !less));
    }
}
