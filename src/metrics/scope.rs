//! Which series are meant: those of one color, under the names of one exporter. Writes the selectors and what is counted
//! in them; never knows which metrics there are.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    promql::quoted,
    question::WINDOW,
    table::{Part, Series},
};

/// A Deployment's pods are named `<deployment>-<hash>-<five>`, but the part before the last five is cut at 58 characters.
const LONGEST_UNCUT: usize = 58 - "-0123456789-".len();

/// The series of one color.
pub(super) struct Scope<'a> {
    matchers: String,
    prefix: &'a str,
    native: bool,
}

impl<'a> Scope<'a> {
    /// The pods of a Deployment.
    pub(super) fn pods(namespace: &str, workload: &str) -> Self {
        Self::labelled("namespace", "pod", namespace, workload)
    }

    /// The pods of a Deployment where the scraper kept its own `namespace` and `pod` and renamed those of the exporter.
    pub(super) fn exported_pods(namespace: &str, workload: &str) -> Self {
        Self::labelled("exported_namespace", "exported_pod", namespace, workload)
    }

    fn labelled(namespace_label: &str, pod_label: &str, namespace: &str, workload: &str) -> Self {
        // A dot is the only character of a Kubernetes name that means something in a pattern.
        let name = workload.replace('.', r"\\.");
        let rest = if workload.len() <= LONGEST_UNCUT { "-[a-z0-9]+-[a-z0-9]+" } else { "-[a-z0-9]+(-[a-z0-9]+)?" };
        Self {
            matchers: format!(r#"{namespace_label}="{namespace}",{pod_label}=~"{name}{rest}""#),
            prefix: "",
            native: false,
        }
    }

    /// What the manifest says instead.
    pub(super) fn matching(labels: &BTreeMap<String, String>) -> Self {
        let mut matchers = String::new();
        for (label, value) in labels {
            let comma = if matchers.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(matchers, "{comma}{label}={}", quoted(value));
        }
        Self { matchers, prefix: "", native: false }
    }

    /// The same with something before every name.
    pub(super) fn prefixed(self, prefix: &'a str) -> Self {
        Self { prefix, ..self }
    }

    /// The same, and native histograms are asked for where there are no classic ones.
    pub(super) fn or_native(self, native: bool) -> Self {
        Self { native, ..self }
    }

    /// Whether native histograms are asked for.
    pub(super) const fn native(&self) -> bool {
        self.native
    }

    /// A selector.
    pub(super) fn select(&self, series: &Series) -> String {
        self.suffixed(series, series.part.map_or("", Part::suffix))
    }

    /// A selector of the native histogram that has this part.
    pub(super) fn whole(&self, series: &Series) -> String {
        self.suffixed(series, "")
    }

    /// A selector with something after the name: `_bucket`, `_sum`, `_count`.
    pub(super) fn suffixed(&self, series: &Series, suffix: &str) -> String {
        self.matched(&format!("{}{suffix}", series.name), series.with)
    }

    /// A selector with matchers beside those of the color.
    pub(super) fn matched(&self, name: &str, with: &str) -> String {
        let comma = if with.is_empty() { "" } else { "," };
        format!("{}{name}{{{}{comma}{with}}}", self.prefix, self.matchers)
    }
}

/// What a counter counted in the window, first events included: a counter of errors has no series before its first
/// error, and `increase` sees nothing in a series that begins at 1. One that was not there a window ago counts whole.
pub(super) fn events(selector: &str) -> String {
    let before = format!("{selector} offset {WINDOW}");
    format!("sum((increase({selector}[{WINDOW}]) and {before}) or ({selector} unless {before}))")
}

/// What a counter gained in the window.
pub(super) fn increase(selector: &str) -> String {
    format!("sum(increase({selector}[{WINDOW}]))")
}

/// What a counter gained by second.
pub(super) fn rate(selector: &str) -> String {
    format!("sum(rate({selector}[{WINDOW}]))")
}

/// How many series of a counter there are.
pub(super) fn present(selector: &str) -> String {
    format!("count(max_over_time({selector}[{WINDOW}]))")
}

/// What is read off now, if it was told in the window. A selector alone would repeat for five minutes what a server said
/// before it fell silent; what was said last in a window alone would repeat what a server said before it was gone.
pub(super) fn fresh(selector: &str) -> String {
    format!("({selector} and present_over_time({selector}[{WINDOW}]))")
}

/// How many native histograms there are.
pub(super) fn present_native(selector: &str) -> String {
    format!("count(present_over_time({selector}[{WINDOW}]))")
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_UNCUT, Scope};
    use crate::metrics::table::Series;

    #[test]
    fn cut_names_are_found_and_dots_are_dots() {
        let up = |workload: &str| Scope::pods("prod-1", workload).select(&Series { name: "up", with: "", part: None });
        let fits = "a".repeat(LONGEST_UNCUT);
        assert_eq!(format!("{fits}-0123456789-").len(), 58);
        assert_eq!(up(&fits), format!(r#"up{{namespace="prod-1",pod=~"{fits}-[a-z0-9]+-[a-z0-9]+"}}"#));
        let cut = "a".repeat(LONGEST_UNCUT + 1);
        assert_eq!(up(&cut), format!(r#"up{{namespace="prod-1",pod=~"{cut}-[a-z0-9]+(-[a-z0-9]+)?"}}"#));
        assert!(up("a.b").contains(r#""a\\.b-"#));
    }

    #[test]
    fn labels_of_the_manifest_stay_in_their_quotes() {
        let labels = [("model_id".to_owned(), "a\"b\\".to_owned()), ("team".to_owned(), "x".to_owned())].into();
        let scope = Scope::matching(&labels).prefixed("p_");
        let series = Series { name: "n", with: r#"code="1""#, part: None };
        assert_eq!(scope.suffixed(&series, "_sum"), r#"p_n_sum{model_id="a\"b\\",team="x",code="1"}"#);
    }
}
