//! The arithmetic of evidence: counts of two arms in, always-valid evidence for Fail and Pass out. Numbers only; no query, no
//! clock (seconds come in), no word for people and nothing that can fail: what is odd gives no evidence.
//!
//! The way of the data: [`counters`] turns raw samples of counters into increments, [`strata`] cuts them at scrapes,
//! [`gate`] holds the evidence of one gate over a whole rollout and [`ruling`] reads several gates together. The
//! rest is what these stand on: [`halfplane`], [`bound`], [`means`] and [`ratio`] are tests, [`budget`] their lines and
//! limits, [`wealth`] the bookkeeping of bets, and [`checkpoint`] what survives a restart. `docs/statistics.md` explains.
#![cfg_attr(
    test,
    expect(clippy::float_cmp, reason = "the figures of the tests are exact in binary, or must be the same")
)]

use serde::{Deserialize, Serialize};

pub mod bound;
pub mod budget;
pub mod checkpoint;
pub mod counters;
pub mod gate;
pub mod halfplane;
pub mod means;
pub mod ratio;
pub mod ruling;
pub mod strata;
pub mod wealth;

/// Whose requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Arm {
    /// The candidate.
    Green,
    /// What serves.
    Blue,
}

/// Requests of one arm over some time, and how many of them were bad. For a mean, `x` is the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// Requests.
    pub n: f64,
    /// Bad ones among them, or what they add up to.
    pub x: f64,
}

impl Count {
    /// `x` bad ones of `n`.
    pub fn new(n: f64, x: f64) -> Self {
        Self { n, x }
    }

    /// Both figures are numbers at or above zero.
    pub fn is_sound(self) -> bool {
        [self.n, self.x].iter().all(|v| v.is_finite() && *v >= 0.0)
    }

    /// The share of bad ones, or the mean; none without requests.
    pub fn rate(self) -> Option<f64> {
        (self.n > 0.0).then(|| self.x / self.n)
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.n += other.n;
        self.x += other.x;
    }
}

/// What both arms did in the same time. Where it ends never depends on what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stratum {
    /// How long it lasted, in seconds.
    pub seconds: f64,
    /// When it ended, in seconds.
    pub until: f64,
    /// The candidate.
    pub green: Count,
    /// What serves.
    pub blue: Count,
}

/// A tolerated excess over blue's rate `p`: `relative · p + absolute`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// As a share of blue's rate.
    pub relative: f64,
    /// In the unit of the rate.
    pub absolute: f64,
}

impl Tolerance {
    /// Of a share of bad requests: half of blue's rate and half a point.
    pub const SHARE: Self = Self { relative: 0.5, absolute: 0.005 };
    /// Of a mean: a fifth.
    pub const MEAN: Self = Self { relative: 0.2, absolute: 0.0 };
}
