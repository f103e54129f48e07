//! Figures read back out of what status says of a gate, in base units: for curves and bars. Nothing is decided on them.

use super::unit::Limit;
use crate::api::status::GateStatus;

/// A gate's newest value and the bounds it is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// The value; none without data.
    pub value: Option<f64>,
    /// The smallest that holds, where one is demanded.
    pub least: Option<f64>,
    /// The largest that holds, where one is demanded.
    pub most: Option<f64>,
}

impl Told {
    /// What a gate's status says, as far as it says numbers in one unit.
    pub fn of(gate: &GateStatus) -> Self {
        let value = Limit::read(&gate.value).ok();
        let like = |limit: Option<Limit>| {
            limit.filter(|limit| value.is_none_or(|value| value.is_like(*limit))).map(Limit::value)
        };
        let (least, most) = bounds(&gate.limit);
        Self { value: value.map(Limit::value), least: like(least), most: like(most) }
    }
}

/// `1%`, `≥99%`, `60%…80%`, `=0`, `$0.032±20%`, `5% over 1.5s`.
fn bounds(limit: &str) -> (Option<Limit>, Option<Limit>) {
    let read = |text: &str| Limit::read(text).ok();
    if let Some(least) = limit.strip_prefix('≥') {
        return (read(least), None);
    }
    if let Some(both) = limit.strip_prefix('=').and_then(read) {
        return (Some(both), Some(both));
    }
    if let Some((least, most)) = limit.split_once('…') {
        return (read(least), read(most));
    }
    if let Some((middle, part)) = limit.split_once('±') {
        let around = |sign: f64| Some(read(middle)?.with(read(middle)?.value() * (1.0 + sign * read(part)?.value())));
        return (around(-1.0), around(1.0));
    }
    (None, read(limit.split(" over ").next().unwrap_or(limit)))
}

#[cfg(test)]
mod tests {
    use super::Told;
    use crate::api::status::{GateStatus, VerdictWord};

    fn told(value: &str, limit: &str) -> Told {
        let (name, value, limit) = (String::new(), value.to_owned(), limit.to_owned());
        let empty = || String::new();
        Told::of(&GateStatus {
            name,
            verdict: VerdictWord::Pass,
            value,
            limit,
            compared: empty(),
            color: None,
            window: empty(),
            query: empty(),
            samples: None,
            at: None,
            no_data_since: None,
            reason: empty(),
            step: 1,
        })
    }

    #[test]
    fn every_form_of_a_limit_is_read() {
        let all = |value, least, most| Told { value, least, most };
        for (value, limit, expected) in [
            ("0.4%", "1%", all(Some(0.004), None, Some(0.01))),
            ("800ms", "1.5s", all(Some(0.8), None, Some(1.5))),
            ("$0.0041", "$0.005", all(Some(0.0041), None, Some(0.005))),
            ("99.5%", "≥99%", all(Some(0.995), Some(0.99), None)),
            ("70%", "60%…80%", all(Some(0.7), Some(0.6), Some(0.8))),
            ("3", "=0", all(Some(3.0), Some(0.0), Some(0.0))),
            ("$0.5", "$0.5±20%", all(Some(0.5), Some(0.4), Some(0.6))),
            ("3.1%", "5% over 1.5s", all(Some(0.031), None, Some(0.05))),
            ("", "1%", all(None, None, Some(0.01))),
        ] {
            assert_eq!(told(value, limit), expected, "{value} {limit}");
        }
    }

    #[test]
    fn what_is_no_number_of_one_unit_is_left_out() {
        let nothing_but = |value| Told { value, least: None, most: None };
        assert_eq!(told("-", "1.2×"), nothing_but(None));
        assert_eq!(told("40ms", "5% over 1.5s"), nothing_but(Some(0.04)));
        assert_eq!(told("4", "none firing"), nothing_but(Some(4.0)));
    }
}
