//! Claims about an API server that is slow, silent, busy or broken, seen by the operator alone: a candidate whose figures go bad
//! loses its share as soon as a write comes through, whatever came before, and nothing goes forward. Figures are told, not judged.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::stand::{Stand, is_holding, serves};
use crate::kit::{
    Film, KitError, Space, Weights, Wish, claim,
    operator::Install,
    process::{Plan, Process},
    proxy::{Fault, Proxy, Rule, When},
    rogue::{Manner, Rogue},
    space::phase,
};

/// Less than the longest wait after a failure that is not in the way of traffic that goes back, which is two minutes.
const SOON: Duration = Duration::from_mins(1);
/// A step forward waits longer after failures.
const STEP_AGAIN: Duration = Duration::from_mins(3);
/// How long a fault lasts at least.
const LASTS: Duration = Duration::from_secs(6);
const GOOD: [Manner; 3] = [Manner::Value("1"); 3];
const BAD: [Manner; 3] = [Manner::Value("2"); 3];
const ALL: &[&str] = &[];
const WRITES: &[&str] = &["create", "delete", "patch", "update"];
const HOME: Weights = Weights { blue: 100, green: 0 };

/// What happens to the operator's requests.
struct Trouble {
    name: &'static str,
    /// What the figure is called: from the bad figures, or from the end of the trouble where nothing comes through before, to blue.
    figure: &'static str,
    harm: fn(&Proxy),
    /// Whether nothing can come through before it is over.
    closed: bool,
}

const TROUBLES: &[Trouble] = &[
    Trouble {
        name: "slow",
        figure: "f12_slow_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(ALL, "/", Fault::Delay(Duration::from_secs(1)))),
        closed: false,
    },
    Trouble {
        name: "hangs",
        figure: "f7_after_hanging_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(ALL, "/", Fault::Hang)),
        closed: true,
    },
    Trouble {
        name: "busy",
        figure: "f11_after_429_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(ALL, "/", Fault::Status { code: 429, retry_after: Some(600) })),
        closed: true,
    },
    Trouble {
        name: "broken",
        figure: "f12_after_503_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(ALL, "/", Fault::Status { code: 503, retry_after: None })),
        closed: true,
    },
    Trouble {
        name: "no-leader",
        figure: "f12_after_no_etcd_leader_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(WRITES, "/", Fault::Status { code: 500, retry_after: None })),
        closed: true,
    },
    Trouble {
        name: "forbidden",
        figure: "f13_after_403_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(WRITES, "/httproutes/", Fault::Status { code: 403, retry_after: None })),
        closed: true,
    },
    Trouble {
        name: "reset",
        figure: "f6_after_resets_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(ALL, "/", Fault::Drop(When::Before))),
        closed: true,
    },
    Trouble {
        name: "lost",
        figure: "f8_replies_lost_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(WRITES, "/", Fault::Drop(When::After)).nth(1, 3)),
        closed: false,
    },
    Trouble {
        name: "cut",
        figure: "f8_replies_cut_to_blue_ms",
        harm: |proxy| proxy.rule(Rule::new(WRITES, "/", Fault::Truncate(20)).nth(1, 3)),
        closed: false,
    },
    Trouble {
        name: "silent",
        figure: "f16_watches_silent_to_blue_ms",
        harm: |proxy| proxy.freeze(true),
        closed: false,
    },
];

/// A release in its first step, by an operator behind a proxy.
struct Halfway {
    space: Space,
    rogue: Rogue,
    proxy: Proxy,
    rollout: Film,
    route: Film,
    operator: Process,
    plan: Plan,
}

fn wish(version: &str, hold: &str) -> Wish {
    let gate = json!([{
        "name": "good", "query": "max(figure{ {{green}} })", "max": "1.5", "interval": "1s", "window": "10s", "minSamples": 1,
        "failures": "1 of 1", "noData": {"budget": "10m", "then": "Rollback"},
    }]);
    // Late before the trouble is over.
    let rollback = json!({"rollback": {"deadline": "3s", "verify": {"quietFor": "0s", "recoverWithin": "0s"}}});
    let wish = Wish { replicas: 1, gates: gate, ..Wish::new(version).steps(&[(50, hold), (100, "600s")]) };
    wish.more(&rollback)
}

