//! A condition of Argo's (`result[0] >= 0.95`) as a limit. Only what compares one number with another is understood; what
//! is not is never guessed.

/// What a condition demands of the number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// It may not be below.
    pub min: Option<String>,
    /// It may not be above.
    pub max: Option<String>,
    /// It must be this count.
    pub equals: Option<String>,
    /// What it says of missing data, which no gate takes for good.
    pub about_missing: bool,
}

/// Reads a condition under which a sample is good; with `bad`, one under which it is bad.
pub fn read(text: &str, bad: bool) -> Option<Demand> {
    let mut demand = Demand::default();
    let text = text.trim();
    let (ands, ors) = (text.contains("&&"), text.contains("||"));
    let parts: Vec<&str> = text.split("&&").flat_map(|part| part.split("||")).map(str::trim).collect();
    let (missing, limits): (Vec<&str>, Vec<&str>) = parts.into_iter().partition(|part| is_about_missing(part));
    demand.about_missing = !missing.is_empty();
    // Two limits belong together by `and` where both are good, by `or` where both are bad.
    if limits.len() > 1 && (if bad { ands } else { ors }) {
        return None;
    }
    for part in limits {
        let (sign, number) = comparison(part)?;
        let slot = match (sign, bad) {
            (">" | ">=", false) | ("<" | "<=", true) => &mut demand.min,
            ("<" | "<=", false) | (">" | ">=", true) => &mut demand.max,
            ("==", false) | ("!=", true) if !number.contains('.') => &mut demand.equals,
            _ => return None,
        };
        if slot.replace(number).is_some() {
            return None;
        }
    }
    let some = demand.min.is_some() || demand.max.is_some() || demand.equals.is_some();
    let alone = demand.equals.is_none() || (demand.min.is_none() && demand.max.is_none());
    (some && alone).then_some(demand)
}

/// `isNaN(result[0])`, `len(result) == 0`, `result == nil` and what they are negated to.
fn is_about_missing(part: &str) -> bool {
    let part: String = part.chars().filter(|c| !c.is_whitespace() && !"()!".contains(*c)).collect();
    ["isNaN", "isInf", "len", "isNil", "resultnil", "result==nil", "result=nil"].iter().any(|word| part.starts_with(word))
}

/// `result[0] >= 0.95`, with the number as a manifest may write it.
fn comparison(part: &str) -> Option<(&str, String)> {
    let part = part.trim_matches(['(', ')', ' ']);
    let at = part.find(['<', '>', '=', '!'])?;
    let (left, rest) = part.split_at(at);
    let sign = [">=", "<=", "==", "!=", ">", "<"].into_iter().find(|sign| rest.starts_with(sign))?;
    let number = rest.strip_prefix(sign)?.trim();
    let left: String = left.chars().filter(|c| !c.is_whitespace()).collect();
    let is_result = ["result", "result[0]", "float(result[0])", "asFloat(result[0])", "asInt(result[0])"];
    let is_result = is_result.contains(&left.as_str());
    let plain = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).is_some();
    (is_result && plain && !number.contains(['e', 'E', '+'])).then(|| (sign, number.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Demand, read};

    #[test]
    fn comparisons_become_limits() {
        let limits = |min: Option<&str>, max: Option<&str>, equals: Option<&str>, about_missing| {
            let own = |text: Option<&str>| text.map(ToOwned::to_owned);
            Some(Demand { min: own(min), max: own(max), equals: own(equals), about_missing })
        };
        for (text, bad, expected) in [
            ("result[0] >= 0.95", false, limits(Some("0.95"), None, None, false)),
            ("result <= 5", false, limits(None, Some("5"), None, false)),
            ("result[0] > 0.05", true, limits(None, Some("0.05"), None, false)),
            ("result[0] < 0.95", true, limits(Some("0.95"), None, None, false)),
            ("result[0] >= 0.6 && result[0] <= 0.8", false, limits(Some("0.6"), Some("0.8"), None, false)),
            ("result[0] < 0.6 || result[0] > 0.8", true, limits(Some("0.6"), Some("0.8"), None, false)),
            ("len(result) == 0 || isNaN(result[0]) || result[0] <= 0.01", false, limits(None, Some("0.01"), None, true)),
            ("result[0] == 0", false, limits(None, None, Some("0"), false)),
        ] {
            assert_eq!(read(text, bad), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_limit_is_not_guessed() {
        for text in [
            "result[0] >= 0.6 || result[0] <= 0.8",
            "all(result, # < 0.05)",
            "result.successRate >= 0.9",
            "result[0] >= result[1]",
            "result[0] == 0.5",
            "result[0] >= -1",
            "true",
            "len(result) == 0",
            "",
        ] {
            assert_eq!(read(text, false), None, "{text}");
        }
    }
}
