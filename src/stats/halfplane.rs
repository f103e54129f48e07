//! The half-plane e-process: evidence against "green is at most (or at least) on a line over blue", whatever blue's rate
//! is and however it moves. One stratum at a time; adding up is the business of `wealth`. Never looks at the future: the
//! alternatives come from what was seen before the stratum.

use super::{Count, Stratum};

/// The nearest a rate may come to 0 or 1.
pub(super) const TINY: f64 = 1e-9;
/// Halvings of the bracket; the last is narrower than what an enumeration of small counts can tell.
const ROUNDS: usize = 34;
/// Odds against the line that the alternatives of Fail stand for.
pub(super) const FAIL_ODDS: [f64; 9] = [1.3, 1.7, 2.2, 3.0, 4.5, 7.0, 12.0, 25.0, 80.0];
/// Their weights.
pub const FAIL_WEIGHTS: [f64; 9] = [1.0 / 9.0; 9];
/// Weights of the alternatives of Pass: as blue, a third of the way to the line, half of blue, a tenth.
pub const PASS_WEIGHTS: [f64; 4] = [0.6, 0.2, 0.1, 0.1];
/// No line of an alternative lies higher.
const HIGHEST_LINE: f64 = 0.98;

/// `p_green = rho · p_blue + delta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// How much steeper than blue.
    pub rho: f64,
    /// How much above blue.
    pub delta: f64,
}

impl Line {
    /// Green's rate on the line where blue's is `q`.
    pub fn at(self, q: f64) -> f64 {
        self.rho * q + self.delta
    }

    fn is_sound(self) -> bool {
        self.rho.is_finite() && self.rho > 0.0 && self.delta.is_finite() && self.delta >= 0.0
    }
}

/// Which likelihood is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Yes or no for each request.
    #[default]
    Exact,
    /// Events without a proper denominator, as retries; closed, and a little weaker.
    Poisson,
}

/// Rates of both arms for which a bet is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
    /// Green's.
    pub green: f64,
    /// Blue's.
    pub blue: f64,
}

/// On which side of the line the alternatives lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above: against "green is as good as blue".
    Fail,
    /// Below: against "green is intolerable".
    Pass,
}

/// The log of the e-value of one stratum. Zero, which is no evidence, when an arm has no requests, the counts are odd, or
/// the alternative does not lie on its side of the line.
pub fn log_e(form: Form, side: Side, line: Line, stratum: &Stratum, alternative: Alternative) -> f64 {
    let Stratum { green, blue, .. } = *stratum;
    let Alternative { green: a_g, blue: a_b } = alternative;
    let outside = match side {
        Side::Fail => a_g > line.at(a_b),
        Side::Pass => a_g < line.at(a_b),
    };
    if !outside || !line.is_sound() || !usable(green) || !usable(blue) {
        return 0.0;
    }
    let ell = match form {
        Form::Exact => {
            let Some((g, q)) = nearest(line, green.n, blue.n, alternative) else { return 0.0 };
            bernoulli(green, a_g, g) + bernoulli(blue, a_b, q)
        }
        Form::Poisson => {
            let q = nearest_poisson(line, green.n, blue.n, alternative);
            poisson(green, a_g, line.at(q)) + poisson(blue, a_b, q)
        }
    };
    if ell.is_finite() { ell } else { 0.0 }
}

/// What alternatives of Fail stand against: the line over blue's expected rate, raised in odds.
pub fn fail_rates(line_at: f64) -> [f64; 9] {
    let base = line_at.clamp(TINY, HIGHEST_LINE);
    let odds = base / (1.0 - base);
    FAIL_ODDS.map(|m| (m * odds / (1.0 + m * odds)).clamp(TINY, 1.0 - TINY))
}

/// What alternatives of Pass stand for: about as good as blue, or better.
pub fn pass_rates(line_at: f64, blue: f64) -> [f64; 4] {
    let line = line_at.min(HIGHEST_LINE);
    [blue, blue + 0.3 * (line - blue), 0.5 * blue, 0.1 * blue].map(|a| a.clamp(TINY, 1.0 - TINY))
}

/// The point of the line that the counts of a stratum find hardest to tell from the alternative: `(green, blue)`.
/// None when the line leaves the square of possible rates.
pub fn nearest(line: Line, n_g: f64, n_b: f64, alternative: Alternative) -> Option<(f64, f64)> {
    let Alternative { green: a_g, blue: a_b } = alternative;
    let Line { rho, delta } = line;
    let top = (1.0 - TINY).min((1.0 - TINY - delta) / rho);
    if top <= TINY {
        return None;
    }
    let other = (a_g - delta) / rho;
    let (mut low, mut high) = (a_b.min(other).clamp(TINY, top), a_b.max(other).clamp(TINY, top));
    for _ in 0..ROUNDS {
        let q = 0.5 * (low + high);
        let g = line.at(q);
        // The derivative, times what is positive anyway.
        let slope = n_g * rho * (g - a_g) * q * (1.0 - q) + n_b * (q - a_b) * g * (1.0 - g);
        if slope > 0.0 {
            high = q;
        } else {
            low = q;
        }
    }
    let q = 0.5 * (low + high);
    Some((line.at(q), q))
}

fn nearest_poisson(line: Line, n_g: f64, n_b: f64, alternative: Alternative) -> f64 {
    let Line { rho, delta } = line;
    let all = n_g * rho + n_b;
    let a = all * rho;
    let b = all * delta - n_g * rho * alternative.green - n_b * alternative.blue * rho;
    let c = -n_b * alternative.blue * delta;
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    // With b > 0 the usual form would subtract two nearly equal figures.
    let q = if b > 0.0 { -2.0 * c / (b + root) } else { (root - b) / (2.0 * a) };
    q.max(f64::MIN_POSITIVE)
}

