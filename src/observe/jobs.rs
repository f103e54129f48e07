//! Jobs that are run for gates, and their pods' last words → what a decision may know of them. Pure translation: fetching is
//! `observe::mod`.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{LlmRollout, Moment, gates::Gate},
    decide::snapshot::{GateSetSeen, GateSets, JobSeen},
};

/// The label under which the API server's own controller names a pod's Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// The Jobs of one rollout, by name: those that it owns.
pub(super) fn jobs(rollout: &LlmRollout, jobs: &[Arc<Job>], pods: &[Arc<Pod>]) -> BTreeMap<String, JobSeen> {
    let owned = |job: &&Arc<Job>| job.owner_references().iter().any(|o| Some(&o.uid) == rollout.metadata.uid.as_ref());
    jobs.iter().filter(owned).map(|job| (job.name_any(), seen(job, pods))).collect()
}

fn seen(job: &Job, pods: &[Arc<Pod>]) -> JobSeen {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ends = conditions.filter(|c| c.status == "True" && matches!(c.type_.as_str(), "Complete" | "Failed"));
    let Some(end) = ends.next() else { return JobSeen::Running };
    if end.type_ == "Failed" {
        let why = match end.reason.as_deref() {
            Some("DeadlineExceeded") => "it took longer than its `timeout`",
            Some("BackoffLimitExceeded") => "its pods failed too often",
            _ => "it failed",
        };
        return JobSeen::Failed { why, words: last_words(of(job, pods)) };
    }
    let completed = job.status.as_ref().and_then(|status| status.completion_time.as_ref());
    let at = completed.or(end.last_transition_time.as_ref()).map_or_else(Moment::default, |at| at.0.into());
    JobSeen::Done { at, words: words(of(job, pods)) }
}

/// The pods of a Job.
fn of<'a>(job: &Job, pods: &'a [Arc<Pod>]) -> impl Iterator<Item = &'a Pod> {
    let (namespace, name) = (job.namespace(), job.name_any());
    let own = move |pod: &&Arc<Pod>| pod.namespace() == namespace && pod.labels().get(JOB_NAME) == Some(&name);
    pods.iter().filter(own).map(AsRef::as_ref)
}

/// What the pod that failed last left as its termination message, if it left any.
fn last_words<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<String> {
    let ended = pods.flat_map(|pod| pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()));
    let ended = ended.filter_map(|c| c.state.as_ref()?.terminated.as_ref());
    let told = ended.filter(|t| t.exit_code != 0 && t.message.as_ref().is_some_and(|m| !m.trim().is_empty()));
    told.max_by_key(|t| t.finished_at.as_ref().map(|at| at.0)).and_then(|t| t.message.clone())
}

/// What the pod that ended well left as its termination message.
fn words<'a>(pods: impl Iterator<Item = &'a Pod>) -> Result<String, &'static str> {
    let mut left = Vec::new();
    let mut any = false;
    for pod in pods.filter(|pod| pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"))) {
        any = true;
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let ended = containers.filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.message.clone());
        left.extend(ended.filter(|words| !words.trim().is_empty()));
    }
    match left.len() {
        1 => left.pop().ok_or("its pod left no termination message"),
        0 if !any => Err("its pod is not there to be asked for its last words"),
        0 => Err("its pod left no termination message"),
        _ => Err("several of its containers left a termination message; one may"),
    }
}

/// The `CronJobs` that a rollout, or a set of its gates, names, as far as they are there.
pub(super) fn cron_jobs(
    rollout: &LlmRollout,
    sets: &GateSets,
    named: impl Fn(&str) -> Option<Arc<CronJob>>,
) -> BTreeMap<String, Arc<CronJob>> {
    let of_sets = sets.values().flat_map(|set| match set {
        GateSetSeen::There(gates) => gates.as_slice(),
        GateSetSeen::Missing => &[],
    });
    let spec = &rollout.spec;
    let of_gates = spec.gates.iter().chain(of_sets).filter_map(|gate: &Gate| Some(&gate.job.as_ref()?.cron_job));
    let of_smoke = spec.smoke.iter().map(|s| &s.job);
    let of_checks =
        spec.preflight.iter().flat_map(|c| [&c.job, &c.k6]).chain(of_smoke).flatten().map(|run| &run.cron_job);
    let hooks =
        spec.hooks.iter().flat_map(|h| [&h.after_step, &h.before_rollback, &h.after_rollback, &h.after_promotion]);
    let of_hooks = hooks.flatten().map(|hook| &hook.job.cron_job);
    of_gates.chain(of_checks).chain(of_hooks).filter_map(|name| Some((name.clone(), named(name)?))).collect()
}

