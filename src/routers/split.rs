//! Several weighted destinations, two of which are the colors: their shares, the weight of one percent, and the operations
//! that set the two weights and leave every other byte. Knows nothing of the object around them.

use serde_json::{Value, json};

use super::{Shares, Trouble, guard, trouble};
use crate::api::{Percent, Reason, status::Color};

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
    pub(super) scale: Scale,
    pub(super) shares: Shares,
    /// Whether that is literally what stands there.
    pub(super) exact: bool,
    /// The color that was taken out by our own hand.
    pub(super) out: Option<Color>,
}

impl Split {
    /// Finds both colors and what they get, or says what to write instead. One that was taken out by our own hand is not
    /// missed: it gets nothing, and its place is where it stood.
    pub(super) fn of(words: &Words<'_>, all: &[Destination], out: Option<&Out>) -> Result<Self, Trouble> {
        let at = |color: Color| all.iter().position(|d| d.color == Some(color));
        let (blue, green) = (at(Color::Blue), at(Color::Green));
        let out = out.filter(|o| match o.color {
            Color::Blue => blue.is_none() && green.is_some(),
            Color::Green => green.is_none() && blue.is_some(),
        });
        let place = |color: Color, found: Option<usize>| match (found, out) {
            (Some(at), _) => Ok(at),
            (None, Some(o)) if o.color == color => Ok(o.at.min(all.len())),
            (None, _) => Err(words.missing(color)),
        };
        let (blue, green) = (place(Color::Blue, blue)?, place(Color::Green, green)?);
        let weight = |color: Color, at: usize| match out {
            Some(o) if o.color == color => Some(0),
            _ => all.get(at).and_then(|d| d.weight),
        };
        let weights = [weight(Color::Blue, blue), weight(Color::Green, green)];
        let scale = scale(words, all, weights)?;
        let (shares, exact) = shares(weights, words.left_out, scale);
        Ok(Self { blue, green, scale, shares, exact, out: out.map(|o| o.color) })
    }
}

impl Words<'_> {
    fn missing(&self, color: Color) -> Trouble {
        let [blue, green] = self.colors;
        let name = if color == Color::Blue { blue } else { green };
        trouble(
            Reason::BackendMissing,
            format!(
                "a {} lacks the {} {name}; both colors must stand there from the start, for example {}",
                self.of, self.noun, self.example
            ),
        )
    }
}

/// What the weights of both colors add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// For whole percents.
    both: i32,
    /// Others keep their weights, and so the two together keep what they have: every share must be a whole part of it.
    fixed: bool,
}

impl Scale {
    /// Nobody else stands there.
    pub const HUNDRED: Self = Self { both: 100, fixed: false };

    /// The weights of blue and green. Where nobody else stands beside them, tenths of a percent are told in thousandths.
    pub(super) fn weights(self, shares: Shares) -> [i32; 2] {
        let both = if self.fixed || shares.green.is_whole() { self.both } else { 1000 };
        let green = i64::from(shares.green.tenths()) * i64::from(both) / 1000;
        let green = i32::try_from(green).unwrap_or(both);
        [both - green, green]
    }

    /// Why this share cannot be written: what to write instead.
    pub(super) fn refuse(self, share: Percent) -> Option<String> {
        let fits = !self.fixed || i64::from(share.tenths()) * i64::from(self.both) % 1000 == 0;
        (!fits).then(|| {
            format!(
                "the two weights beside the others add up to {}, of which {share}% is no whole part; give them a sum of 1000, or a multiple of it",
                self.both
            )
        })
    }

    /// Whether that is how we would write a share.
    fn is_told(self, blue: i64, green: i64) -> bool {
        let (both, sum) = (i64::from(self.both), blue + green);
        // 1/0 says the same as 100/0: a user's own way to write "all" is left alone.
        (blue == 0) != (green == 0)
            || sum == both && green * 1000 % both == 0
            || !self.fixed && sum == 1000 && green % 10 != 0
    }
}

/// Others keep theirs, and so the two together keep what they have.
fn scale(words: &Words<'_>, all: &[Destination], weights: [Option<i32>; 2]) -> Result<Scale, Trouble> {
    let refused = |message| Err(trouble(Reason::UnmanagedBackend, message));
    for color in Color::BOTH {
        if let Some(twice) = all.iter().filter(|d| d.color == Some(color)).nth(1) {
            return refused(format!("the {} names {} twice; leave one of the two out", words.of, twice.name));
        }
    }
    let Some(third) = all.iter().find(|d| d.color.is_none()) else { return Ok(Scale::HUNDRED) };
    let [blue, green] = weights;
    let both = blue.zip(green).and_then(|(b, g)| b.checked_add(g)).unwrap_or(0);
    let named = |n: usize| {
        let found = all.iter().find(|d| d.color == Some(Color::BOTH[n]));
        found.map_or(words.colors[n], |d| d.name.as_str())
    };
    let [blue, green] = [0, 1].map(named);
    if both > 0 && both % 100 == 0 {
        return Ok(Scale { both, fixed: true });
    }
    refused(format!(
        "the {} also sends to {}, which keeps its weight; so that every share of the colors can be written, their two weights must add up to 100 or a multiple of it: for example {} 900, {} 0 and {} 100 for nine tenths of all requests",
        words.of, third.name, blue, green, third.name
    ))
}

