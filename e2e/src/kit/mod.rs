//! What demo and cases share: the ground they stand on, manifests, load, and eyes on everything that happens.
//! Nothing here knows what is being proved.

pub(crate) mod audit;
pub(crate) mod balancer;
pub(crate) mod collector;
mod error;
pub(crate) mod film;
pub(crate) mod ground;
mod listener;
pub(crate) mod load;
pub(crate) mod mailbox;
pub(crate) mod operator;
pub(crate) mod pods;
pub(crate) mod postbox;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod proxy;
pub(crate) mod recipe;
pub(crate) mod rogue;
pub(crate) mod space;
pub(crate) mod teller;
pub(crate) mod victoria;

pub(crate) use error::{KitError, claim};
pub(crate) use film::{Film, Frame};
pub(crate) use ground::Ground;
pub(crate) use load::{Load, LoadPlan, Report};
pub(crate) use recipe::Wish;
pub(crate) use space::{Space, Weights};