impl Halfway {
    async fn reach(
        stand: &Stand,
        name: &str,
        token: &str,
        elects: Option<&Install>,
        hold: &str,
    ) -> Result<Self, KitError> {
        let ground = &stand.space.ground;
        let space = Space::fresh(ground, &format!("{}-{name}", stand.short())).await?;
        let rogue = Rogue::start(ground).await?;
        rogue.be(GOOD);
        let proxy = Proxy::before_the_api_server(ground).await?;
        let plan = Plan::new(ground, [&space.name, "one"], &proxy, token, &provider(&rogue.url))?;
        let plan = if let Some(account) = elects { plan.elects(account) } else { plan };
        space.install(&wish("v1", hold)).await?;
        let (rollout, route) = (space.film().await?, space.film_route().await?);
        let operator = plan.start()?;
        rollout.until("v1 serves", SOON, serves).await?;
        let applied = space.apply(&wish("v2", hold).manifest()).await?;
        rollout.until_applied(&applied).await?;
        rollout.until("50%", SOON, |rollout| is_holding(rollout, 50)).await?;
        Ok(Self { space, rogue, proxy, rollout, route, operator, plan })
    }

    /// Waits until the gate has passed: what comes next is not the first thing asked.
    async fn good(&self) -> Result<(), KitError> {
        let passes = |rollout: &Value| rollout["status"]["gates"][0]["verdict"] == "Pass";
        self.rollout.until("the gate passes", SOON, passes).await.map(drop)
    }

    async fn home_since(&self, since: Instant) -> Result<Duration, KitError> {
        let home = self.route.until("home", SOON, |route| Weights::of(route) == HOME).await?;
        Ok(home.at.saturating_duration_since(since))
    }

    /// It ends taken back, and green's share only ever fell.
    async fn ends(self) -> Result<(), KitError> {
        let back = |rollout: &Value| phase(rollout) == "RolledBack";
        self.rollout.until("taken back", SOON, back).await?;
        let greens: Vec<_> =
            crate::kit::space::weights_seen(&self.route).iter().map(|(weights, _)| weights.green).collect();
        claim(greens == [0, 50, 0], || format!("{}: green's weights were {greens:?}", self.space.name))?;
        let log = self.plan.log();
        claim(!log.contains("panicked"), || log)?;
        // What is left of it ends with the lab.
        let _ = self.space.delete().await;
        Ok(())
    }
}

fn provider(url: &str) -> Value {
    json!({"name": "default", "url": url, "timeoutSeconds": 2})
}

async fn goes_home(stand: &Stand, token: &str, trouble: &Trouble) -> Result<(), KitError> {
    let one = Halfway::reach(stand, trouble.name, token, None, "600s").await?;
    one.good().await?;
    (trouble.harm)(&one.proxy);
    one.rogue.be(BAD);
    let mut since = Instant::now();
    if trouble.closed {
        tokio::time::sleep(LASTS).await;
        let weights = one.space.weights().await?;
        claim(weights.green == 50, || {
            format!("{}: nothing could come through, and it stands at {weights:?}", trouble.name)
        })?;
        claim(one.proxy.harmed(), || format!("{}: the operator asked for nothing", trouble.name))?;
        one.proxy.forgive();
        since = Instant::now();
    }
    stand.note(trouble.figure, one.home_since(since).await?);
    one.proxy.forgive();
    if trouble.name == "forbidden" {
        // Status could be written all the while.
        let told = |rollout: &Value| !rollout["status"]["attempt"]["late"].is_null();
        let seen = one.rollout.until("it is told that it takes long", SOON, told).await?;
        let late =
            seen.object.as_deref().map(|r| r["status"]["attempt"]["late"]["message"].clone()).unwrap_or_default();
        let whole =
            late.as_str().is_some_and(|text| text.contains("good 2") && text.contains("give the operator's role"));
        claim(whole, || format!("late is {late}"))?;
    }
    one.ends().await
}

