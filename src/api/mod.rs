//! The types users write and read: kinds, conditions, labels, and the narrow views of objects that are not ours.
//! Nothing here decides, reads a cluster or knows the time.

pub mod around;
pub mod aside;
pub mod checked;
pub mod checks;
pub mod conditions;
pub mod exporters;
pub mod found;
pub mod gate_set;
pub mod gates;
pub mod home;
pub mod labels;
pub mod moment;
pub mod notify;
pub mod order;
pub mod percent;
pub mod phase;
pub mod record;
pub mod release;
pub mod route;
pub mod smoke;
pub mod sources;
pub mod status;
pub mod traffic;
pub mod v1alpha1;
pub mod verdict;

pub use conditions::{Condition, ConditionType, Reason};
pub use gate_set::{LlmGateSet, LlmGateSetSpec};
pub use moment::Moment;
pub use order::{LlmRolloutOrder, LlmRolloutOrderSpec};
pub use percent::Percent;
pub use status::{LlmRolloutStatus, Phase};
pub use v1alpha1::{LlmRollout, LlmRolloutSpec};
