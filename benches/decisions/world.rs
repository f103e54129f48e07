//! The scenarios, and the requests of both arms tick by tick. Knows no policy.

use crate::draw::Draw;

/// Seconds between scrapes, and how many there are in four hours.
pub(crate) const TICK: f64 = 15.0;
pub(crate) const TICKS: u32 = 960;
/// Bounds of a latency histogram; the limit is the sixth.
pub(crate) const BOUNDS: [f64; 13] = [0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0];
const LIMIT: usize = 4;
const SIGMA: f64 = 0.8;
const COST_SIGMA: f64 = 1.1;

/// What should become of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Good,
    Bad,
    /// Nothing can be told; neither verdict is right.
    Hold,
}

/// What requests are judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Errors,
    /// Green's times are so much longer.
    Latency(f64),
    /// Green's requests cost so much.
    Cost(f64),
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) truth: Truth,
    pub(crate) what: What,
    /// Shares of bad requests; green's from weight 20 % on.
    pub(crate) blue: f64,
    pub(crate) green: f64,
    pub(crate) late: Option<f64>,
    /// Both arms suffer from 5 to 10 minutes.
    incident: bool,
    /// A scrape fails; resets an hour.
    miss: f64,
    reset: f64,
    /// Share of green's requests that reach it.
    pub(crate) split: f64,
    /// Green's pods, whose error series begin with the first error.
    pub(crate) lazy: Option<u32>,
    /// Peers' hand-chosen threshold.
    pub(crate) threshold: f64,
}

const PLAIN: Scenario = Scenario {
    name: "",
    truth: Truth::Good,
    what: What::Errors,
    blue: 0.01,
    green: 0.01,
    late: None,
    incident: false,
    miss: 0.0,
    reset: 0.0,
    split: 1.0,
    lazy: None,
    threshold: 0.02,
};

const fn errors(name: &'static str, truth: Truth, blue: f64, green: f64, threshold: f64) -> Scenario {
    Scenario { name, truth, blue, green, threshold, ..PLAIN }
}

const fn latency(name: &'static str, truth: Truth, scale: f64, threshold: f64) -> Scenario {
    Scenario { name, truth, what: What::Latency(scale), threshold, ..PLAIN }
}

const fn cost(name: &'static str, truth: Truth, times: f64) -> Scenario {
    Scenario { name, truth, what: What::Cost(times), threshold: 1.15, ..PLAIN }
}

/// Those of the headline figures.
pub(crate) const CORE: usize = 7;
pub(crate) const SCENARIOS: [Scenario; 22] = [
    errors("E0", Truth::Good, 0.01, 0.01, 0.02),
    errors("E0r", Truth::Good, 0.001, 0.001, 0.005),
    errors("E1", Truth::Good, 0.01, 0.011, 0.02),
    errors("E2", Truth::Bad, 0.01, 0.02, 0.015),
    errors("E5", Truth::Bad, 0.01, 0.05, 0.02),
    errors("E10", Truth::Bad, 0.001, 0.01, 0.005),
    errors("E30", Truth::Bad, 0.01, 0.3, 0.02),
    Scenario { incident: true, ..errors("S1", Truth::Good, 0.01, 0.01, 0.02) },
    Scenario { miss: 0.1, reset: 2.0, ..errors("S2", Truth::Good, 0.01, 0.01, 0.02) },
    Scenario { miss: 0.1, reset: 2.0, ..errors("S2b", Truth::Bad, 0.01, 0.05, 0.02) },
    Scenario { late: Some(0.05), ..errors("S3", Truth::Bad, 0.01, 0.01, 0.02) },
    errors("S4", Truth::Good, 0.03, 0.03, 0.02),
    Scenario { split: 0.1, ..errors("S5", Truth::Hold, 0.01, 0.01, 0.02) },
    Scenario { lazy: Some(2), ..errors("S6", Truth::Bad, 0.01, 0.05, 0.02) },
    latency("L0", Truth::Good, 1.0, 2.0),
    latency("L1", Truth::Good, 1.0333, 2.0),
    latency("L2", Truth::Bad, 4.0 / 3.0, 1.75),
    latency("L3", Truth::Bad, 2.0, 2.0),
    cost("C0", Truth::Good, 1.0),
    cost("C1", Truth::Good, 1.03),
    cost("C2", Truth::Bad, 1.3),
    cost("C3", Truth::Bad, 2.0),
];

