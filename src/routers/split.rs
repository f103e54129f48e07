//! Several weighted destinations, two of which are the colors: their shares, the weight of one percent, and the operations
//! that set the two weights and leave every other byte. Knows nothing of the object around them.

use serde_json::{Value, json};

use super::{Shares, Trouble, guard, trouble};
use crate::api::{Reason, status::Color};

/// One of the destinations.
pub(super) struct Destination {
    /// What it is called, for people.
    pub(super) name: String,
    /// The color that it is, if it is one.
    pub(super) color: Option<Color>,
    /// Its weight, if it has one.
    pub(super) weight: Option<i32>,
}

/// What the place is called, for people.
pub(super) struct Words<'a> {
    /// `rule of HTTPRoute chat`.
    pub(super) of: String,
    /// `backend`.
    pub(super) noun: &'static str,
    /// How both colors may stand there.
    pub(super) example: String,
    /// What blue and green are called.
    pub(super) colors: [&'a str; 2],
    /// What a weight that is left out means.
    pub(super) left_out: i32,
}

/// The colors among them.
pub(super) struct Split {
    pub(super) blue: usize,
    pub(super) green: usize,
    /// The weight of one percent.
    pub(super) each: i32,
    pub(super) shares: Shares,
    /// Whether that is literally what stands there.
    pub(super) exact: bool,
}

impl Split {
    /// Finds both colors and what they get, or says what to write instead.
    pub(super) fn of(words: &Words<'_>, all: &[Destination]) -> Result<Self, Trouble> {
        let at = |color: Color, name: &str| {
            all.iter().position(|d| d.color == Some(color)).ok_or_else(|| {
                trouble(
                    Reason::BackendMissing,
                    format!(
                        "a {} lacks the {} {name}; both colors must stand there from the start, for example {}",
                        words.of, words.noun, words.example
                    ),
                )
            })
        };
        let [blue, green] = words.colors;
        let (blue, green) = (at(Color::Blue, blue)?, at(Color::Green, green)?);
        let each = one_percent(words, all, [blue, green])?;
        let (shares, exact) = shares([&all[blue], &all[green]].map(|d| d.weight), words.left_out, each);
        Ok(Self { blue, green, each, shares, exact })
    }
}

/// The weight of one percent of what both colors get. Others keep theirs, and so the two together keep what they have,
/// which every share must be a whole part of.
fn one_percent(words: &Words<'_>, all: &[Destination], colors: [usize; 2]) -> Result<i32, Trouble> {
    let refused = |message| Err(trouble(Reason::UnmanagedBackend, message));
    let others = || all.iter().enumerate().filter(|(i, _)| !colors.contains(i)).map(|(_, other)| other);
    if let Some(twice) = others().find(|other| other.color.is_some()) {
        return refused(format!("the {} names {} twice; leave one of the two out", words.of, twice.name));
    }
    let Some(third) = others().next() else { return Ok(1) };
    let [blue, green] = colors.map(|i| &all[i]);
    let both = blue.weight.zip(green.weight).and_then(|(b, g)| b.checked_add(g)).unwrap_or(0);
    if both > 0 && both % 100 == 0 {
        return Ok(both / 100);
    }
    refused(format!(
        "the {} also sends to {}, which keeps its weight; so that every share of the colors can be written, their two weights must add up to 100 or a multiple of it: for example {} 900, {} 0 and {} 100 for nine tenths of all requests",
        words.of, third.name, blue.name, green.name, third.name
    ))
}

/// Percent of each, and whether that is literally what stands there.
fn shares(weights: [Option<i32>; 2], left_out: i32, each: i32) -> (Shares, bool) {
    let [b, g] = weights.map(|weight| i64::from(weight.unwrap_or(left_out)));
    let sum = (b + g).max(1);
    // Rounded so that a color which gets anything at all never reads as 0.
    let green_share = if b == 0 && g == 0 {
        0
    } else if b == 0 {
        100
    } else {
        ((g * 100 + sum - 1) / sum).min(99)
    };
    let green_share = i32::try_from(green_share).unwrap_or(100);
    let explicit = weights.iter().all(Option::is_some);
    let each = i64::from(each);
    // 1/0 says the same as 100/0: a user's own way to write "all" is left alone.
    let exact = explicit && (b + g == 100 * each && g % each == 0 || (b == 0) != (g == 0));
    (Shares { blue: 100 - green_share, green: green_share }, exact)
}

/// The two weights of a list, each guarded by what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Where the list stands: `/spec/rules/0/backendRefs`.
    pub list: String,
    /// What of each destination must be as it was read.
    pub field: &'static str,
    /// Index of blue's destination, and that field of it.
    pub blue: (usize, Value),
    /// The same of green's.
    pub green: (usize, Value),
    /// The weight of one percent.
    pub each: i32,
}

/// The operations that set both weights, explicitly, in one patch.
pub(super) fn write(version: &str, weights: &Weights, shares: Shares) -> Vec<Value> {
    let Weights { list, field, blue, green, each } = weights;
    let path = |(i, _): &(usize, Value), field: &str| format!("{list}/{i}/{field}");
    vec![
        guard(version),
        json!({"op": "test", "path": path(blue, field), "value": blue.1}),
        json!({"op": "test", "path": path(green, field), "value": green.1}),
        json!({"op": "add", "path": path(blue, "weight"), "value": shares.blue * each}),
        json!({"op": "add", "path": path(green, "weight"), "value": shares.green * each}),
    ]
}