/// What each gets, and whether that is literally what stands there.
fn shares(weights: [Option<i32>; 2], left_out: i32, scale: Scale) -> (Shares, bool) {
    let [b, g] = weights.map(|weight| i64::from(weight.unwrap_or(left_out)));
    let sum = (b + g).max(1);
    // Rounded so that a color which gets anything at all never reads as 0.
    let green_share = if b == 0 && g == 0 {
        0
    } else if b == 0 {
        1000
    } else {
        ((g * 1000 + sum - 1) / sum).min(999)
    };
    let green_share = i32::try_from(green_share).map_or(Percent::ALL, Percent::of_tenths);
    let exact = weights.iter().all(Option::is_some) && scale.is_told(b, g);
    (Shares::giving(Color::Green, green_share), exact)
}

/// A destination that was taken out by our own hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Out {
    /// The color.
    pub color: Color,
    /// Where it stood.
    pub at: usize,
    /// The whole of it.
    pub whole: Value,
}

/// The two weights of a list, each guarded by what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Where the list stands: `/spec/rules/0/backendRefs`.
    pub list: String,
    /// What of each destination must be as it was read.
    pub field: &'static str,
    /// Index of blue's destination, and the whole of it.
    pub blue: (usize, Value),
    /// The same of green's.
    pub green: (usize, Value),
    /// What they add up to.
    pub scale: Scale,
    /// The color that was taken out by our own hand: what stands here of it is what it was.
    pub out: Option<Color>,
}

/// The field of an entry that is no object but `[name, weight]`.
pub(super) const PAIR: &str = "0";

impl Weights {
    /// Where a color's destination stands, or stood, and the whole of it.
    pub(super) const fn of(&self, color: Color) -> &(usize, Value) {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }

    fn path(&self, color: Color, field: &str) -> String {
        format!("{}/{}{field}", self.list, self.of(color).0)
    }

    /// The guards: version, and the destinations that stand there.
    fn guards(&self, version: &str) -> Vec<Value> {
        let field = self.field;
        let there = Color::BOTH.into_iter().filter(|color| self.out != Some(*color));
        let test = |color: Color| json!({"op": "test", "path": self.path(color, &format!("/{field}")), "value": self.of(color).1.pointer(&format!("/{field}"))});
        std::iter::once(guard(version)).chain(there.map(test)).collect()
    }

    fn sets(&self, color: Color, weight: i32) -> Value {
        if self.field == PAIR {
            // Of a pair whose weight is left out there is nothing to replace but the whole.
            let pair = json!([self.of(color).1[0], weight]);
            return json!({"op": "replace", "path": self.path(color, ""), "value": pair});
        }
        json!({"op": "add", "path": self.path(color, "/weight"), "value": weight})
    }

    /// Puts back what was taken out, with this weight.
    fn puts_back(&self, color: Color, weight: i32) -> Value {
        let mut whole = self.of(color).1.clone();
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("weight".to_owned(), json!(weight));
        }
        json!({"op": "add", "path": self.path(color, ""), "value": whole})
    }
}

/// The operations that set both weights, explicitly, in one patch. What was taken out is put back if it is to get anything.
pub(super) fn write(version: &str, weights: &Weights, shares: Shares) -> Vec<Value> {
    set(version, weights, shares, false)
}

/// The same, and what was taken out is put back whatever it gets.
pub(super) fn put_back(version: &str, weights: &Weights, shares: Shares) -> Vec<Value> {
    set(version, weights, shares, true)
}

fn set(version: &str, weights: &Weights, shares: Shares, put_back: bool) -> Vec<Value> {
    let mut ops = weights.guards(version);
    let [blue, green] = weights.scale.weights(shares);
    let weight = |color: Color| if color == Color::Blue { blue } else { green };
    let there = Color::BOTH.into_iter().filter(|color| weights.out != Some(*color));
    ops.extend(there.map(|color| weights.sets(color, weight(color))));
    // Last: the places of the others are those that were read.
    let back = weights.out.filter(|color| put_back || shares.of(*color) > 0);
    ops.extend(back.map(|color| weights.puts_back(color, weight(color))));
    ops
}

/// The operations that give the other color everything and take this one out. The list is never left empty.
pub(super) fn take_out(version: &str, weights: &Weights, color: Color) -> Vec<Value> {
    let mut ops = weights.guards(version);
    ops.push(json!({"op": "test", "path": weights.path(color, ""), "value": weights.of(color).1}));
    ops.push(weights.sets(color.other(), weights.scale.both));
    ops.push(json!({"op": "remove", "path": weights.path(color, "")}));
    ops
}
