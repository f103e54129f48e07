//! The book: it lists every reason there is in the code's own words, and its links lead somewhere. Never its style.

use llmrollout::api::Reason;

use crate::files::{below, read, top};

#[test]
fn every_reason_is_listed_with_its_explanation() {
    let page = read(&top("docs/reasons.md"));
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> =
        Reason::ALL.iter().map(|(reason, why)| format!("| `{reason}` | {} |", why.trim())).collect();
    assert_eq!(listed, expected, "docs/reasons.md must list Reason::ALL in order, one `| `Word` | explanation |` each");
}

#[test]
fn every_reason_has_a_place_in_the_runbook() {
    let page = read(&top("docs/runbook.md"));
    let missing: Vec<_> = Reason::ALL.iter().filter(|(reason, _)| !page.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "docs/runbook.md does not name {missing:?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = below(&top("docs"), ".md");
    pages.push(top("README.md"));
    for page in pages {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let leads = file.is_empty() || link.contains("://") || page.parent().unwrap().join(file).exists();
            assert!(leads, "{}: {link} leads nowhere", page.display());
        }
    }
}
