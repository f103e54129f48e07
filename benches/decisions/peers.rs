//! What others do with the same scrapes: the documented policies of Argo Rollouts, Flagger and OME, a single look, and
//! Kayenta's test. Written anew from their code; not the programs themselves.

use crate::world::{Arm, BOUNDS, Seen, TICK, What, World};

/// What a policy does after a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Stay,
    Abort,
    Promote,
    /// It will never say anything.
    GiveUp,
}

/// How a query's answer is read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    NoData,
    /// Nothing divided by nothing.
    NotANumber,
    Number(f64),
}

/// A peer's rules. Times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rules {
    /// Looks after `first` and then each `every`, `per_step` times; more than `limit` failed looks abort.
    Argo {
        first: f64,
        every: f64,
        per_step: u32,
        limit: u32,
        whole_rollout: bool,
        window: f64,
        irate: bool,
        fewest: f64,
    },
    /// Each minute; so many failed checks of a rollout abort, each good one adds 5 %.
    Flagger { threshold: u32 },
    /// From the second minute on, each minute; three failures abort, the first pass after ten minutes advances.
    Ome,
    /// After ten minutes: one and a half times blue's share is too much.
    OneLook,
    /// After an hour: Mann–Whitney on minutes.
    Kayenta,
}

pub(crate) struct Peer {
    rules: Rules,
    step: usize,
    since: f64,
    looks: u32,
    failed: u32,
}

impl Peer {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, step: 0, since: 0.0, looks: 0, failed: 0 }
    }

    fn weights(&self) -> &'static [f64] {
        match self.rules {
            Rules::Flagger { .. } => &[0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5],
            _ => &[0.05, 0.2, 0.5],
        }
    }

    pub(crate) fn weight(&self) -> f64 {
        self.weights()[self.step]
    }

    fn advance(&mut self, now: f64) -> Move {
        if self.step + 1 == self.weights().len() {
            return Move::Promote;
        }
        (self.step, self.since, self.looks) = (self.step + 1, now, 0);
        match self.rules {
            Rules::Flagger { .. } | Rules::Argo { whole_rollout: true, .. } => {}
            _ => self.failed = 0,
        }
        Move::Stay
    }

    pub(crate) fn look(&mut self, world: &World<'_>) -> Move {
        let now = world.seconds();
        let held = now - self.since;
        let is_due = |first: f64, every: f64| held >= first && ((held - first) / every).fract() < 1e-9;
        match self.rules {
            Rules::Argo { first, every, .. } if is_due(first, every) => self.argo(world, now),
            Rules::Flagger { threshold } if is_due(60.0, 60.0) => self.flagger(world, now, threshold),
            Rules::Ome if is_due(120.0, 60.0) => self.ome(world, now, held),
            Rules::OneLook if is_due(600.0, 600.0) => self.one_look(world, now),
            Rules::Kayenta if is_due(3600.0, 3600.0) => match kayenta(world) {
                Some(true) => Move::Abort,
                _ => self.advance(now),
            },
            _ => Move::Stay,
        }
    }

    fn argo(&mut self, world: &World<'_>, now: f64) -> Move {
        let Rules::Argo { per_step, limit, window, irate, fewest, .. } = self.rules else { return Move::Stay };
        let (value, seen) = answer(world, window, irate);
        let bad = match value {
            _ if seen < fewest => false,
            Value::NoData => false,
            Value::NotANumber => fewest <= 0.0,
            Value::Number(value) => value > world.scenario.threshold,
        };
        self.looks += 1;
        self.failed += u32::from(bad);
        if self.failed > limit {
            Move::Abort
        } else if self.looks >= per_step {
            self.advance(now)
        } else {
            Move::Stay
        }
    }

    fn flagger(&mut self, world: &World<'_>, now: f64, threshold: u32) -> Move {
        let good = matches!(answer(world, 60.0, false).0, Value::Number(value) if value <= world.scenario.threshold);
        if good {
            return self.advance(now);
        }
        self.failed += 1;
        if self.failed >= threshold { Move::Abort } else { Move::Stay }
    }

    fn ome(&mut self, world: &World<'_>, now: f64, held: f64) -> Move {
        let bad = match answer(world, 300.0, false).0 {
            Value::NoData => return Move::Stay,
            Value::NotANumber => true,
            Value::Number(value) => value > world.scenario.threshold,
        };
        if bad {
            self.failed += 1;
            return if self.failed >= 3 { Move::Abort } else { Move::Stay };
        }
        if held >= 600.0 { self.advance(now) } else { Move::Stay }
    }

    fn one_look(&mut self, world: &World<'_>, now: f64) -> Move {
        let share = |arm: &Arm| window(arm, 600.0).filter(|seen| seen.n > 0.0);
        let (Some(green), Some(blue)) = (share(&world.green), share(&world.blue)) else { return Move::GiveUp };
        let (green, blue) = match world.scenario.what {
            What::Latency(_) => (quantile(&green.buckets), quantile(&blue.buckets)),
            _ => (green.rated / green.n, blue.rated / blue.n),
        };
        if green > 1.5 * blue { Move::Abort } else { self.advance(now) }
    }
}

