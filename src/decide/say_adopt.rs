//! The words about a service that runs already and is taken over. Never decides.

use std::collections::BTreeMap;

use super::say::{Said, said};
use crate::api::Reason;

pub(super) fn taking_over(name: &str) -> Said {
    said(Reason::Adopting, format!("Deployment {name} is taken over as it stands"))
}

pub(super) fn taken_over(name: &str, as_written: bool) -> Said {
    let runs = if as_written { "runs what podTemplate says" } else { "is replaced by what podTemplate says" };
    said(Reason::Adopted, format!("Deployment {name} serves as blue, as it stands; it {runs}"))
}

pub(super) fn not_there(name: &str) -> Said {
    let write = "write the name of one in this namespace, or leave `adopt` out for a new service";
    said(Reason::NotAdoptable, format!("release.template.adopt: there is no Deployment {name}; {write}"))
}

pub(super) fn selects_otherwise(name: &str) -> Said {
    let what =
        format!("release.template.adopt: Deployment {name} tells its pods by expressions, which a Service cannot");
    said(Reason::NotAdoptable, format!("{what}; leave `adopt` out and move over by a route that names both"))
}

pub(super) fn selects_the_candidate(name: &str, selector: &BTreeMap<String, String>) -> Said {
    let labels: Vec<_> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let what =
        format!("what Deployment {name} tells its pods by ({}) is true of the candidate's too", labels.join(", "));
    let write = "give `release.template.podTemplate.metadata.labels` another value of one of them";
    said(Reason::NotAdoptable, format!("release.template.adopt: {what}, so they would get requests at once; {write}"))
}

pub(super) fn nothing_ready(name: &str) -> Said {
    said(
        Reason::NotAdoptable,
        format!("release.template.adopt: no pod of Deployment {name} is ready; it is waited for"),
    )
}
