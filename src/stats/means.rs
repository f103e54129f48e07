//! Means, as cost per request: bets on the batch means of two arms, from sums and counts alone. Requests inside a stratum
//! may depend on each other. On the side of Pass a single dear request is cut off: with a known maximum that is exact.

use super::{Count, Stratum};

/// Sizes of the excess that bets of Fail are tuned to, as shares of blue's mean.
const FAIL_SIZES: [f64; 4] = [0.1, 0.25, 0.6, 1.5];
/// Their weights.
pub const FAIL_WEIGHTS: [f64; 4] = [0.25; 4];
/// Sizes of the room below the line that bets of Pass are tuned to.
const PASS_SIZES: [f64; 3] = [1.0, 0.5, 1.4];
/// Their weights.
pub const PASS_WEIGHTS: [f64; 3] = [0.6, 0.2, 0.2];
/// A stratum has at least so many requests of green and blue. Counts only: sums never end one.
const FEWEST: (f64, f64) = (3.0, 5.0);
/// A bet never risks more than this share.
const RISK: f64 = 0.95;

/// What blue's requests cost so far: a mean and a variance of single requests, with a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Blue's mean; zero as long as nothing is known.
    pub mean: f64,
    /// The variance of one request.
    pub variance: f64,
}

impl Moments {
    /// What the scrapes of an hour of blue say.
    pub fn of(before: &[Count]) -> Self {
        let sound = || before.iter().filter(|c| c.is_sound() && c.n > 0.0);
        let mut all = Count::default();
        sound().for_each(|c| all += *c);
        let Some(mean) = all.rate() else { return Self::default() };
        let (mut squares, mut strata) = (0.0, 0.0);
        for count in sound() {
            let apart = count.x / count.n - mean;
            squares += count.n * apart * apart;
            strata += 1.0;
        }
        Self { mean, variance: (squares / strata).max(0.1 * mean * mean) }
    }

    /// Another stratum of blue has gone by.
    pub fn learn(&mut self, blue: Count) {
        let Some(mean) = blue.rate().filter(|m| m.is_finite()) else { return };
        if self.mean <= 0.0 {
            *self = Self { mean, variance: mean * mean };
            return;
        }
        let keep = (-15.0_f64 / 900.0).exp();
        let apart = mean - self.mean;
        self.variance = (0.98 * self.variance + 0.02 * blue.n * apart * apart).max(0.1 * self.mean * self.mean);
        self.mean = keep * self.mean + (1.0 - keep) * mean;
    }
}

/// Enough requests to bet on.
pub fn is_full(stratum: &Stratum, frozen: bool) -> bool {
    stratum.green.n >= FEWEST.0 && (frozen || stratum.blue.n >= FEWEST.1)
}

/// The means of both arms in one stratum and what their noise is expected to be.
struct Seen {
    green: f64,
    blue: f64,
    one_over_green: f64,
    one_over_blue: f64,
}

/// With `frozen`, blue's mean is what the moments say and has no noise of its own.
fn seen(moments: Moments, stratum: &Stratum, frozen: bool) -> Option<Seen> {
    let Stratum { green, blue, .. } = *stratum;
    if !green.is_sound() || !(frozen || blue.is_sound()) || moments.mean <= 0.0 || !is_full(stratum, frozen) {
        return None;
    }
    let (blue, one_over_blue) = if frozen { (moments.mean, 0.0) } else { (blue.rate()?, 1.0 / blue.n) };
    Some(Seen { green: green.rate()?, blue, one_over_green: 1.0 / green.n, one_over_blue })
}

/// Log gains against "green's mean is at most `rho` times blue's".
pub fn fail(moments: Moments, rho: f64, stratum: &Stratum, frozen: bool) -> [f64; 4] {
    let Some(seen) = seen(moments, stratum, frozen) else { return [0.0; 4] };
    let Moments { mean, variance } = moments;
    let most = 3.0 * mean;
    let excess = seen.green - rho * seen.blue.min(most);
    let noise = variance * (seen.one_over_green + rho * rho * seen.one_over_blue);
    FAIL_SIZES.map(|size| {
        let bet = (size * mean / (noise + size * size * mean * mean)).min(RISK / (rho * most));
        gain(bet * excess)
    })
}

