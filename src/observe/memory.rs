//! What decisions understood of manifests, for the next pass over each rollout. Only saves work: a decision looks whether
//! it still fits. Never decides.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::board::{Key, Owner};
use crate::decide::Meant;

/// The last understanding of each rollout's manifest.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<Key, Arc<Meant>>>);

impl Memory {
    /// What was understood last, if anything was.
    pub fn of(&self, owner: &Owner) -> Option<Arc<Meant>> {
        self.all().get(&owner.into()).cloned()
    }

    /// What has been understood now.
    pub fn keep(&self, owner: &Owner, meant: Option<Arc<Meant>>) {
        match meant {
            Some(meant) => self.all().insert(owner.into(), meant),
            None => self.all().remove(&owner.into()),
        };
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Meant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
