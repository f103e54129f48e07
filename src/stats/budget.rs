//! How much harm each step may cost, and how much proof it needs: the lines of Fail and Pass, alpha by step, the weights
//! of the processes that are mixed over steps, and how many requests a Pass takes. Knows no evidence.

use super::{
    Tolerance,
    halfplane::{Alternative, Line, divergence, nearest},
};

/// How often a good release may be rolled back, in all of a rollout.
pub const ALPHA_FAIL: f64 = 0.05;
/// How often a bad release may be promoted.
pub const ALPHA_PASS: f64 = 0.05;
/// The share of the tolerance that is harmless: at or under it nothing is rolled back but by chance.
pub const GREY_SHARE: f64 = 0.2;
/// The same for means.
pub const GREY_MEAN: f64 = 0.25;
/// What the process from the rollout's start weighs; the later ones share the rest.
const FROM_START: f64 = 0.8;
/// What the best alternative of Pass weighs.
const BEST_OF_PASS: f64 = 0.6;

/// As good as blue, as far as anybody cares: the null of Fail.
pub fn good_line(tolerance: Tolerance, grey: f64) -> Line {
    Line { rho: 1.0 + grey * tolerance.relative, delta: grey * tolerance.absolute }
}

/// Intolerable before a step to `next` (a share of all traffic, above 0): the excess that would cost more than the
/// tolerance there. Where blue is so bad that the line would leave the square, the tolerance shrinks until the line is
/// half way between blue and 1: a stricter proof than asked for.
pub fn bad_line(tolerance: Tolerance, next: f64, blue: f64) -> Line {
    let next = if next > 0.0 { next.min(1.0) } else { 1.0 };
    let (rise, delta) = (tolerance.relative / next, tolerance.absolute / next);
    let excess = rise * blue + delta;
    let room = 0.5 * (1.0 - blue);
    let fit = if excess > room { room / excess } else { 1.0 };
    Line { rho: 1.0 + rise * fit, delta: delta * fit }
}

/// How often leaving step `index` of `steps` may be wrong: the last as asked, those between twice, the first four times.
pub fn alpha_of_step(alpha: f64, index: usize, steps: usize) -> f64 {
    let times = match index {
        last if last + 1 >= steps => 1.0,
        0 => 4.0,
        _ => 2.0,
    };
    (alpha * times).min(0.5)
}

/// What the process that began with step `index` weighs in the evidence of Fail.
pub fn weight_of_process(index: usize, steps: usize) -> f64 {
    match (index, steps.saturating_sub(1)) {
        (0, 0) => 1.0,
        (0, _) => FROM_START,
        (_, later) => (1.0 - FROM_START) / as_f64(later.max(1)),
    }
}

/// So often the standard deviation of what requests cost is their mean, as far as anybody can say beforehand.
const SPREAD_OF_COSTS: f64 = 1.5;

/// Requests of green that a Pass of a mean takes when green costs as much as blue, by rule of thumb: what requests cost
/// differs too much between services for more.
pub fn requests_of_mean(relative: f64, next: f64, alpha: f64) -> Option<f64> {
    let relative = relative / if next > 0.0 { next.min(1.0) } else { 1.0 };
    let requests = 2.0 * SPREAD_OF_COSTS.powi(2) * -alpha.ln() / relative.powi(2);
    (requests.is_finite() && requests >= 0.0).then_some(requests)
}

/// What a step is expected to ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Blue's rate, and green's if it is as good.
    pub blue: f64,
    /// What green is held against in place of blue.
    pub limit: Option<f64>,
    /// What is tolerated.
    pub tolerance: Tolerance,
    /// Green's share in this step.
    pub share: f64,
    /// Green's share in the next.
    pub next: f64,
    /// The step's alpha of Pass.
    pub alpha: f64,
}

impl Outlook {
    /// Nats that one request of green is worth when green is as good as blue.
    pub fn nats_per_request(&self) -> Option<f64> {
        if let Some(limit) = self.limit {
            return self.nats_against(limit);
        }
        if !(self.share > 0.0 && self.share < 1.0 && self.blue.is_finite()) {
            return None;
        }
        let blue = self.blue.clamp(1e-6, 1.0 - 1e-6);
        let line = bad_line(self.tolerance, self.next, blue);
        let per_green = (1.0 - self.share) / self.share;
        let (g, q) = nearest(line, 1.0, per_green, Alternative { green: blue, blue })?;
        let nats = divergence(blue, g) + per_green * divergence(blue, q);
        (nats.is_finite() && nats > 0.0).then_some(nats)
    }

    /// The same of a limit for green alone: none when blue itself is not under it.
    fn nats_against(&self, limit: f64) -> Option<f64> {
        let line = bad_line(self.tolerance, self.next, limit).at(limit);
        let nats = divergence(self.blue.clamp(1e-6, 1.0 - 1e-6), line);
        (self.blue < line && line < 1.0 && nats.is_finite() && nats > 0.0).then_some(nats)
    }

    /// Nats that a Pass takes.
    pub fn nats(&self) -> f64 {
        -(self.alpha * BEST_OF_PASS).ln()
    }