/// Ten troubles with the API server, and the way home through each.
pub(super) async fn bad_figures_lead_home_through_every_trouble_with_the_api_server(
    stand: &Stand,
) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    try_join_all(TROUBLES.iter().map(|trouble| goes_home(stand, &token, trouble))).await?;
    account.uninstall().await
}

/// Rollouts beside the one that goes home.
const CROWD: usize = 40;

/// A route of its own for each, and a rollout that drives it.
fn crowd(number: usize, revision: &str) -> [Value; 2] {
    let name = format!("crowd-{number}");
    let backend = |color: &str, weight: u32| json!({"name": format!("{name}-{color}"), "port": 8000, "weight": weight});
    let rules = json!([{"backendRefs": [backend("blue", 100), backend("green", 0)]}]);
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "none"}], "rules": rules},
    });
    let mut rollout = Wish { traffic: json!([{"httpRoute": {"name": name}}]), gates: json!([]), ..Wish::new(revision) };
    rollout.more =
        json!({"release": {"external": {"revision": revision}}, "metrics": {"profile": "none"}, "manual": true});
    let mut rollout = rollout.steps(&[(50, "600s"), (100, "600s")]).manifest();
    rollout["metadata"]["name"] = json!(name);
    [route, rollout]
}

/// Two score and more passes wait for an API server that does not answer about their routes; one rollout goes home as if
/// they were not there.
pub(super) async fn a_crowd_that_waits_keeps_nobody_from_going_home(stand: &Stand) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    let one = Halfway::reach(stand, "crowd", &token, None, "600s").await?;
    one.good().await?;
    let mut films = Vec::new();
    for number in 0..CROWD {
        let [route, rollout] = crowd(number, "v1");
        one.space.apply(&route).await?;
        one.space.apply(&rollout).await?;
        films.push(Film::start(one.space.rollouts(), &format!("crowd-{number}")).await?);
    }
    for film in &films {
        film.until("v1 was found serving", SOON, |rollout| rollout["status"]["activeRevision"] == "v1").await?;
    }
    for number in 0..CROWD {
        one.proxy.rule(Rule::new(&["get"], format!("/httproutes/crowd-{number}"), Fault::Hang));
    }
    for number in 0..CROWD {
        one.space.apply(&crowd(number, "v2")[1]).await?;
    }
    let end = Instant::now() + SOON;
    // More than the places that there are for passes.
    while one.proxy.harms() < CROWD / 2 {
        claim(Instant::now() < end, || format!("{} of the crowd have asked", one.proxy.harms()))?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.rogue.be(BAD);
    let took = one.home_since(Instant::now()).await?;
    stand.note("f7_beside_a_crowd_to_blue_ms", took);
    // Each of them waits four seconds for its answer: a place behind one of them would come later.
    claim(took < Duration::from_secs(2), || format!("it was home after {} ms", took.as_millis()))?;
    one.proxy.forgive();
    one.ends().await?;
    account.uninstall().await
}

/// While the API server takes no status, no share is raised, though every gate passes: the step comes when it does again.
pub(super) async fn nothing_goes_forward_while_status_cannot_be_written(stand: &Stand) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    let one = Halfway::reach(stand, "status", &token, None, "4s").await?;
    one.good().await?;
    one.proxy.rule(Rule::new(&["patch"], "/llmrollouts/chat/status", Fault::Status { code: 503, retry_after: None }));
    tokio::time::sleep(LASTS).await;
    let weights = one.space.weights().await?;
    claim(weights.green == 50 && one.proxy.harmed(), || format!("without a status it stands at {weights:?}"))?;
    one.proxy.forgive();
    let since = Instant::now();
    let raised = one.route.until("100%", STEP_AGAIN, |route| Weights::of(route).green == 100).await?;
    stand.note("step_after_status_ms", raised.at.saturating_duration_since(since));
    account.uninstall().await
}

