//! The manifests of the walks: what stands in every one, and the course that each gives a release. Never changes.

#![expect(clippy::struct_excessive_bools, reason = "a manifest says yes or no to many things")]

/// What the code under test is given, and what the laws have to know of it.
#[derive(Debug)]
pub(crate) struct Setting {
    course: &'static str,
    /// The shares of the steps, in order.
    pub(crate) steps: &'static [u8],
    /// How many windows follow 100 %.
    pub(crate) bakes: u8,
    /// What has to be approved before it happens.
    pub(crate) signs: &'static [&'static str],
    /// Whether the first gate asks a person instead of going back.
    pub(crate) asks: bool,
    /// Whether the old color is deleted; else it is scaled to zero.
    pub(crate) deletes: bool,
    /// Whether others have a say: another rollout must be done before, and somebody else may take our names.
    pub(crate) others: bool,
    /// Whether a revision that was good lately is not held.
    pub(crate) fast_track: bool,
}

/// Four steps, two gates: one whose missing data leads back, one whose missing data holds.
pub(crate) static MACHINE: Setting = Setting {
    course: r"
  steps:
  - {weight: 5, hold: 3s}
  - {weight: 20, hold: 3s}
  - {weight: 50, hold: 3s}
  - {weight: 100, hold: 3s}
  decommission: {drain: 3s}
",
    steps: &[5, 20, 50, 100],
    bakes: 0,
    signs: &[],
    asks: false,
    deletes: false,
    others: false,
    fast_track: false,
};

/// A dark step, a bake, an approval, a gate that asks, another rollout that comes first.
pub(crate) static PEOPLE: Setting = Setting {
    course: r"
  steps:
  - {weight: 0, hold: 3s}
  - {weight: 50, hold: 3s}
  - {weight: 100, hold: 3s}
  approvals:
  - {before: Full, roles: [lead]}
  bake:
  - {name: day, for: 3s}
  decommission: {drain: 3s, mode: Delete}
  dependsOn:
  - {name: embeddings}
",
    steps: &[0, 50, 100],
    bakes: 1,
    signs: &["Full"],
    asks: true,
    deletes: true,
    others: true,
    fast_track: false,
};

/// Approvals at both ends, and revisions that come back.
pub(crate) static RETURN: Setting = Setting {
    course: r"
  steps:
  - {weight: 50, hold: 3s}
  - {weight: 100, hold: 3s}
  approvals:
  - {before: Start, roles: [lead]}
  - {before: Decommission, roles: [lead]}
  bake:
  - {name: day, for: 3s}
  decommission: {drain: 3s}
  fastTrack: {revisions: 1, within: 1h}
",
    steps: &[50, 100],
    bakes: 1,
    signs: &["Start", "Decommission"],
    asks: false,
    deletes: false,
    others: false,
    fast_track: true,
};

const MANIFEST: &str = r#"
apiVersion: llmrollout.io/v1alpha1
kind: LlmRollout
metadata: {name: chat, namespace: llm, uid: uid-1, generation: 1, resourceVersion: "7", finalizers: [llmrollout.io/traffic]}
spec:
  release:
    template:
      port: 8000
      readyTimeout: 4s
      podTemplate:
        spec: {containers: [{name: server, image: "registry.example/chat:v1"}]}
  traffic:
  - service: {name: chat}
  - httpRoute: {name: chat}
  rollback: {deadline: 0s, verify: {quietFor: 0s, recoverWithin: 0s}}
  gates:
  - {name: errors, metric: errorRate, max: 1%, interval: 1s, window: 5s, severity: SEVERITY, noData: {budget: 5s, then: Rollback}}
  - {name: p95, metric: latency, quantile: "0.95", max: 1.5s, interval: 1s, window: 5s, noData: {budget: 5s, then: Hold}}
"#;

impl Setting {
    /// The manifest of the first revision.
    pub(crate) fn manifest(&self) -> String {
        let severity = if self.asks { "Pause" } else { "Rollback" };
        MANIFEST.replace("SEVERITY", severity) + self.course.trim_start_matches('\n')
    }

    /// The number of what has to be approved, if it has to.
    pub(crate) fn sign(&self, before: &str) -> Option<u8> {
        let at = self.signs.iter().position(|s| *s == before)?;
        u8::try_from(at).ok()
    }
}
