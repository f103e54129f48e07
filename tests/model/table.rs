//! What is the same in every state: the manifest, its three revisions, and the hashes of everything that is applied,
//! all of them made by the code under test.

use std::{collections::BTreeMap, sync::Arc};

use llmrollout::{
    api::{LlmRollout, labels, status::Color},
    decide::{
        release::wanted,
        snapshot::Offers,
        workload::{self, Made, Role},
    },
};
use serde_json::json;

use super::{setting::Setting, state::Deployed};

/// Names and limits of the gates, in order.
pub(crate) const GATES: [(&str, &str, f64); 2] = [("errors", "1%", 0.01), ("p95", "5% over 1.5s", 0.05)];
/// How many revisions there are.
pub(crate) const REVISIONS: u8 = 3;

/// The tables.
pub(crate) struct Table {
    pub(crate) setting: &'static Setting,
    pub(crate) rollouts: Vec<LlmRollout>,
    pub(crate) revisions: Vec<String>,
    pub(crate) limits: [String; 2],
    applied: BTreeMap<String, (Color, Option<Deployed>)>,
    notes: BTreeMap<(Color, u8, bool), (String, String)>,
    services: BTreeMap<Color, String>,
    offers: [Arc<Offers>; 2],
}

impl Table {
    pub(crate) fn new(setting: &'static Setting) -> Self {
        let first: LlmRollout = serde_saphyr::from_str(&setting.manifest()).expect("the manifest parses");
        let rollouts: Vec<LlmRollout> = (1..=REVISIONS)
            .map(|n| {
                let mut one = first.clone();
                let image = json!(format!("registry.example/chat:v{n}"));
                one.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] = image;
                one
            })
            .collect();
        let revisions = rollouts.iter().map(|r| wanted(&r.spec.release).unwrap()).collect();
        let offers = |known: &[&str]| {
            Arc::new(Offers { providers: known.iter().map(|k| (*k).to_owned()).collect(), ..Offers::default() })
        };
        let mut table = Self {
            setting,
            limits: GATES.map(|(_, limit, _)| limit.to_owned()),
            rollouts,
            revisions,
            applied: BTreeMap::new(),
            notes: BTreeMap::new(),
            services: BTreeMap::new(),
            offers: [offers(&[]), offers(&["default"])],
        };
        for color in Color::BOTH {
            table.learn(color);
        }
        table
    }

    fn learn(&mut self, color: Color) {
        let service = workload::service(Made::of(&self.rollouts[0]).unwrap(), color);
        let hash = workload::note(&service, labels::APPLIED).expect("a hash").to_owned();
        self.applied.insert(hash.clone(), (color, None));
        self.services.insert(color, hash);
        for revision in 1..=REVISIONS {
            for role in [Role::Candidate, Role::Active] {
                let at = usize::from(revision) - 1;
                let made = Made::of(&self.rollouts[at]).unwrap();
                let owned = workload::deployment(made, color, &self.revisions[at], role, 1);
                let note = |key| workload::note(&owned, key).expect("a note").to_owned();
                let deployed = Deployed { revision, active_role: role == Role::Active, retired: false };
                self.applied.insert(note(labels::APPLIED), (color, Some(deployed)));
                let notes = (note(labels::APPLIED), note(labels::TEMPLATE));
                self.notes.insert((color, revision, deployed.active_role), notes);
            }
        }
    }

    /// What an applied object is, by the hash it carries.
    pub(crate) fn applied(&self, hash: &str) -> Option<(Color, Option<Deployed>)> {
        self.applied.get(hash).copied()
    }

    /// The hashes that a Deployment carries: of what was applied, and of its pods.
    pub(crate) fn notes(&self, color: Color, deployed: Deployed) -> &(String, String) {
        &self.notes[&(color, deployed.revision, deployed.active_role)]
    }

    /// The hash that a color's Service carries.
    pub(crate) fn service(&self, color: Color) -> &str {
        &self.services[&color]
    }

    /// The operator's configuration, with or without the provider.
    pub(crate) fn offers(&self, known: bool) -> Arc<Offers> {
        Arc::clone(&self.offers[usize::from(known)])
    }

    /// 1 for the first revision, 0 for none.
    pub(crate) fn number(&self, revision: Option<&String>) -> u8 {
        let Some(revision) = revision else { return 0 };
        let at = self.revisions.iter().position(|r| r == revision).expect("a revision of the model");
        u8::try_from(at).expect("few") + 1
    }

    /// The revision with a number, none for 0.
    pub(crate) fn revision(&self, number: u8) -> Option<String> {
        number.checked_sub(1).map(|at| self.revisions[usize::from(at)].clone())
    }
}
