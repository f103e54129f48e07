//! What was checked before the steps of an attempt and run beside them, as a table. Only reads the object.

use super::table::{Table, age};
use crate::api::{Moment, checked::Checked, status::Attempt};

/// Checks and hooks, in the order in which they began; nothing where there are none.
pub(super) fn checked(attempt: Option<&Attempt>, now: Moment) -> String {
    let Some(attempt) = attempt else { return String::new() };
    let all = [("check", &attempt.checks), ("hook", &attempt.hooks)];
    let mut table = Table::new(["CHECK", "STATE", "TRY", "SINCE", "MESSAGE"]);
    let mut any = false;
    for (what, one) in all.iter().flat_map(|(what, list)| list.iter().map(move |one| (*what, one))) {
        let Checked { name, state, at, tries, message } = one;
        let name = if what == "hook" { format!("hook {name}") } else { name.clone() };
        table.row([name, format!("{state:?}"), (*tries).max(1).to_string(), age(now.since(*at)), message.clone()]);
        any = true;
    }
    if any { table.text() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::checked;
    use crate::api::Moment;

    #[test]
    fn checks_and_hooks_stand_in_one_table() {
        let at = "2026-11-21T13:00:00Z";
        let attempt = json!({
            "id": 1, "revision": "r", "startedAt": at, "step": 0, "weight": 0, "clockFrom": at,
            "checks": [{"name": "backup", "state": "Running", "at": at, "tries": 2, "message": "try 1: no room"}],
            "hooks": [{"name": "afterStep/1/tell", "state": "Passed", "at": at}],
        });
        let now = Moment::from_unix(1_795_269_600);
        let told = checked(Some(&serde_json::from_value(attempt).unwrap()), now);
        let lines: Vec<String> =
            told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "CHECK STATE TRY SINCE MESSAGE",
                "backup Running 2 60m try 1: no room",
                "hook afterStep/1/tell Passed 1 60m",
            ]
        );
        assert_eq!(checked(None, now), "");
    }
}