/// Log gains against "green's mean is at least `rho` times blue's". `dearest` is the most that one request can cost.
pub fn pass(moments: Moments, rho: f64, dearest: Option<f64>, stratum: &Stratum, frozen: bool) -> [f64; 3] {
    let Some(seen) = seen(moments, stratum, frozen) else { return [0.0; 3] };
    let Moments { mean, variance } = moments;
    let most = dearest.unwrap_or(mean + 6.0 * variance.sqrt() * seen.one_over_green.sqrt());
    let room = rho * seen.blue - seen.green.min(most);
    let noise = variance * (seen.one_over_green + rho * rho * seen.one_over_blue);
    PASS_SIZES.map(|size| {
        let aim = (rho - 1.0) * mean * size;
        gain((aim / (noise + aim * aim)).min(RISK / most) * room)
    })
}

fn gain(won: f64) -> f64 {
    let ell = won.ln_1p();
    if ell.is_finite() { ell } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Moments = Moments { mean: 2.0, variance: 9.0 };

    fn stratum(green: Count, blue: Count) -> Stratum {
        Stratum { seconds: 15.0, until: 15.0, green, blue }
    }

    #[test]
    fn a_dear_green_is_evidence_of_fail_and_against_pass() {
        let dear = stratum(Count::new(100.0, 320.0), Count::new(1000.0, 2000.0));
        assert!(fail(KNOWN, 1.05, &dear, false).iter().all(|ell| *ell > 0.0));
        assert!(pass(KNOWN, 1.2, None, &dear, false).iter().all(|ell| *ell < 0.0));
        let equal = stratum(Count::new(100.0, 200.0), Count::new(1000.0, 2000.0));
        assert!(fail(KNOWN, 1.05, &equal, false).iter().all(|ell| *ell < 0.0));
        assert!(pass(KNOWN, 1.2, None, &equal, false).iter().all(|ell| *ell > 0.0));
        assert!(pass(KNOWN, 1.2, None, &equal, true).iter().all(|ell| *ell > 0.0), "blue's mean may be frozen");
    }

    #[test]
    fn few_requests_and_odd_sums_say_nothing() {
        let blue = Count::new(1000.0, 2000.0);
        for odd in [
            stratum(Count::new(2.0, 9.0), blue),
            stratum(Count::new(100.0, 200.0), Count::new(4.0, 8.0)),
            stratum(Count::new(f64::NAN, 200.0), blue),
            stratum(Count::new(100.0, f64::INFINITY), blue),
            stratum(Count::new(100.0, -1.0), blue),
        ] {
            assert_eq!(fail(KNOWN, 1.05, &odd, false), [0.0; 4]);
            assert_eq!(pass(KNOWN, 1.2, None, &odd, false), [0.0; 3]);
        }
        let sound = stratum(Count::new(100.0, 200.0), blue);
        assert_eq!(fail(Moments::default(), 1.05, &sound, false), [0.0; 4], "nothing is known of blue");
    }

    #[test]
    fn a_bet_never_loses_all() {
        let free = stratum(Count::new(1e6, 0.0), Count::new(1e6, 1e12));
        assert!(fail(KNOWN, 1.05, &free, false).iter().all(|ell| *ell >= (1.0_f64 - RISK - 1e-9).ln()));
        let ruinous = stratum(Count::new(1e6, 1e12), Count::new(1e6, 0.0));
        assert!(pass(KNOWN, 1.2, None, &ruinous, false).iter().all(|ell| *ell >= (1.0_f64 - RISK - 1e-9).ln()));
    }

    #[test]
    fn moments_come_from_the_hour_before_and_follow_blue() {
        let mut moments = Moments::of(&[Count::new(100.0, 180.0), Count::new(100.0, 220.0), Count::new(f64::NAN, 1.0)]);
        assert!((moments.mean - 2.0).abs() < 1e-12 && (moments.variance - 4.0).abs() < 1e-9);
        for _ in 0..1000 {
            moments.learn(Count::new(100.0, 400.0));
        }
        assert!((moments.mean - 4.0).abs() < 0.01);
        let mut unknown = Moments::of(&[]);
        unknown.learn(Count::new(10.0, 30.0));
        assert!((unknown.mean - 3.0).abs() < 1e-12);
    }
}
