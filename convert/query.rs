//! A query of somebody else's as a gate asks it: what names the candidate becomes `{{green}}`, what looks back becomes
//! `{{window}}`. Text is only moved by what stands between quotes and braces; whether it is `PromQL` is asked of its reader.

use crate::metrics::Query;

/// A query as it could be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The query.
    pub text: String,
    /// How far it looked back, if that was written out once.
    pub window: Option<String>,
    /// What a person has to look at.
    pub remarks: Vec<String>,
}

/// Rewrites a query; `names_candidate` says which placeholders of it stand for the candidate.
pub fn carry(text: &str, names_candidate: &dyn Fn(&str) -> bool) -> Result<Carried, String> {
    let mut remarks = Vec::new();
    let (mut text, taken) = selectors(text, names_candidate);
    match taken.as_slice() {
        [] => {
            text = everywhere(&text);
            remarks.push("it named no candidate; `{{green}}`, the pods of the candidate, was put into every selector".to_owned());
        }
        taken => remarks.push(format!("`{{{{green}}}}`, the pods of the candidate, stands for {}", taken.join(" and "))),
    }
    let (text, windows) = windows(&text);
    let window = match windows.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            remarks.push(format!("it looked back {}; the gate has one window", many.join(" and ")));
            many.last().cloned()
        }
    };
    if let Some(rest) = placeholder(&text) {
        return Err(format!("`{{{{{rest}}}}}` has no value; write what stands for it"));
    }
    Query::read(&text, false).map(|_| ()).map_err(|e| e.replace('\n', " "))?;
    Ok(Carried { text, window, remarks })
}

/// A placeholder that is left and is not ours.
fn placeholder(text: &str) -> Option<&str> {
    let inside = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim);
    inside.into_iter().find(|word| !["green", "window"].contains(word))
}

/// Ranges become the window of the gate; gives how far each of them looked back, each once.
fn windows(text: &str) -> (String, Vec<String>) {
    let (mut out, mut windows) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((start, end)) = range(rest) {
        let (Some(before), Some(inside), Some(after)) = (rest.get(..start), rest.get(start..end), rest.get(end..)) else {
            break;
        };
        out.push_str(before);
        out.push_str("{{window}}");
        let inside = inside.trim().to_owned();
        if inside.starts_with(|c: char| c.is_ascii_digit()) && !windows.contains(&inside) {
            windows.push(inside);
        }
        rest = after;
    }
    out.push_str(rest);
    (out, windows)
}

/// The first range that is not a subquery: where its inside begins and ends.
fn range(text: &str) -> Option<(usize, usize)> {
    let plain: Vec<usize> = outside(text).filter(|(_, c)| *c == '[').map(|(n, _)| n).collect();
    plain.into_iter().find_map(|open| {
        let inside = text.get(open + 1..)?;
        let end = inside.find(']')?;
        let inside = inside.get(..end)?;
        (!inside.contains(':') && !inside.contains("{{window}}")).then_some((open + 1, open + 1 + end))
    })
}

/// Matchers that name the candidate become `{{green}}`; gives them.
fn selectors(text: &str, names_candidate: &dyn Fn(&str) -> bool) -> (String, Vec<String>) {
    let (mut out, mut taken, mut rest) = (String::new(), Vec::new(), text);
    while let Some(open) = outside(rest).find(|(_, c)| *c == '{').map(|(n, _)| n) {
        let (before, after) = rest.split_at(open + 1);
        let Some(close) = outside(after).find(|(_, c)| *c == '}').map(|(n, _)| n) else { break };
        let (inside, after) = after.split_at(close);
        let (named, other): (Vec<&str>, Vec<&str>) = matchers(inside).into_iter().partition(|m| names_candidate(m));
        out.push_str(before);
        if named.is_empty() {
            out.push_str(inside);
        } else {
            let green = [" {{green}} "].into_iter().chain(other).collect::<Vec<_>>();
            out.push_str(&green.join(","));
            for matcher in named.into_iter().map(|matcher| format!("`{}`", matcher.trim())) {
                if !taken.contains(&matcher) {
                    taken.push(matcher);
                }
            }
        }
        rest = after;
    }
    out.push_str(rest);
    (out, taken)
}

/// Every selector is about the candidate: those with braces, and names before a range.
fn everywhere(text: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    for (n, c) in outside(text) {
        let (Some(before), Some(after)) = (text.get(from..n), text.get(n + 1..)) else { break };
        let named = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let green = match c {
            '[' if named => "{ {{green}} }[",
            '{' if after.trim_start().starts_with('}') => "{ {{green}} ",
            '{' => "{ {{green}}, ",
            _ => continue,
        };
        out.push_str(before);
        out.push_str(green);
        from = n + 1;
    }
    out + text.get(from..).unwrap_or_default()
}

/// The matchers between two braces.
fn matchers(inside: &str) -> Vec<&str> {
    let mut cuts: Vec<usize> = outside(inside).filter(|(_, c)| *c == ',').map(|(n, _)| n).collect();
    cuts.push(inside.len());
    let mut from = 0;
    let mut all = Vec::new();
    for cut in cuts {
        all.extend(inside.get(from..cut).filter(|matcher| !matcher.trim().is_empty()));
        from = cut + 1;
    }
    all
}

/// Characters outside of quotes.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut escaped) = (None, false);
    text.char_indices().filter(move |(_, c)| match quote {
        Some(end) => {
            if *c == end && !escaped {
                quote = None;
            }
            escaped = *c == '\\' && !escaped;
            false
        }
        None if ['"', '\'', '`'].contains(c) => {
            quote = Some(*c);
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::carry;

    fn of(text: &str) -> Result<(String, Option<String>, usize), String> {
        let named = |matcher: &str| matcher.contains("{{args.");
        carry(text, &named).map(|c| (c.text, c.window, c.remarks.len()))
    }

    #[test]
    fn what_names_the_candidate_becomes_green() {
        let text = r#"sum(rate(ok{service="{{args.service}}",code!~"5.*"}[5m])) / sum(rate(all{service="{{args.service}}"}[5m]))"#;
        let expected =
            r#"sum(rate(ok{ {{green}} ,code!~"5.*"}[{{window}}])) / sum(rate(all{ {{green}} }[{{window}}]))"#;
        assert_eq!(of(text), Ok((expected.to_owned(), Some("5m".to_owned()), 1)));
    }

    #[test]
    fn without_a_name_every_selector_is_about_the_candidate() {
        let text = r#"sum(rate(bad_total{path="/a[b"}[1m])) / sum(rate(all_total[2m]))"#;
        let expected = r#"sum(rate(bad_total{ {{green}}, path="/a[b"}[{{window}}])) / sum(rate(all_total{ {{green}} }[{{window}}]))"#;
        assert_eq!(of(text), Ok((expected.to_owned(), Some("2m".to_owned()), 2)));
    }

    #[test]
    fn what_has_no_value_or_is_no_query_is_refused() {
        assert!(of("sum(up{a=\"{{args.x}}\"}) > {{ inputs.limit }}").unwrap_err().contains("has no value"));
        assert!(of("sum(rate(").is_err());
        assert!(of("sum(up)").unwrap_err().contains("{{green}}"), "a bare name is not told from a function");
    }
}
