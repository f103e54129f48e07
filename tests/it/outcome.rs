//! What stays on record when a write was refused: a step is not claimed, a decision to go home is not forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response};
use kube::{Client, client::Body};
use llmrollout::{
    act::{Hands, act},
    api::{LlmRollout, LlmRolloutStatus, Moment, Phase, Reason, status::Attempt},
    decide::{
        Decision, Intent, Snapshot,
        intent::News,
        snapshot::{ColorSeen, PriceListSeen},
    },
    record,
    routers::{GuardedPatch, PatchKind},
};
use serde_json::json;

fn decision(latched: bool) -> Decision {
    let patch = GuardedPatch { kind: PatchKind::HttpRoute, namespace: None, name: "chat".into(), ops: vec![] };
    let next = LlmRolloutStatus {
        phase: Some(if latched { Phase::RollingBack } else { Phase::Holding }),
        reason: Some(if latched { Reason::GateFailed } else { Reason::Holding }),
        aborted_revision: latched.then(|| "r2".to_owned()),
        attempt: None::<Attempt>,
        ..LlmRolloutStatus::default()
    };
    Decision {
        beside: Vec::new(),
        calls: BTreeMap::new(),
        intents: vec![Intent::Patch(patch)],
        next,
        latched,
        home: latched,
        wants_live: false,
        news: vec![News { warning: latched, reason: Reason::GateFailed, message: "errors 20% > 1%".into() }],
        judged: vec![],
        wake: None,
        asks: BTreeSet::new(),
        odds: vec![],
        meant: None,
    }
}

/// A rollout in the middle of a step, and nothing else.
fn seen() -> Snapshot {
    let mut rollout: LlmRollout = serde_saphyr::from_str(include_str!("../scenarios/manifest.yaml")).unwrap();
    rollout.status = Some(LlmRolloutStatus { phase: Some(Phase::Shifting), ..LlmRolloutStatus::default() });
    Snapshot {
        now: Moment::from_unix(1_800_000_000),
        watching_since: Moment::from_unix(1_800_000_000),
        rollout: Arc::new(rollout),
        live: true,
        blue: ColorSeen::default(),
        green: ColorSeen::default(),
        routers: vec![],
        rival: None,
        readings: BTreeMap::new(),
        orders: vec![],
        dependencies: vec![],
        gate_sets: BTreeMap::new(),
        price_list: PriceListSeen::Missing,
        grants: Vec::new(),
        jobs: BTreeMap::new(),
        cron_jobs: BTreeMap::new(),
        succeeded: BTreeMap::new(),
        called: BTreeMap::new(),
        offers: Arc::default(),
        adoptee: None,
        meant: None,
    }
}

/// The status and the number of news after the API server answered the one write with `code`.
async fn after(latched: bool, code: u16) -> (LlmRolloutStatus, usize) {
    let service = tower::service_fn(move |_: Request<Body>| async move {
        let body = if code == 200 {
            json!({})
        } else {
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "x", "code": code})
        };
        Ok::<_, std::io::Error>(
            Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap(),
        )
    });
    let hands = Hands {
        client: Client::new(service, "llm"),
        deadline: Duration::from_secs(1),
        may_write: Arc::new(|| true),
        webhooks: Arc::default(),
    };
    let decision = decision(latched);
    let acted = act(&decision, ["llm", "chat"], &hands).await;
    let (status, news) = record::outcome(&seen(), &decision, &acted);
    (status, news.len())
}

#[tokio::test]
async fn a_rollback_is_on_record_though_its_write_was_refused() {
    for code in [200, 404, 409, 422, 429, 500, 503] {
        let (status, news) = after(true, code).await;
        assert_eq!(status.phase, Some(Phase::RollingBack), "{code}");
        assert_eq!(status.aborted_revision.as_deref(), Some("r2"), "{code}");
        assert_eq!(news, 1, "{code}");
    }
    let (status, _) = after(true, 403).await;
    assert_eq!((status.phase, status.reason), (Some(Phase::RollingBack), Some(Reason::Forbidden)));
    assert_eq!(status.aborted_revision.as_deref(), Some("r2"));
}

#[tokio::test]
async fn a_step_is_not_claimed_when_its_write_was_refused() {
    assert_eq!(after(false, 200).await.0.phase, Some(Phase::Holding));
    for code in [404, 409, 422, 429, 500, 503] {
        let (status, news) = after(false, code).await;
        assert_eq!((status.phase, news), (Some(Phase::Shifting), 0), "{code}");
    }
    let (status, _) = after(false, 403).await;
    assert_eq!((status.phase, status.reason), (Some(Phase::Blocked), Some(Reason::Forbidden)));
}