/// Their templates.
pub(super) fn templates(cron_jobs: &BTreeMap<String, Arc<CronJob>>) -> BTreeMap<String, Value> {
    let template = |(name, cron_job): (&String, &Arc<CronJob>)| {
        let template = cron_job.spec.as_ref().map(|spec| spec.job_template.clone())?;
        Some((name.clone(), serde_json::to_value(template).ok()?))
    };
    cron_jobs.iter().filter_map(template).collect()
}

/// When a Job of theirs last ended well, as far as one has.
pub(super) fn succeeded(cron_jobs: &BTreeMap<String, Arc<CronJob>>) -> BTreeMap<String, Moment> {
    let last = |cron_job: &CronJob| Some(cron_job.status.as_ref()?.last_successful_time.as_ref()?.0.into());
    cron_jobs.iter().filter_map(|(name, cron_job)| Some((name.clone(), last(cron_job)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
    use serde_json::{Value, json};

    use super::{cron_jobs, jobs, succeeded, templates};
    use crate::{
        api::{LlmRollout, Moment},
        decide::snapshot::{GateSetSeen, GateSets, JobSeen},
    };

    const DONE: &str = "2026-09-21T14:13:20Z";

    fn rollout() -> LlmRollout {
        let mut rollout: LlmRollout =
            serde_saphyr::from_str(include_str!("../../tests/scenarios/manifest.yaml")).unwrap();
        rollout.metadata.uid = Some("uid-1".into());
        rollout
    }

    fn job(owner: &str, conditions: &Value) -> Arc<Job> {
        let metadata = json!({"name": "chat-1", "namespace": "llm", "ownerReferences": [
            {"apiVersion": "x/v1", "kind": "LlmRollout", "name": "chat", "uid": owner},
        ]});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": conditions}})).unwrap())
    }

    fn pod(phase: &str, messages: &[&str]) -> Arc<Pod> {
        let ended = |message: &&str| {
            let state = json!({"terminated": {"exitCode": 0, "message": message}});
            json!({"name": "c", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": state})
        };
        let labels = json!({"batch.kubernetes.io/job-name": "chat-1"});
        let statuses: Vec<Value> = messages.iter().map(ended).collect();
        let pod = json!({
            "metadata": {"name": "p", "namespace": "llm", "labels": labels},
            "status": {"phase": phase, "containerStatuses": statuses},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn seen(conditions: &Value, pods: &[Arc<Pod>]) -> JobSeen {
        jobs(&rollout(), &[job("uid-1", conditions)], pods).remove("chat-1").unwrap()
    }

    fn complete() -> Value {
        json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True", "lastTransitionTime": DONE}])
    }

    #[test]
    fn only_what_the_rollout_owns_is_its_job() {
        assert!(jobs(&rollout(), &[job("uid-2", &json!([]))], &[]).is_empty());
        assert_eq!(jobs(&rollout(), &[job("uid-1", &json!([]))], &[]).len(), 1);
    }

    #[test]
    fn a_job_runs_until_it_says_how_it_ended() {
        assert_eq!(seen(&json!([]), &[pod("Succeeded", &["{}"])]), JobSeen::Running);
        assert_eq!(seen(&json!([{"type": "Complete", "status": "False"}]), &[]), JobSeen::Running);
        for (reason, why) in
            [("DeadlineExceeded", "`timeout`"), ("BackoffLimitExceeded", "too often"), ("Other", "it failed")]
        {
            let failed = json!([{"type": "Failed", "status": "True", "reason": reason}]);
            assert!(
                matches!(seen(&failed, &[]), JobSeen::Failed { why: said, words: None } if said.contains(why)),
                "{reason}"
            );
        }
    }

    #[test]
    fn the_last_words_are_those_of_the_one_container_that_left_any() {
        let at = Moment::from_unix(1_790_000_000);
        let words = |pods: &[Arc<Pod>]| match seen(&complete(), pods) {
            JobSeen::Done { at: end, words } => {
                assert_eq!(end, at);
                words
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(words(&[pod("Failed", &["old"]), pod("Succeeded", &["", "{\"a\":1}"])]), Ok("{\"a\":1}".to_owned()));
        assert!(words(&[]).unwrap_err().contains("not there"));
        assert!(words(&[pod("Failed", &["{}"])]).unwrap_err().contains("not there"));
        assert!(words(&[pod("Succeeded", &[" "])]).unwrap_err().contains("no termination message"));
        assert!(words(&[pod("Succeeded", &["{}", "{}"])]).unwrap_err().contains("several"));
    }

    #[test]
    fn a_job_that_failed_is_told_with_the_words_of_its_last_pod() {
        let ended = |at: &str, code: i32, message: &str| {
            let mut told = serde_json::to_value(&*pod("Failed", &[message])).unwrap();
            let end = &mut told["status"]["containerStatuses"][0]["state"]["terminated"];
            (end["exitCode"], end["finishedAt"]) = (json!(code), json!(at));
            Arc::new(serde_json::from_value::<Pod>(told).unwrap())
        };
        let failed = json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]);
        let pods = [
            ended("2026-09-21T14:13:22Z", 1, "no room"),
            ended("2026-09-21T14:13:20Z", 2, "first try"),
            ended("2026-09-21T14:13:30Z", 0, "a container that was well"),
        ];
        let JobSeen::Failed { words, .. } = seen(&failed, &pods) else { panic!("it failed") };
        assert_eq!(words.as_deref(), Some("no room"));
    }

    #[test]
    fn templates_are_those_that_gates_name_wherever_the_gates_stand() {
        let mut rollout = rollout();
        let gate = |cron_job: &str| {
            serde_json::from_value(json!({"name": cron_job, "job": {"cronJob": cron_job, "value": "a"}, "min": "1"}))
                .unwrap()
        };
        rollout.spec.gates = vec![gate("own"), gate("gone")];
        let sets: GateSets =
            [("a".to_owned(), GateSetSeen::There(vec![gate("of-a-set")])), ("b".to_owned(), GateSetSeen::Missing)]
                .into();
        let template = json!({"spec": {"template": {"spec": {"containers": []}}}});
        let cron_job = |name: &str| {
            let status = if name == "own" { json!({"lastSuccessfulTime": DONE}) } else { json!({}) };
            json!({"metadata": {}, "spec": {"schedule": "", "jobTemplate": template}, "status": status})
        };
        rollout.spec.preflight = serde_json::from_value(json!([
            {"name": "a", "job": {"cronJob": "of-a-check"}}, {"name": "b", "k6": {"cronJob": "of-k6"}},
        ]))
        .unwrap();
        let hook = |cron_job: &str| json!([{"name": "a", "job": {"cronJob": cron_job}}]);
        let hooks = json!({"afterStep": hook("after-step"), "beforeRollback": hook("before"), "afterRollback": hook("after"), "afterPromotion": hook("promoted")});
        rollout.spec.hooks = Some(serde_json::from_value(hooks).unwrap());
        let named = cron_jobs(&rollout, &sets, |name| {
            (name != "gone").then(|| Arc::new(serde_json::from_value(cron_job(name)).unwrap()))
        });
        let found = templates(&named);
        let all = ["after", "after-step", "before", "of-a-check", "of-a-set", "of-k6", "own", "promoted"];
        assert_eq!(found.keys().collect::<Vec<_>>(), all);
        assert_eq!(succeeded(&named), [("own".to_owned(), Moment::from_unix(1_790_000_000))].into());
        assert!(found["own"]["spec"]["template"].is_object());
    }
}
