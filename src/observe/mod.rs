//! Reads the world into one snapshot: caches, the newest readings of the board, the clock once; and, before traffic
//! moves on what was seen, rollout, routers and endpoints live. Never waits for a metrics provider, never decides,
//! never writes.

pub mod board;
pub mod calls;
pub mod clock;
mod cluster;
mod jobs;
pub mod live;
pub mod memory;
mod pods;
pub mod prometheus;
mod room;
pub mod stores;
pub mod webhooks;

use std::{collections::BTreeMap, sync::Arc};

use kube::{ResourceExt, runtime::reflector::ObjectRef};
pub use live::ObserveError;

use self::{
    board::Board,
    calls::Calls,
    clock::Clock,
    cluster::ColorObjects,
    memory::Memory,
    stores::{Stores, named},
    webhooks::Webhooks,
};
use crate::{
    api::{LlmRollout, status::Color},
    decide::{
        Snapshot, crossing,
        intent::OwnedKind,
        release,
        snapshot::{ColorSeen, GateSets, Offers, OwnedSeen},
        workload,
    },
    routers::{Claim, Found, PatchKind, RouterSeen},
};

/// Everything that `observe` looks at.
pub struct World {
    /// The caches of the scope.
    pub stores: Stores,
    /// The newest readings.
    pub board: Board,
    /// The time.
    pub clock: Clock,
    /// What the operator's configuration offers.
    pub offers: Arc<Offers>,
    /// What was understood of the manifests.
    pub memory: Memory,
    /// What webhooks tell.
    pub webhooks: Webhooks,
    /// Requests to candidates.
    pub calls: Calls,
}

/// A snapshot from the caches.
pub fn observe(rollout: &Arc<LlmRollout>, world: &World) -> Snapshot {
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let others = world.stores.rollouts_in(namespace);
    let classes = world.stores.classes();
    let beyond = if world.offers.cross_namespace { world.stores.rollouts.state() } else { others.clone() };
    let grants_of = |rollout: &LlmRollout| world.stores.grants_in(&crossing::namespaces(rollout));
    let grants = grants_of(rollout);
    let may = |other: &LlmRollout, claim: Claim<'_>| {
        crossing::forbidden(other, claim, &world.offers, &grants_of(other)).is_none()
    };
    let routers = rollout.spec.traffic.iter().filter_map(Claim::of).map(|claim| {
        if let Some(forbidden) = cluster::forbidden(rollout, claim, &world.offers, &grants) {
            return forbidden;
        }
        let (kind, name) = claim.object();
        let namespace = cluster::home(rollout, claim);
        let service = named(&world.stores.services, namespace, name).filter(|_| kind == PatchKind::Service);
        let [object, second] =
            [Some(name), claim.second()].map(|name| name.and_then(|name| world.stores.router(kind, namespace, name)));
        let heard = Some(kind).filter(|kind| *kind == PatchKind::Webhook);
        let heard = heard.and_then(|_| world.webhooks.heard(&ObjectRef::from_obj(rollout.as_ref()), name));
        let found = Found {
            service: service.as_deref(),
            object: object.as_deref(),
            second: second.as_deref(),
            heard: heard.as_ref(),
            classes: &classes,
            out: None,
        };
        cluster::router(rollout, claim, found)
    });
    let routers: Vec<RouterSeen> = routers.collect();
    let gate_sets = gate_sets(rollout, world);
    let cron_jobs =
        jobs::cron_jobs(rollout, &gate_sets, |name| named(&world.stores.of_jobs.cron_jobs, namespace, name));
    Snapshot {
        now: world.clock.now(),
        watching_since: world.clock.began(),
        rollout: Arc::clone(rollout),
        live: false,
        blue: cached_color(rollout, world, Color::Blue),
        green: cached_color(rollout, world, Color::Green),
        routers,
        rival: cluster::rival(rollout, beyond.iter().map(AsRef::as_ref), may),
        orders: world.stores.orders_to(namespace, rollout.metadata.name.as_deref().unwrap_or_default()),
        dependencies: cluster::dependencies(rollout, &others),
        jobs: jobs::jobs(rollout, &world.stores.jobs_of(rollout), &world.stores.of_jobs.pods.state()),
        cron_jobs: jobs::templates(&cron_jobs),
        succeeded: jobs::succeeded(&cron_jobs),
        called: world.calls.of(&ObjectRef::from_obj(rollout)),
        gate_sets,
        price_list: cluster::price_list(rollout, |name| named(&world.stores.price_lists, namespace, name)),
        readings: world.board.readings_of(&ObjectRef::from_obj(rollout)),
        grants,
        offers: Arc::clone(&world.offers),
        adoptee: None,
        meant: world.memory.of(&ObjectRef::from_obj(rollout)),
    }
}

fn gate_sets(rollout: &LlmRollout, world: &World) -> GateSets {
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let seen = |set: &str| cluster::gate_set(named(&world.stores.gate_sets, namespace, set).as_deref());
    cluster::named_sets(rollout).map(|set| (set.to_owned(), seen(set))).collect()
}

fn cached_color(rollout: &LlmRollout, world: &World, color: Color) -> ColorSeen {
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or_default();
    let deployment = named(&world.stores.deployments, namespace, &workload::deployment_of(rollout, color));
    if !crossing::may_see(rollout, color, &world.offers) {
        return ColorSeen::default();
    }
    let (there, of_color) = (release::namespace_of(rollout, color), release::service_of(rollout, color));
    let service = named(&world.stores.services, there, &of_color);
    let slices = world.stores.slices_of(there, &of_color);
    let objects = ColorObjects {
        deployment: deployment.as_deref(),
        service: service.as_deref(),
        slices: slices.iter().map(AsRef::as_ref).collect(),
    };
    let stuck = pods::stuck(rollout, color, &world.stores.of_jobs.pods.state());
    ColorSeen { stuck, scalers: scalers(rollout, world, color), ..cluster::color(rollout, &objects) }
}

/// What scales a color that we make: by name, so that one that is not ours is seen as well.
fn scalers(rollout: &LlmRollout, world: &World, color: Color) -> BTreeMap<OwnedKind, OwnedSeen> {
    let (namespace, name) =
        (rollout.metadata.namespace.as_deref().unwrap_or_default(), workload::name_of(&rollout.name_any(), color));
    let made = OwnedKind::SCALERS.into_iter().filter(|_| rollout.spec.release.made().is_some());
    made.filter_map(|kind| Some((kind, cluster::owned(rollout, world.stores.scaler(kind, namespace, &name)?.as_ref()))))
        .collect()
}