/// What a query over the last `seconds` sees: what came between the first and the last scrape in it.
fn window(arm: &Arm, seconds: f64) -> Option<Seen> {
    let scrapes = arm.scrapes.iter().rev().take(ticks(seconds)).flatten();
    let mut sum = Seen::default();
    let mut all = 0;
    let mut first = Seen::default();
    for seen in scrapes {
        add(&mut sum, &first);
        first = *seen;
        all += 1;
    }
    (all >= 2).then_some(sum)
}

fn add(sum: &mut Seen, more: &Seen) {
    sum.n += more.n;
    sum.x += more.x;
    sum.rated += more.rated;
    for (mine, more) in sum.buckets.iter_mut().zip(more.buckets) {
        *mine += more;
    }
}

fn ticks(seconds: f64) -> usize {
    let mut ticks = 0;
    let mut left = seconds;
    while left >= TICK {
        left -= TICK;
        ticks += 1;
    }
    ticks
}

/// The answer and how many requests stand behind it.
fn answer(world: &World<'_>, seconds: f64, irate: bool) -> (Value, f64) {
    let seen = if irate {
        // The last two scrapes of the window: what the last of them found.
        let good: Vec<&Seen> = world.green.scrapes.iter().rev().take(ticks(seconds)).flatten().take(2).collect();
        good.get(1).and(good.first().copied().copied())
    } else {
        window(&world.green, seconds)
    };
    let Some(seen) = seen else { return (Value::NoData, 0.0) };
    if seen.n <= 0.0 {
        return (Value::NotANumber, 0.0);
    }
    let value = match world.scenario.what {
        What::Latency(_) => quantile(&seen.buckets),
        _ => seen.rated / seen.n,
    };
    (Value::Number(value), seen.n)
}

/// `histogram_quantile(0.95)`: linear inside a bucket, the last bound above it.
fn quantile(buckets: &[f64; 14]) -> f64 {
    let rank = 0.95 * buckets.iter().sum::<f64>();
    let (mut below, mut lower) = (0.0, 0.0);
    for (count, upper) in buckets.iter().zip(BOUNDS) {
        if *count > 0.0 && below + count >= rank {
            return lower + (upper - lower) * (rank - below) / count;
        }
        below += count;
        lower = upper;
    }
    BOUNDS[12]
}

/// One-minute points of an arm over the last hour.
fn minutes(world: &World<'_>, arm: &Arm) -> Vec<f64> {
    let start = arm.scrapes.len().saturating_sub(240);
    let mut points = Vec::with_capacity(60);
    for minute in arm.scrapes[start..].chunks(4) {
        let mut sum = Seen::default();
        minute.iter().flatten().for_each(|seen| add(&mut sum, seen));
        if sum.n > 0.0 {
            let latency = matches!(world.scenario.what, What::Latency(_));
            points.push(if latency { quantile(&sum.buckets) } else { sum.rated / sum.n });
        }
    }
    points
}

/// Whether green is higher: the lower 98 % bound of the Hodges–Lehmann shift is above a quarter of its median, and its
/// mean is not below blue's.
fn kayenta(world: &World<'_>) -> Option<bool> {
    let (green, blue) = (minutes(world, &world.green), minutes(world, &world.blue));
    let mut shifts: Vec<f64> = green.iter().flat_map(|g| blue.iter().map(move |b| g - b)).collect();
    if shifts.is_empty() {
        return None;
    }
    shifts.sort_by(f64::total_cmp);
    let (n, m) = (count(green.len()), count(blue.len()));
    let rank = (n * m / 2.0 - 2.326 * (n * m * (n + m + 1.0) / 12.0).sqrt()).floor();
    let lower = shifts.iter().zip(0_u32..).find(|(_, i)| f64::from(*i) >= rank.max(0.0)).map(|(shift, _)| *shift)?;
    let median = shifts[shifts.len() / 2];
    let mean = |points: &[f64]| points.iter().sum::<f64>() / count(points.len());
    Some(lower > 0.25 * median.abs() && mean(&green) >= mean(&blue))
}

fn count(items: usize) -> f64 {
    f64::from(u32::try_from(items).unwrap())
}