/// What one arm did in a tick, or what a scrape found since the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) n: f64,
    /// Bad ones, or what they cost.
    pub(crate) x: f64,
    /// Bad ones that a rate of lazy series sees.
    pub(crate) rated: f64,
    pub(crate) buckets: [f64; 14],
    /// Of each lazy pod: requests and bad ones.
    pub(crate) pods: [(f64, f64); 2],
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.x += other.x;
        for (mine, more) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += more;
        }
        for (mine, more) in self.pods.iter_mut().zip(other.pods) {
            *mine = (mine.0 + more.0, mine.1 + more.1);
        }
    }
}

/// One arm: what waits for a scrape, what its counters say, and what its scrapes found.
#[derive(Default)]
pub(crate) struct Arm {
    carried: Seen,
    /// The counters of each pod: requests, bad ones.
    pub(crate) counters: [(f64, f64); 2],
    was_bad: [bool; 2],
    /// What each tick's scrape found; none where it failed.
    pub(crate) scrapes: Vec<Option<Seen>>,
}

impl Arm {
    fn tick(&mut self, scenario: &Scenario, lazy: bool, now: Seen, draw: &mut Draw) {
        self.carried.add(&now);
        if draw.happens(scenario.reset * TICK / 3600.0) {
            (self.carried, self.counters) = (Seen::default(), [(0.0, 0.0); 2]);
        }
        if draw.happens(scenario.miss) {
            self.scrapes.push(None);
            return;
        }
        let mut found = std::mem::take(&mut self.carried);
        found.rated = found.x;
        for ((counter, was_bad), (n, x)) in self.counters.iter_mut().zip(&mut self.was_bad).zip(found.pods) {
            *counter = (counter.0 + n, counter.1 + x);
            if lazy && x > 0.0 && !*was_bad {
                *was_bad = true;
                found.rated -= x;
            }
        }
        self.scrapes.push(Some(found));
    }
}

