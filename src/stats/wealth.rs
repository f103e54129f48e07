//! What bets have won so far: one logarithm for each alternative, the largest single win of each, and their mixture.
//! Knows nothing of what was bet on.

/// No process has more alternatives.
pub const MOST: usize = 9;

/// The log wealth of up to nine alternatives, kept apart until somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wealth {
    /// The sum of each alternative's log e-values.
    pub logs: [f64; MOST],
    /// The largest of them, at least zero.
    pub largest: [f64; MOST],
}

impl Wealth {
    /// One stratum's log e-values. What is not a number is no evidence.
    pub fn add(&mut self, ells: &[f64]) {
        for ((log, largest), ell) in self.logs.iter_mut().zip(&mut self.largest).zip(ells) {
            if ell.is_finite() {
                *log += ell;
                *largest = largest.max(*ell);
            }
        }
    }

    /// The log of the mixture.
    pub fn ln(&self, weights: &[f64]) -> f64 {
        mix(weights.iter().copied().zip(self.logs))
    }

    /// The log of the mixture without each alternative's best stratum: no single scrape may decide.
    pub fn ln_without_best(&self, weights: &[f64]) -> f64 {
        let logs = self.logs.iter().zip(&self.largest).map(|(log, largest)| log - largest);
        mix(weights.iter().copied().zip(logs))
    }
}

/// `ln Σ weight · exp(log)`, without overflow; minus infinity when there is nothing to add.
pub fn mix(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let most = parts.clone().filter(|(weight, _)| *weight > 0.0).map(|(_, log)| log).fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = parts.filter(|(weight, _)| *weight > 0.0).map(|(weight, log)| weight * (log - most).exp()).sum();
    most + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_the_weighted_mean_of_wealth() {
        let mut wealth = Wealth::default();
        wealth.add(&[2.0_f64.ln(), 8.0_f64.ln()]);
        assert!((wealth.ln(&[0.5, 0.5]) - 5.0_f64.ln()).abs() < 1e-12);
        wealth.add(&[1000.0, 900.0]);
        assert!(wealth.ln(&[0.5, 0.5]).is_finite());
    }

    #[test]
    fn one_stratum_alone_decides_nothing() {
        let mut wealth = Wealth::default();
        wealth.add(&[50.0]);
        assert!(wealth.ln_without_best(&[1.0]).abs() < 1e-12);
        wealth.add(&[3.0]);
        assert!((wealth.ln_without_best(&[1.0]) - 3.0).abs() < 1e-12);
        let mut losing = Wealth::default();
        losing.add(&[-4.0]);
        assert!((losing.ln_without_best(&[1.0]) + 4.0).abs() < 1e-12, "a loss is never left out");
    }

    #[test]
    fn what_is_not_a_number_is_no_evidence() {
        let mut wealth = Wealth::default();
        wealth.add(&[f64::NAN, f64::INFINITY, 1.0]);
        assert_eq!(wealth.logs[..3], [0.0, 0.0, 1.0]);
        assert_eq!(mix(std::iter::empty()), f64::NEG_INFINITY);
    }
}
