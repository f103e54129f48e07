//! One file an exporter, one list of all. A profile is a table and nothing else: no functions, no texts of queries.

mod agentgateway;
mod dynamo;
mod envoy;
mod envoy_ai_gateway;
mod epp;
mod istio;
mod litellm;
mod llamacpp;
mod nothing;
mod otel;
mod ray;
mod sglang;
mod tgi;
mod traefik;
mod triton;
mod trtllm;
mod vllm;

use super::table::Table;
use crate::api::exporters::Profile;

/// Every exporter, in the order of the book.
const ALL: [&Table; 16] = [
    &vllm::TABLE,
    &sglang::TABLE,
    &tgi::TABLE,
    &triton::TABLE,
    &trtllm::TABLE,
    &llamacpp::TABLE,
    &litellm::TABLE,
    &envoy_ai_gateway::TABLE,
    &agentgateway::TABLE,
    &dynamo::TABLE,
    &ray::TABLE,
    &epp::TABLE,
    &otel::TABLE,
    &traefik::TABLE,
    &envoy::TABLE,
    &istio::TABLE,
];

/// Every profile with its word in a manifest, and whether it needs labels that tell the colors apart.
pub fn exporters() -> impl Iterator<Item = (Profile, &'static str, bool)> {
    ALL.iter().map(|table| (table.profile, table.word, table.in_front))
}

/// The table of a profile.
pub(super) const fn table(profile: Profile) -> &'static Table {
    match profile {
        // Until an exporter is found nothing is asked; gates are read as for the one that most often is.
        Profile::Vllm | Profile::Auto => &vllm::TABLE,
        Profile::Sglang => &sglang::TABLE,
        Profile::Tgi => &tgi::TABLE,
        Profile::Triton => &triton::TABLE,
        Profile::Trtllm => &trtllm::TABLE,
        Profile::Llamacpp => &llamacpp::TABLE,
        Profile::Litellm => &litellm::TABLE,
        Profile::EnvoyAiGateway => &envoy_ai_gateway::TABLE,
        Profile::Agentgateway => &agentgateway::TABLE,
        Profile::Dynamo => &dynamo::TABLE,
        Profile::Ray => &ray::TABLE,
        Profile::Epp => &epp::TABLE,
        Profile::Otel => &otel::TABLE,
        Profile::Traefik => &traefik::TABLE,
        Profile::Envoy => &envoy::TABLE,
        Profile::Istio => &istio::TABLE,
        Profile::None => &nothing::TABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, table};

    #[test]
    fn each_profile_has_its_own_table_and_its_own_word() {
        for one in ALL {
            assert_eq!(table(one.profile).word, one.word);
            assert_eq!(serde_json::to_value(one.profile).unwrap(), one.word);
        }
        assert!(ALL.is_sorted_by(|a, b| a.profile < b.profile), "each once");
    }
}