    /// Requests of green that a Pass takes when green is as good as blue.
    pub fn requests(&self) -> Option<f64> {
        self.nats_per_request().map(|each| self.nats() / each)
    }

    /// Minutes until then at `rps` requests a second of both arms.
    pub fn minutes(&self, rps: f64) -> Option<f64> {
        let minutes = self.requests()? / (60.0 * self.share * rps);
        (minutes.is_finite() && minutes >= 0.0).then_some(minutes)
    }

    /// The smallest whole percent at which this step is expected to pass within `minutes`, if there is one.
    pub fn smallest_share(&self, rps: f64, minutes: f64) -> Option<f64> {
        (1..100).map(|percent| f64::from(percent) / 100.0).find(|share| {
            let there = Self { share: *share, next: self.next.max(*share), ..*self };
            there.minutes(rps).is_some_and(|needed| needed <= minutes)
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rollout has few steps")]
fn as_f64(steps: usize) -> f64 {
    steps as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(share: f64, next: f64, alpha: f64) -> Outlook {
        Outlook { blue: 0.01, limit: None, tolerance: Tolerance::SHARE, share, next, alpha }
    }

    #[test]
    fn the_lines_are_those_of_the_tolerance() {
        let close = |a: Line, rho: f64, delta: f64| (a.rho - rho).abs() < 1e-12 && (a.delta - delta).abs() < 1e-12;
        assert!(close(good_line(Tolerance::SHARE, GREY_SHARE), 1.1, 0.001));
        assert!(close(bad_line(Tolerance::SHARE, 1.0, 0.01), 1.5, 0.005));
        assert!(close(bad_line(Tolerance::SHARE, 0.2, 0.01), 3.5, 0.025));
    }

    #[test]
    fn a_line_stays_where_rates_can_be() {
        for percent in 0..=100 {
            for next in [0.01, 0.05, 0.5, 1.0] {
                let blue = f64::from(percent) / 100.0;
                let line = bad_line(Tolerance::SHARE, next, blue);
                assert!(line.at(blue) <= 1.0 + 1e-12 && line.rho >= 1.0 && line.delta >= 0.0);
            }
        }
        assert!((bad_line(Tolerance::SHARE, 0.05, 0.4).at(0.4) - 0.7).abs() < 1e-12);
    }

    #[test]
    fn the_first_step_needs_the_least_proof_and_the_last_all() {
        let alphas: Vec<f64> = (0..3).map(|i| alpha_of_step(0.05, i, 3)).collect();
        assert_eq!(alphas, [0.2, 0.1, 0.05]);
        assert_eq!(alpha_of_step(0.05, 0, 1), 0.05);
        assert_eq!(alpha_of_step(0.3, 0, 3), 0.5);
    }

    #[test]
    fn the_processes_share_one_alpha() {
        for steps in 1..8 {
            let sum: f64 = (0..steps).map(|i| weight_of_process(i, steps)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{steps} steps weigh {sum}");
        }
    }

    #[test]
    fn an_early_step_needs_tens_of_requests_and_the_last_hundreds() {
        let first = outlook(0.05, 0.2, 0.2).requests().unwrap();
        let last = outlook(0.05, 1.0, 0.05).requests().unwrap();
        assert!((40.0..80.0).contains(&first), "{first}");
        assert!((700.0..1300.0).contains(&last), "{last}");
    }

    #[test]
    fn a_limit_is_shown_to_hold_the_sooner_the_further_it_is() {
        let exact = Tolerance { relative: 0.0, absolute: 0.0 };
        let of = |limit: f64| Outlook { limit: Some(limit), tolerance: exact, ..outlook(1.0, 1.0, 0.05) }.requests();
        let (far, near) = (of(0.05).unwrap(), of(0.015).unwrap());
        assert!((50.0..200.0).contains(&far) && near > 10.0 * far, "{far} {near}");
        assert_eq!((of(0.01), of(0.005), of(1.0)), (None, None, None), "blue itself is not under it");
        assert!(
            Outlook { limit: Some(0.01), ..outlook(1.0, 1.0, 0.05) }.requests().is_some(),
            "there is room above it"
        );
    }

    #[test]
    fn a_mean_takes_what_the_rule_of_thumb_says() {
        let of = |next: f64| requests_of_mean(0.2, next, 0.05).unwrap();
        assert!((330.0..345.0).contains(&of(1.0)), "{}", of(1.0));
        assert!((of(0.5) * 4.0 - of(1.0)).abs() < 1e-9, "half the traffic may cost twice the tolerance");
        assert_eq!(requests_of_mean(0.0, 1.0, 0.05), None);
    }

    #[test]
    fn the_smallest_share_that_fits_is_found_or_none_is() {
        let step = outlook(0.05, 0.2, 0.2);
        let share = step.smallest_share(1.0, 10.0).unwrap();
        assert!(share > 0.05);
        assert!(Outlook { share, next: 0.2_f64.max(share), ..step }.minutes(1.0).unwrap() <= 10.0);
        assert_eq!(step.smallest_share(0.0001, 10.0), None);
        assert_eq!(outlook(1.0, 1.0, 0.05).requests(), None, "at all there is no blue to compare with");
        assert_eq!(outlook(f64::NAN, 1.0, 0.05).requests(), None);
    }
}
