//! Randomness: one stream for a run, and what is drawn from it. Knows no scenario.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// The stream of run `i` of a cell.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(cell: &str, i: u64) -> Self {
        let seed = (u64::from(crc32(cell)) + 2_654_435_761 * i) % 0xffff_ffff;
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// In 0…1, never either.
    pub(crate) fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.0.next_u64() >> 32).unwrap();
        (f64::from(bits) + 0.5) / 4_294_967_296.0
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Counts of a Poisson process: by inversion when few are expected, else by Hörmann's transformed rejection (PTRS).
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean < 10.0 {
            let (floor, mut product, mut count) = ((-mean).exp(), self.unit(), 0.0);
            while product > floor {
                product *= self.unit();
                count += 1.0;
            }
            return count;
        }
        let slope = 0.931 + 2.53 * mean.sqrt();
        let lift = -0.059 + 0.02483 * slope;
        let inverse_alpha = 1.1239 + 1.1328 / (slope - 3.4);
        let v_r = 0.9277 - 3.6224 / (slope - 2.0);
        loop {
            let (u, v) = (self.unit() - 0.5, self.unit());
            let us = 0.5 - u.abs();
            let k = ((2.0 * lift / us + slope) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return k;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let accept = (v * inverse_alpha / (lift / (us * us) + slope)).ln();
            if accept <= k * mean.ln() - mean - ln_factorial(k) {
                return k;
            }
        }
    }
}

fn ln_factorial(k: f64) -> f64 {
    if k < 10.0 {
        let mut product = 1.0;
        let mut i = 2.0;
        while i <= k {
            product *= i;
            i += 1.0;
        }
        return f64::ln(product);
    }
    let x = k + 1.0;
    (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_7 + (1.0 / 12.0 - 1.0 / (360.0 * x * x)) / x
}

fn crc32(text: &str) -> u32 {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