fn usable(count: Count) -> bool {
    count.is_sound() && count.n > 0.0
}

pub(super) fn bernoulli(count: Count, a: f64, p: f64) -> f64 {
    let good = (count.n - count.x).max(0.0);
    count.x * (a / p).ln() + good * ((1.0 - a) / (1.0 - p)).ln()
}

fn poisson(count: Count, a: f64, p: f64) -> f64 {
    count.x * (a / p).ln() - count.n * (a - p)
}

/// Kullback–Leibler divergence of yes-or-no rates, in nats.
pub(super) fn divergence(a: f64, p: f64) -> f64 {
    let term = |a: f64, p: f64| if a > 0.0 { a * (a / p).ln() } else { 0.0 };
    term(a, p) + term(1.0 - a, 1.0 - p)
}

/// Blue's rate as the past tells it, with a memory of half an hour. Moves power, never validity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Faded counts.
    pub seen: Count,
}

impl Memory {
    const SECONDS: f64 = 1800.0;
    const MOST: f64 = 5000.0;

    /// What an hour of blue before the release says; no more than 5,000 requests of it count.
    pub fn of(before: Count) -> Self {
        if !before.is_sound() {
            return Self::default();
        }
        let keep = if before.n > Self::MOST { Self::MOST / before.n } else { 1.0 };
        Self { seen: Count::new(before.n * keep, before.x.min(before.n) * keep) }
    }

    /// The expected rate.
    pub fn rate(self) -> f64 {
        ((self.seen.x + 0.5) / (self.seen.n + 1.0)).clamp(TINY, 1.0 - TINY)
    }

    /// Another stratum of blue has gone by.
    pub fn learn(&mut self, blue: Count, seconds: f64) {
        let fade = (-seconds.max(0.0) / Self::SECONDS).exp();
        self.seen = Count::new(self.seen.n * fade + blue.n, self.seen.x * fade + blue.x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line { rho: 1.1, delta: 0.001 };

    fn stratum(n_g: f64, x_g: f64, n_b: f64, x_b: f64) -> Stratum {
        Stratum { seconds: 15.0, until: 15.0, green: Count::new(n_g, x_g), blue: Count::new(n_b, x_b) }
    }

    #[test]
    fn more_bad_requests_are_more_evidence_of_fail() {
        let bet = Alternative { green: 0.05, blue: 0.01 };
        for form in [Form::Exact, Form::Poisson] {
            let few = log_e(form, Side::Fail, LINE, &stratum(40.0, 1.0, 400.0, 4.0), bet);
            let many = log_e(form, Side::Fail, LINE, &stratum(40.0, 4.0, 400.0, 4.0), bet);
            let none = log_e(form, Side::Fail, LINE, &stratum(40.0, 0.0, 400.0, 4.0), bet);
            assert!(none < 0.0 && none < few && few < many, "{form:?}: {none} {few} {many}");
        }
    }

    #[test]
    fn both_forms_agree_where_errors_are_rare() {
        let bet = Alternative { green: 0.004, blue: 0.001 };
        let counts = stratum(400.0, 3.0, 4000.0, 4.0);
        let exact = log_e(Form::Exact, Side::Fail, LINE, &counts, bet);
        let poisson = log_e(Form::Poisson, Side::Fail, LINE, &counts, bet);
        assert!((exact - poisson).abs() < 0.02, "{exact} {poisson}");
    }

    #[test]
    fn the_nearest_point_is_where_the_divergence_is_least() {
        let bet = Alternative { green: 0.06, blue: 0.01 };
        let cost = |q: f64| 50.0 * divergence(bet.green, LINE.at(q)) + 700.0 * divergence(bet.blue, q);
        let (g, q) = nearest(LINE, 50.0, 700.0, bet).unwrap();
        assert!((g - LINE.at(q)).abs() < 1e-15);
        for near in [q * 0.99, q * 1.01] {
            assert!(cost(q) < cost(near));
        }
    }

    #[test]
    fn odd_counts_and_alternatives_on_the_wrong_side_are_no_evidence() {
        let bet = Alternative { green: 0.05, blue: 0.01 };
        let odd = [
            stratum(0.0, 0.0, 10.0, 0.0),
            stratum(10.0, 1.0, 0.0, 0.0),
            stratum(f64::NAN, 1.0, 10.0, 0.0),
            stratum(10.0, f64::NAN, 10.0, 0.0),
            stratum(10.0, 1.0, f64::INFINITY, 0.0),
            stratum(10.0, -1.0, 10.0, 0.0),
        ];
        for counts in odd {
            for form in [Form::Exact, Form::Poisson] {
                assert_eq!(log_e(form, Side::Fail, LINE, &counts, bet), 0.0);
            }
        }
        let sound = stratum(10.0, 1.0, 10.0, 1.0);
        assert_eq!(log_e(Form::Exact, Side::Pass, LINE, &sound, bet), 0.0, "above the line proves nothing for Pass");
        let beyond = Line { rho: 1.0, delta: 1.5 };
        let good = Alternative { green: 0.01, blue: 0.01 };
        assert_eq!(log_e(Form::Exact, Side::Pass, beyond, &sound, good), 0.0);
    }

    #[test]
    fn the_memory_starts_small_and_fades() {
        let mut memory = Memory::of(Count::new(360_000.0, 3600.0));
        assert!((memory.seen.n - 5000.0).abs() < 1e-9);
        assert!((memory.rate() - 0.0101).abs() < 1e-4);
        for _ in 0..1000 {
            memory.learn(Count::new(100.0, 5.0), 15.0);
        }
        assert!((memory.rate() - 0.05).abs() < 1e-3);
        assert!((Memory::default().rate() - 0.5).abs() < 1e-12);
    }
}
