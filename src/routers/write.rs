//! What brings a router to its shares: patches of objects, or a word to a webhook. Only data; `act` sends it.

use super::{
    GuardedPatch, Names, Place, Seen, Shares, aside::Wanted, llm_inference_service, model_rewrite, service, split,
    webhook::Put,
};

/// One write that brings a router to its shares.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Of an object of the cluster.
    Patch(GuardedPatch),
    /// Of a webhook.
    Put(Put),
}

impl Write {
    /// The patch, if it is one.
    pub fn patch(self) -> Option<GuardedPatch> {
        match self {
            Self::Patch(patch) => Some(patch),
            Self::Put(_) => None,
        }
    }
}

/// The writes that give `shares`, and leave beside them just what a dark step wants to be there.
pub fn write_beside(seen: &Seen, shares: Shares, wanted: Wanted<'_>) -> Vec<Write> {
    let mut writes = write(seen, shares);
    // Only a route has room, and it is one object.
    if let (Some(room), Some(Write::Patch(patch))) = (&seen.room, writes.first_mut()) {
        patch.ops.extend(room.write(wanted));
    }
    writes
}

/// The writes that give `shares`, in their order: one for each object.
pub fn write(seen: &Seen, shares: Shares) -> Vec<Write> {
    let version = &seen.version;
    let patches = match &seen.place {
        Place::Selector { service, key } => vec![service::write(version, service, key, shares)],
        Place::Weights { kind, namespace, name, weights } => {
            let ops = split::write(version, weights, shares);
            vec![GuardedPatch { kind: *kind, namespace: namespace.clone(), name: name.clone(), ops }]
        }
        Place::Members { blue, green } => llm_inference_service::write(blue, green, shares),
        Place::Targets { name, targets } => vec![model_rewrite::write(version, name, targets, shares)],
        Place::Webhook { name } => {
            return vec![Write::Put(Put { webhook: name.clone(), version: Some(version.clone()), shares })];
        }
    };
    patches.into_iter().map(Write::Patch).collect()
}

/// What a tool that holds objects to a Git is told to leave alone, as items of Argo CD's `ignoreDifferences`: exactly what
/// we write. Nothing of what stands in no Git.
pub fn left_alone(seen: &Seen) -> Vec<String> {
    let item = |GuardedPatch { kind, namespace, name, ops }: GuardedPatch| {
        let Names { group, kind, .. } = kind.names();
        let group = if group.is_empty() { String::new() } else { format!("group: {group}, ") };
        // A pair of variant and weight is told by its weight: of two pairs in a list the first is gone when the second is read.
        let number = |op: &serde_json::Value| {
            let pair = if op["value"].is_array() { "/1" } else { "" };
            op["path"].as_str().map(|path| format!("{path}{pair}"))
        };
        let ours: Vec<String> = match &seen.place {
            Place::Targets { targets, .. } => vec![targets.list.clone()],
            _ => ops.iter().filter(|op| op["op"] != "test").filter_map(number).skip(1).collect(),
        };
        let name = namespace.map_or_else(|| name.clone(), |namespace| format!("{name}, namespace: {namespace}"));
        format!("{{{group}kind: {kind}, name: {name}, jsonPointers: [{}]}}", ours.join(", "))
    };
    write(seen, seen.shares).into_iter().filter_map(Write::patch).map(item).collect()
}
