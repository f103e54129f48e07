//! What a load test of k6 leaves: which of its thresholds were crossed, in either form of its summary. Never repeats more of
//! it than the thresholds' own words.

use serde_json::Value;

/// The thresholds that were crossed, as `metric: expression`; an error where the words hold no threshold at all.
///
/// `handleSummary` is given `{"metrics": {"name": {"thresholds": {"p(95)<500": {"ok": false}}}}}`; `--summary-export` writes
/// the crossing itself: `{"metrics": {"name": {"thresholds": {"p(95)<500": true}}}}`.
pub fn crossed(words: &str) -> Result<Vec<String>, &'static str> {
    let summary: Value = serde_json::from_str(words).map_err(|_| "its last words are no JSON")?;
    let metrics = summary.get("metrics").and_then(Value::as_object);
    let mut crossed = Vec::new();
    let mut any = false;
    for (metric, of) in metrics.into_iter().flatten() {
        for (threshold, kept) in of.get("thresholds").and_then(Value::as_object).into_iter().flatten() {
            any = true;
            let is_kept = match kept {
                Value::Bool(crossed) => !crossed,
                told => told.get("ok").and_then(Value::as_bool).unwrap_or(false),
            };
            if !is_kept {
                crossed.push(format!("{metric}: {threshold}"));
            }
        }
    }
    if any {
        Ok(crossed)
    } else {
        Err("its last words hold no threshold of k6; write `metrics` of `handleSummary` there")
    }
}

#[cfg(test)]
mod tests {
    use super::crossed;

    #[test]
    fn thresholds_are_read_in_both_forms() {
        let told = |thresholds: &str| {
            crossed(&format!(r#"{{"metrics": {{"http_req_duration": {{"thresholds": {thresholds}}}, "vus": {{}}}}}}"#))
        };
        assert_eq!(told(r#"{"p(95)<500": {"ok": true}}"#), Ok(vec![]));
        assert_eq!(told(r#"{"p(95)<500": false}"#), Ok(vec![]));
        let one = Ok(vec!["http_req_duration: p(95)<500".to_owned()]);
        for bad in [r#"{"ok": false}"#, "true", "{}", "1", "null"] {
            assert_eq!(told(&format!(r#"{{"p(95)<500": {bad}, "p(99)<900": {{"ok": true}}}}"#)), one, "{bad}");
        }
    }

    #[test]
    fn no_threshold_is_no_proof() {
        for words in ["", "ok", "{}", r#"{"metrics": {}}"#, r#"{"metrics": {"vus": {"thresholds": {}}}}"#, "[]"] {
            assert!(crossed(words).is_err(), "{words}");
        }
    }
}
