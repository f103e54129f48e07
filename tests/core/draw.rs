//! Choices out of bytes: the same bytes choose the same, and bytes that have run out choose the plain thing. A fuzzer can
//! steer by them, and a seed can make them. Knows nothing of what is chosen.

use serde_json::{Value, json};

/// A source of choices.
pub(crate) struct Draw<'a>(std::slice::Iter<'a, u8>);

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    /// The last byte, which stays where it is.
    pub(crate) fn last(&self) -> Option<u8> {
        self.0.as_slice().last().copied()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// One of these; the first is the plain one.
    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()].clone()
    }

    /// One in four.
    pub(crate) fn sometimes(&mut self) -> bool {
        self.byte() >= 192
    }

    /// One in sixteen.
    pub(crate) fn rarely(&mut self) -> bool {
        self.byte() >= 240
    }

    /// The plain thing, rarely one of the odd ones.
    pub(crate) fn mostly<T: Clone>(&mut self, plain: T, odd: &[T]) -> T {
        if self.rarely() { self.pick(odd) } else { plain }
    }

    /// Changes one thing somewhere in a document, as another version of the program or a wrong hand would.
    pub(crate) fn twist(&mut self, document: &mut Value) {
        let mut paths = Vec::new();
        gather(document, String::new(), &mut paths);
        let place = usize::from(self.byte()) * 256 + usize::from(self.byte());
        let path = paths[place % paths.len()].clone();
        let choice = self.byte();
        let Some((parent, key)) = path.rsplit_once('/') else { return };
        if choice.is_multiple_of(4) {
            match document.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.remove(key)),
                Some(Value::Array(items)) => items.truncate(key.parse().unwrap_or_default()),
                _ => {}
            }
            return;
        }
        let Some(value) = document.pointer_mut(&path) else { return };
        match value {
            Value::Bool(flag) => *flag = !*flag,
            Value::Number(_) => *value = json!(self.pick(&NUMBERS)),
            Value::String(text) if text.ends_with('Z') && text.len() >= 20 => *value = json!(self.pick(&TIMES)),
            Value::String(_) => *value = json!(self.pick(&WORDS)),
            Value::Array(items) => items.extend(items.last().cloned()),
            Value::Object(map) => drop(map.insert("fromTomorrow".to_owned(), json!({"x": [1]}))),
            Value::Null => {}
        }
    }
}

fn gather(value: &Value, path: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| gather(v, format!("{path}/{key}"), into)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| gather(v, format!("{path}/{n}"), into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    into.push(path);
}

const NUMBERS: [i64; 15] = [0, 1, 2, 3, 5, 20, 50, 99, 100, 7, -1, 101, 1_000_000, 2_147_483_647, -2_147_483_648];
/// Around 2027-01-15T08:00:00Z, which is now, and far away from it.
const TIMES: [&str; 9] = [
    "2027-01-15T08:00:00Z",
    "2027-01-15T07:59:59Z",
    "2027-01-15T08:00:01Z",
    "2027-01-15T07:59:00Z",
    "2027-01-15T07:44:55Z",
    "2027-01-15T08:30:00Z",
    "2027-01-01T08:00:00Z",
    "0001-01-01T00:00:00Z",
    "9990-12-30T22:00:00Z",
];
const WORDS: [&str; 40] = [
    "",
    "blue",
    "green",
    "Idle",
    "Pending",
    "Preparing",
    "Shifting",
    "Holding",
    "AwaitingApproval",
    "Paused",
    "Baking",
    "Decommissioning",
    "Completed",
    "RollingBack",
    "RolledBack",
    "Blocked",
    "FromTomorrow",
    "Pass",
    "Fail",
    "NoData",
    "GateFailed",
    "Superseded",
    "Promoted",
    "Abort",
    "Warn",
    "Pause",
    "Rollback",
    "Hold",
    "60s",
    "1s",
    "0s",
    "168h",
    "1%",
    "$0.005",
    "requests",
    "errorRate",
    "errors",
    "nope",
    "Step/1",
    "2 of 3",
];
