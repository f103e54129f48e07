//! One arm alone: evidence against "at most `limit` of the requests are bad" (or at least), and the interval that people
//! are shown. An interval is never evidence.

use super::{
    Count,
    halfplane::{Side, TINY, bernoulli},
};

/// The log of the e-value of one stratum of one arm against the limit, for an alternative on its side of it.
pub fn log_e(side: Side, limit: f64, count: Count, alternative: f64) -> f64 {
    let outside = match side {
        Side::Fail => alternative > limit,
        Side::Pass => alternative < limit,
    };
    if !outside || !count.is_sound() || count.n <= 0.0 || !(TINY..=1.0 - TINY).contains(&limit) {
        return 0.0;
    }
    let ell = bernoulli(count, alternative, limit);
    if ell.is_finite() { ell } else { 0.0 }
}

/// All rates that the counts do not refute at `alpha`, however often one looks (a mixture with a Beta(½, ½) prior).
/// The whole of 0…1 when there is nothing to go by.
pub fn interval(count: Count, alpha: f64) -> (f64, f64) {
    let Count { n, x } = count;
    if !count.is_sound() || n <= 0.0 || x > n || !(alpha > 0.0 && alpha < 1.0) {
        return (0.0, 1.0);
    }
    let mixture = ln_beta(x + 0.5, n - x + 0.5) - ln_beta(0.5, 0.5);
    let plain = |p: f64| times_ln(x, p) + times_ln(n - x, 1.0 - p);
    let refuted = |p: f64| mixture - plain(p) >= -alpha.ln();
    let rate = x / n;
    let low = if x > 0.0 { edge(0.0, rate, &refuted) } else { 0.0 };
    let high = if x < n { edge(1.0, rate, &refuted) } else { 1.0 };
    (low, high)
}

/// Where `refuted` ends on the way from `outside` to `inside`.
fn edge(mut outside: f64, mut inside: f64, refuted: &impl Fn(f64) -> bool) -> f64 {
    for _ in 0..50 {
        let middle = 0.5 * (outside + inside);
        if refuted(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    outside
}

fn times_ln(times: f64, p: f64) -> f64 {
    if times > 0.0 { times * p.ln() } else { 0.0 }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// Stirling's series, after the argument has been raised to where it is exact to a few units in the last place.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 12.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series + shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_factorials_is_right() {
        assert!(ln_gamma(1.0).abs() < 1e-12 && ln_gamma(2.0).abs() < 1e-12);
        assert!((ln_gamma(11.0) - 3_628_800.0_f64.ln()).abs() < 1e-11);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-11);
    }

    #[test]
    fn the_interval_holds_the_rate_and_narrows() {
        let (low, high) = interval(Count::new(250.0, 12.0), 0.05);
        assert!(low > 0.01 && low < 0.048 && high > 0.048 && high < 0.12, "{low} {high}");
        let (narrow_low, narrow_high) = interval(Count::new(25_000.0, 1200.0), 0.05);
        assert!(low < narrow_low && narrow_high < high);
        assert_eq!(interval(Count::new(40.0, 0.0), 0.05).0, 0.0);
        assert_eq!(interval(Count::new(40.0, 40.0), 0.05).1, 1.0);
    }

    #[test]
    fn odd_counts_have_no_interval() {
        for count in [Count::default(), Count::new(f64::NAN, 1.0), Count::new(3.0, 4.0), Count::new(3.0, f64::INFINITY)]
        {
            assert_eq!(interval(count, 0.05), (0.0, 1.0));
        }
        assert_eq!(log_e(Side::Fail, 0.01, Count::new(f64::NAN, 1.0), 0.05), 0.0);
        assert_eq!(log_e(Side::Fail, 0.0, Count::new(10.0, 1.0), 0.05), 0.0);
        assert_eq!(log_e(Side::Fail, 0.05, Count::new(10.0, 1.0), 0.01), 0.0);
    }

    #[test]
    fn bad_requests_speak_against_a_limit_and_good_ones_for_it() {
        assert!(log_e(Side::Fail, 0.01, Count::new(20.0, 4.0), 0.1) > 3.0);
        assert!(log_e(Side::Pass, 0.05, Count::new(200.0, 1.0), 0.01) > 3.0);
    }
}
