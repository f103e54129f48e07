//! Claims about a rule that also sends to a backend of the users' own: its part stays what it is, and the two colors share
//! the rest.

use std::time::Duration;

use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{Film, KitError, LoadPlan, Wish, claim, recipe};

const STEP: Duration = Duration::from_secs(40);
/// A tenth of all requests, and nine for the colors.
const THIRD: (&str, i64) = ("legacy", 100);

/// The legacy service: pods and Service of the users' own, of a version of its own.
async fn legacy(stand: &Stand) -> Result<(), KitError> {
    let mut template = Wish::new(THIRD.0).manifest()["spec"]["release"]["template"]["podTemplate"].clone();
    template["metadata"]["labels"] = json!({"app": THIRD.0});
    let name = json!({"name": THIRD.0});
    let selector = json!({"app": THIRD.0});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": name,
        "spec": {"replicas": 1, "selector": {"matchLabels": selector}, "template": template},
    });
    stand.space.apply(&deployment).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": name,
        "spec": {"selector": selector, "ports": [{"port": 8000}]},
    });
    stand.space.apply(&service).await.map(drop)
}

/// The weights of the rule in its order: legacy, blue, green.
fn all_weights(film: &Film) -> Vec<[i64; 3]> {
    let mut seen: Vec<[i64; 3]> = Vec::new();
    for object in film.frames().iter().filter_map(|frame| frame.object.clone()) {
        let weight = |n: usize| object["spec"]["rules"][0]["backendRefs"][n]["weight"].as_i64().unwrap_or(-1);
        let now = [weight(0), weight(1), weight(2)];
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    seen
}

/// 900 and 0 beside 100: a half is 450 and 450, all of it 0 and 900, and a tenth of the requests stays where it was.
pub(super) async fn a_third_backend_keeps_its_part(stand: &Stand) -> Result<(), KitError> {
    legacy(stand).await?;
    stand.space.install(&Wish::new("v1")).await?;
    let mut route = recipe::route(&stand.space.ground.gateway, &stand.space.host());
    let backend = |name: &str, weight: i64| json!({"name": name, "port": 8000, "weight": weight});
    let backends = [backend(THIRD.0, THIRD.1), backend("chat-blue", 900), backend("chat-green", 0)];
    route["spec"]["rules"][0]["backendRefs"] = backends.into_iter().collect::<Value>();
    stand.space.apply(&route).await?;
    let service = stand.serve_installed(&LoadPlan::default()).await?;
    service.apply(stand, &Wish::new("v2").steps(&[(50, "6s"), (100, "6s")]).manifest()).await?;
    service.holding(50, STEP).await?;
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let report = stand.end(service.load).await?;
    claim(report.failed == 0, || report.words())?;
    let seen = all_weights(&service.route);
    let from = seen.iter().position(|weights| weights[0] == THIRD.1).unwrap_or(0);
    claim(seen[from..] == [[100, 900, 0], [100, 450, 450], [100, 0, 900]], || format!("the weights were {seen:?}"))?;
    let half = report.phase("50%");
    let of = |version: &str| half.by_version.get(version).map_or(0, |side| side.requests);
    let (third, all) = (of(THIRD.0), half.requests);
    // A tenth, as far as some hundred requests tell.
    claim(all > 100 && third * 4 > all / 10 && third < all / 4, || format!("{third} of {all} went to {}", THIRD.0))
}
