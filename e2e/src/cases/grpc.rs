//! Claims about a service of gRPC behind a `GRPCRoute`: calls over HTTP/2, whose trailers say what became of them, follow the
//! weights forward and back. No `HTTPRoute` is there.

use std::time::Duration;

use serde_json::json;

use super::{
    promote::{gets_nothing, share_fits},
    rollback::figures_of,
    stand::{Service, Stand, is_promoted},
};
use crate::kit::{
    Film, KitError, Load, LoadPlan, Wish, claim,
    load::Failure,
    recipe::{self, NAME, ROUTE},
    space,
};

const STEP: Duration = Duration::from_secs(40);

fn wish(version: &str) -> Wish {
    Wish { traffic: json!([{"service": {"name": NAME}}, {"grpcRoute": {"name": NAME}}]), ..Wish::new(version) }
}

async fn serve(stand: &Stand) -> Result<Service, KitError> {
    let space = &stand.space;
    space.apply(&recipe::front()).await?;
    space.apply(&recipe::grpc_route(&space.ground.gateway, &space.host())).await?;
    space.apply(&wish("v1").manifest()).await?;
    let (rollout, route) = (space.film().await?, Film::start(space.api(ROUTE, "GRPCRoute"), NAME).await?);
    rollout.until("the first version serves", STEP, is_promoted).await?;
    space.poll_calls(Duration::from_secs(10)).await?;
    let load = Load::start(space, &LoadPlan { grpc: true, ..LoadPlan::default() }).await?;
    Ok(Service { rollout, route, load })
}

/// v2 goes 5 → 20 → 50 → 100 and every call ends with `grpc-status: 0`; a third of v3's fail in the engine and end with another status, and it is
/// taken back; the color Services ask the gateway for HTTP/2.
pub(super) async fn grpc_route_is_promoted_and_taken_back(stand: &Stand) -> Result<(), KitError> {
    let service = serve(stand).await?;
    service.apply(stand, &wish("v2").manifest()).await?;
    for weight in [5, 20, 50, 100] {
        service.moved_to(weight, STEP).await?;
    }
    service.rollout.until("v2 is promoted", STEP, is_promoted).await?;
    let green = stand.space.get("v1", "Service", "chat-green").await?;
    let asked = &green["spec"]["ports"][0]["appProtocol"];
    claim(asked == "kubernetes.io/h2c", || format!("the color's Service asks for {asked}"))?;
    service.load.mark("v3 comes").await?;
    service.apply(stand, &wish("v3").with("SIM_STREAM_ERROR_SHARE", "0.3").manifest()).await?;
    let back = service.phase("RolledBack", STEP).await?;
    service.load.mark("after").await?;
    figures_of(back.object.as_deref().unwrap_or(&json!(null)), "errors")?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let report = stand.end(service.load).await?;
    // A status of its own in the trailers of a 200, and of v3 alone.
    let told = |failure: &Failure| failure.kind == "grpc_status" && failure.version.as_deref() == Some("v3");
    let of_v3 = report.failed > 0 && report.failed_unanswered == 0 && report.skipped == 0;
    claim(of_v3 && report.failures.iter().all(told), || report.words())?;
    for weight in [5.0, 20.0, 50.0, 100.0] {
        share_fits(&report, &format!("{weight}%"), "v2", weight)?;
    }
    gets_nothing(&report, "after", "v3")?;
    let seen: Vec<_> = space::weights_seen(&service.route).iter().map(|(weights, _)| weights.green).collect();
    let (way, rest) = seen.split_at(seen.len().min(5));
    let home = rest.last() == Some(&100) && rest.windows(2).filter(|pair| pair[1] > pair[0]).count() == 1;
    claim(way == [0, 5, 20, 50, 100] && home, || format!("green's weights in the route were {seen:?}"))
}