/// A provider whose answers are cut is no provider: nothing moves, and an abort does.
pub(super) async fn answers_cut_on_the_way_move_nothing(stand: &Stand) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    let one = Halfway::reach(stand, "provider", &token, None, "600s").await?;
    one.good().await?;
    let between = Proxy::before(&one.rogue.url).await?;
    let plan = Plan::new(&stand.space.ground, [&one.space.name, "two"], &one.proxy, &token, &provider(&between.url))?;
    one.operator.signal(Signal::KILL);
    let _second = plan.start()?;
    one.good().await?;
    between.rule(Rule::new(ALL, "/", Fault::Truncate(30)));
    let silent = |rollout: &Value| rollout["status"]["gates"][0]["verdict"] == "NoData";
    one.rollout.until("no data", SOON, silent).await?;
    claim(between.harmed(), || "nothing was cut".to_owned())?;
    let since = Instant::now();
    one.space.change(&json!({"abort": true})).await?;
    stand.note("abort_to_blue_ms", one.home_since(since).await?);
    one.ends().await?;
    account.uninstall().await
}

/// The leader stands still for more than its lease; the other takes traffic back; what was the leader writes nothing more.
pub(super) async fn leader_that_stood_still_writes_nothing_more(stand: &Stand) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    let one = Halfway::reach(stand, "stopped", &token, Some(&account), "600s").await?;
    one.good().await?;
    let beside = Proxy::before_the_api_server(&stand.space.ground).await?;
    let plan = Plan::new(&stand.space.ground, [&one.space.name, "two"], &beside, &token, &provider(&one.rogue.url))?
        .elects(&account);
    let _second = plan.start()?;
    one.operator.signal(Signal::STOP);
    one.rogue.be(BAD);
    let since = Instant::now();
    stand.note("f4_leader_stopped_to_blue_ms", one.home_since(since).await?);
    // The standby takes traffic home before the lease has run out; whoever wakes up then has lost it.
    tokio::time::sleep(LASTS).await;
    // What it had sent before it stood still may have been answered since.
    let woken = Instant::now();
    one.operator.signal(Signal::CONT);
    tokio::time::sleep(LASTS).await;
    let late: Vec<_> =
        one.proxy.trace().into_iter().filter(|seen| seen.at >= woken && seen.writes() && seen.took()).collect();
    let lines: Vec<_> = late.iter().map(crate::kit::proxy::Seen::line).collect();
    claim(lines.is_empty(), || format!("who had stood still wrote:\n{}", lines.join("\n")))?;
    one.ends().await?;
    account.uninstall().await
}

/// A leader that alone is cut off from its provider keeps the step; the other replica, which is not, takes traffic home
/// without the lease. The leader finds it moved, and nothing is raised again.
pub(super) async fn standby_takes_home_what_a_blind_leader_keeps(stand: &Stand) -> Result<(), KitError> {
    let (account, token) = stand.account().await?;
    let one = Halfway::reach(stand, "blind", &token, Some(&account), "600s").await?;
    one.good().await?;
    let ground = &stand.space.ground;
    let (beside, figures) = (Proxy::before_the_api_server(ground).await?, Rogue::start(ground).await?);
    let between = Proxy::before(&figures.url).await?;
    figures.be(GOOD);
    let plan = Plan::new(ground, [&one.space.name, "two"], &beside, &token, &provider(&between.url))?.elects(&account);
    let _second = plan.start()?;
    let since = Instant::now();
    while between.trace().is_empty() {
        claim(since.elapsed() < SOON, || format!("the other replica asks nothing: {}", plan.log()))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    one.rogue.be([Manner::Silent; 3]);
    figures.be(BAD);
    let since = Instant::now();
    stand.note("leader_blind_to_blue_ms", one.home_since(since).await?);
    one.ends().await?;
    let moved =
        |seen: &crate::kit::proxy::Seen| seen.writes() && seen.took() && seen.object().starts_with("httproutes/");
    claim(beside.trace().iter().any(moved), || format!("somebody else moved the route: {}", plan.log()))?;
    account.uninstall().await
}
