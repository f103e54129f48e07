//! Words of `PromQL` around expressions that are ready: alternatives, the larger of two, sums of parts. Never a name of a
//! metric and never a label of a cluster.

/// The first of several expressions that has a result. All have the same labels, or none.
pub(super) fn either(alternatives: &[String]) -> String {
    match alternatives {
        [one] => one.clone(),
        many => format!("({})", many.iter().map(|a| format!("({a})")).collect::<Vec<_>>().join(" or ")),
    }
}

/// Several samples without labels, of which some may be missing, folded into one (`max`, `sum`). The label keeps `or`
/// from dropping all but the first.
pub(super) fn folded(fold: &str, parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        many => {
            let told = |(n, part): (usize, &String)| format!(r#"label_replace({part}, "part", "{n}", "", "")"#);
            format!("{fold}({})", many.iter().enumerate().map(told).collect::<Vec<_>>().join(" or "))
        }
    }
}

/// `a / b`, and nothing where nothing was counted.
pub(super) fn ratio(a: &str, b: &str) -> String {
    format!("{a} / ({b} > 0)")
}

/// An expression that is nothing where it has no result.
pub(super) fn or_zero(expression: &str) -> String {
    format!("({expression} or vector(0))")
}

/// A text as it stands between quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str(r#"\""#),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            '\t' => out.push_str(r"\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{either, folded, quoted};

    #[test]
    fn one_alternative_is_left_as_it_is() {
        let [a, b] = ["a".to_owned(), "b".to_owned()];
        assert_eq!(either(std::slice::from_ref(&a)), "a");
        assert_eq!(either(&[a.clone(), b.clone()]), "((a) or (b))");
        assert_eq!(folded("max", std::slice::from_ref(&a)), "a");
        assert!(folded("sum", &[a, b]).starts_with(r#"sum(label_replace(a, "part", "0", "", "") or label_replace(b"#));
    }

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted("a\"} or vector(1)\\\n"), r#""a\"} or vector(1)\\\n""#);
    }
}
