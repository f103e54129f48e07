//! Does green get its share of the requests? Six bets against "within a quarter of what was asked". It never says that a
//! release is bad; it says that the figures are not about what was asked for.

use super::wealth::mix;

/// Shares of what was asked that are bet on, and the edge of the tolerated band each stands against.
const BETS: [(f64, f64); 6] = [(0.1, 0.75), (0.3, 0.75), (0.6, 0.75), (1.7, 1.25), (3.0, 1.25), (8.0, 1.25)];
/// No share is bet on that is closer to all.
const MOST: f64 = 0.99;
/// How often the alarm may be wrong.
pub const ALPHA: f64 = 0.01;

/// Evidence of a wrong split since the step began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Split {
    /// The log of each likelihood ratio.
    pub logs: [f64; 6],
}

impl Split {
    /// Requests of both arms, of which green should have had `share`. Nothing to tell at 0 and at all.
    pub fn add(&mut self, share: f64, green: f64, blue: f64) {
        let sound = [green, blue].iter().all(|n| n.is_finite() && *n >= 0.0);
        let split = share > 0.0 && share < 1.0;
        if !sound || !split {
            return;
        }
        for (log, (times, edge)) in self.logs.iter_mut().zip(BETS) {
            let (theta, null) = (share * times, share * edge);
            if theta < MOST && null < MOST {
                *log += green * (theta / null).ln() + blue * ((1.0 - theta) / (1.0 - null)).ln();
            }
        }
    }

    /// The log of the evidence.
    pub fn ln(&self) -> f64 {
        mix(self.logs.iter().map(|log| (1.0 / 6.0, *log)))
    }

    /// Green does not get its share.
    pub fn is_wrong(&self) -> bool {
        self.ln() >= -ALPHA.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(share: f64, green: f64, blue: f64, times: usize) -> bool {
        let mut split = Split::default();
        (0..times).for_each(|_| split.add(share, green, blue));
        split.is_wrong()
    }

    #[test]
    fn a_right_split_raises_no_alarm() {
        assert!(!after(0.05, 5.0, 95.0, 1000));
        assert!(!after(0.05, 5.5, 94.5, 1000));
        assert!(!after(0.5, 50.0, 50.0, 1000));
        assert!(!after(1.0, 0.0, 50.0, 1000), "there is no split at all");
    }

    #[test]
    fn too_little_and_too_much_are_told() {
        assert!(after(0.05, 0.0, 100.0, 3));
        assert!(after(0.05, 2.0, 98.0, 20));
        assert!(after(0.05, 10.0, 90.0, 10));
        assert!(after(0.5, 10.0, 90.0, 10));
    }

    #[test]
    fn odd_counts_say_nothing() {
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(!after(0.05, odd, 100.0, 10) && !after(0.05, 1.0, odd, 10) && !after(odd, 0.0, 100.0, 10));
        }
    }
}
