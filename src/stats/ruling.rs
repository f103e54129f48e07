//! What the evidence of several gates says together: Fail by all of them, Pass by each, or which of them lacks what. Adds up
//! no evidence of its own.

use super::{gate::Evidence, wealth::mix};

/// Why a step may not be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    /// The evidence does not suffice yet.
    Evidence,
    /// Scrapes of green are missing.
    Gap,
    /// More bad requests than requests.
    Inconsistent,
    /// Samples bear times that are yet to come.
    Ahead,
    /// Green does not get its share.
    Split,
    /// Both break the limit.
    Environment,
}

/// What several gates say together.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// Green is worse than blue; the gate that says so most, by its place, and the log of what all say.
    Fail {
        /// The gate to blame.
        gate: usize,
        /// The log of the evidence of all.
        ln: f64,
    },
    /// The step may be left now.
    Pass,
    /// Neither: which gates do not pass, by their places, and why.
    Undecided(Vec<(usize, Block)>),
}

/// Reads gates together: Fail when the mean of their evidence, weighted as given, reaches one over `alpha_fail`; Pass when
/// every gate passes by itself. No gate is no evidence.
pub fn judge(gates: &[(f64, Evidence)], alpha_fail: f64) -> Ruling {
    let all: f64 = gates.iter().map(|(weight, _)| weight.max(0.0)).sum();
    let parts: Vec<(f64, f64)> = gates.iter().map(|(weight, e)| (weight.max(0.0) / all, blame(e))).collect();
    let ln = mix(parts.iter().copied());
    if ln >= -alpha_fail.ln() {
        let worst = parts.iter().enumerate().max_by(|(_, a), (_, b)| (a.0.ln() + a.1).total_cmp(&(b.0.ln() + b.1)));
        return Ruling::Fail { gate: worst.map_or(0, |(gate, _)| gate), ln };
    }
    let blocked: Vec<_> = gates.iter().enumerate().filter_map(|(i, (_, e))| Some((i, block(e, alpha_fail)?))).collect();
    if gates.is_empty() || !blocked.is_empty() { Ruling::Undecided(blocked) } else { Ruling::Pass }
}

/// What counts towards Fail; a limit that both arms break blames nobody.
fn blame(evidence: &Evidence) -> f64 {
    if evidence.environment || evidence.fail.is_nan() { f64::NEG_INFINITY } else { evidence.fail }
}

/// Green that keeps a limit that blue breaks may go on: it may be the cure.
fn block(evidence: &Evidence, alpha_fail: f64) -> Option<Block> {
    let Evidence { health, .. } = evidence;
    let everywhere = evidence.environment && evidence.fail >= -alpha_fail.ln();
    // Written so that a figure that is none blocks.
    let enough = evidence.pass >= evidence.needed_pass;
    [
        (everywhere, Block::Environment),
        (health.inconsistent, Block::Inconsistent),
        (health.ahead, Block::Ahead),
        (health.gap, Block::Gap),
        (evidence.split_wrong, Block::Split),
        (!enough, Block::Evidence),
    ]
    .into_iter()
    .find_map(|(blocks, why)| blocks.then_some(why))
}