/// One rollout's requests.
pub(crate) struct World<'a> {
    pub(crate) scenario: &'a Scenario,
    rps: f64,
    pub(crate) draw: Draw,
    pub(crate) green: Arm,
    pub(crate) blue: Arm,
    pub(crate) now: u32,
    /// Bad requests of green above what blue would have had.
    pub(crate) extra: f64,
    /// Shares of each bucket, of green and of blue.
    shapes: Option<[[f64; 14]; 2]>,
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario, rps: f64, draw: Draw) -> Self {
        let shapes = match scenario.what {
            What::Latency(scale) => Some([shape(scale), shape(1.0)]),
            _ => None,
        };
        let (green, blue) = (Arm::default(), Arm::default());
        Self { scenario, rps, draw, green, blue, now: 0, extra: 0.0, shapes }
    }

    /// An hour of blue before the release, minute by minute.
    pub(crate) fn before(&mut self) -> Vec<Seen> {
        (0..240).map(|_| self.requests(false, self.rps * TICK, self.rates(0.0, 0.0).1)).collect()
    }

    /// Green's and blue's share of bad requests.
    fn rates(&self, at: f64, weight: f64) -> (f64, f64) {
        let Scenario { blue, green, late, incident, what, .. } = *self.scenario;
        if let (What::Latency(_), Some([green, blue])) = (what, &self.shapes) {
            return (green.iter().skip(LIMIT + 1).sum(), blue.iter().skip(LIMIT + 1).sum());
        }
        let green = late.filter(|_| weight >= 0.2).unwrap_or(green);
        let base = if incident && at > 300.0 && at <= 600.0 { blue + 0.15 } else { blue };
        ((base * green / blue).min(0.999), base.min(0.999))
    }

    fn requests(&mut self, green: bool, mean: f64, p: f64) -> Seen {
        let mut seen = Seen::default();
        match self.scenario.what {
            What::Errors => {
                let pods = if green { self.scenario.lazy.unwrap_or(1) } else { 1 };
                let each = mean / f64::from(pods);
                for pod in seen.pods.iter_mut().take(usize::try_from(pods).unwrap()) {
                    let bad = self.draw.poisson(each * p);
                    *pod = (bad + self.draw.poisson(each * (1.0 - p)), bad);
                }
                seen.n = seen.pods.iter().map(|pod| pod.0).sum();
                seen.x = seen.pods.iter().map(|pod| pod.1).sum();
                return seen;
            }
            What::Latency(_) => {
                let shape = self.shapes.unwrap_or_default()[usize::from(!green)];
                for (bucket, share) in seen.buckets.iter_mut().zip(shape) {
                    *bucket = self.draw.poisson(mean * share);
                }
                seen.n = seen.buckets.iter().sum();
                seen.x = seen.buckets.iter().skip(LIMIT + 1).sum();
            }
            What::Cost(times) => {
                seen.n = self.draw.poisson(mean);
                seen.x = self.costs(seen.n, if green { times } else { 1.0 });
            }
        }
        seen.pods[0] = (seen.n, seen.x);
        seen
    }

    /// What `n` requests cost, each lognormal with this mean and no dearer than 25 times it.
    fn costs(&mut self, n: f64, mean: f64) -> f64 {
        let spread = COST_SIGMA * COST_SIGMA;
        if n > 300.0 {
            let deviation = mean * (spread.exp_m1() * n).sqrt();
            return (mean * n + deviation * self.draw.normal()).max(0.0);
        }
        let (mut sum, mut left) = (0.0, n);
        while left >= 1.0 {
            sum += (mean.ln() - 0.5 * spread + COST_SIGMA * self.draw.normal()).exp().min(25.0 * mean);
            left -= 1.0;
        }
        sum
    }

    /// The next tick, in which green is asked to have `weight`.
    pub(crate) fn tick(&mut self, weight: f64) {
        self.now += 1;
        let (p_g, p_b) = self.rates((f64::from(self.now) - 0.5) * TICK, weight);
        let share = weight * self.scenario.split;
        let green = self.requests(true, self.rps * TICK * share, p_g);
        let blue = self.requests(false, self.rps * TICK * (1.0 - share), p_b);
        self.extra += green.n * (p_g - p_b).max(0.0);
        self.green.tick(self.scenario, self.scenario.lazy.is_some(), green, &mut self.draw);
        self.blue.tick(self.scenario, false, blue, &mut self.draw);
    }

    /// Green has all the traffic for what is left of the four hours.
    pub(crate) fn promoted(&mut self) {
        for k in self.now..TICKS {
            let (p_g, p_b) = self.rates((f64::from(k) + 0.5) * TICK, 1.0);
            self.extra += self.rps * TICK * (p_g - p_b).max(0.0);
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        f64::from(self.now) * TICK
    }
}

/// The share of each bucket when times are lognormal with a 95th percentile of 1.5 s times `scale`.
fn shape(scale: f64) -> [f64; 14] {
    let mu = (1.5 * scale).ln() - 1.644_853_627 * SIGMA;
    let mut below = 0.0;
    let mut shares = [0.0; 14];
    for (share, bound) in shares.iter_mut().zip(BOUNDS.iter().map(|b| phi((b.ln() - mu) / SIGMA)).chain([1.0])) {
        (*share, below) = (bound - below, bound);
    }
    shares
}

/// The normal distribution, by Simpson's rule: a handful of calls a run.
fn phi(z: f64) -> f64 {
    let z = z.clamp(-8.0, 8.0);
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let step = z / 200.0;
    let sum: f64 = (0..200)
        .map(|i| {
            let a = f64::from(i) * step;
            density(a) + 4.0 * density(a + 0.5 * step) + density(a + step)
        })
        .sum();
    0.5 + sum * step / 6.0
}
