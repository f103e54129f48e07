//! The kinds of which a slice is changed, and what each of them is called. Nothing here knows where in an object shares stand.

use kube::core::ApiResource;

/// The kinds of which we change a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchKind {
    /// Our own kind: only its finalizers.
    LlmRollout,
    /// Only the owner reference, on leaving, and the size of an old color.
    Deployment,
    /// Only the color key of a front Service's selector, and the owner reference of a color's, on leaving.
    Service,
    /// Only two weights.
    HttpRoute,
    /// Only two weights.
    GrpcRoute,
    /// Only two weights.
    VirtualService,
    /// Only two weights of one flag.
    FeatureFlag,
    /// Only its weight in a group.
    LlmInferenceService,
    /// Only two weights, or targets.
    ModelRewrite,
    /// Both weights, told over HTTP: no object of the cluster.
    Webhook,
}

/// What a kind is called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The field of `spec.traffic` that names it, if one does, else its kind.
    pub word: &'static str,
    /// API group; empty is the core.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural, as in a URL.
    pub plural: &'static str,
}

impl PatchKind {
    /// The kinds of router that are watched for their own sake; a cluster need not know them. Services are watched
    /// anyway, as the colors have some.
    pub const WATCHED: [Self; 6] = [
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::VirtualService,
        Self::FeatureFlag,
        Self::LlmInferenceService,
        Self::ModelRewrite,
    ];

    /// What it is called.
    pub const fn names(self) -> Names {
        match self {
            Self::LlmRollout => named(["LlmRollout", "llmrollout.io", "v1alpha1", "LlmRollout", "llmrollouts"]),
            Self::Deployment => named(["Deployment", "apps", "v1", "Deployment", "deployments"]),
            Self::Service => named(["service", "", "v1", "Service", "services"]),
            Self::HttpRoute => named(["httpRoute", GATEWAY_API, "v1", "HTTPRoute", "httproutes"]),
            Self::GrpcRoute => named(["grpcRoute", GATEWAY_API, "v1", "GRPCRoute", "grpcroutes"]),
            Self::VirtualService => {
                named(["virtualService", "networking.istio.io", "v1", "VirtualService", "virtualservices"])
            }
            Self::FeatureFlag => {
                named(["featureFlag", "core.openfeature.dev", "v1beta1", "FeatureFlag", "featureflags"])
            }
            Self::LlmInferenceService => named([
                "llmInferenceService",
                "serving.kserve.io",
                "v1alpha2",
                "LLMInferenceService",
                "llminferenceservices",
            ]),
            Self::ModelRewrite => {
                named(["modelRewrite", "llm-d.ai", "v1alpha2", "InferenceModelRewrite", "inferencemodelrewrites"])
            }
            Self::Webhook => named(["webhook", "", "", "webhook", "webhooks"]),
        }
    }

    /// The same for those who fetch it.
    pub fn resource(self) -> ApiResource {
        let Names { group, version, kind, plural, .. } = self.names();
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

const fn named([word, group, version, kind, plural]: [&'static str; 5]) -> Names {
    Names { word, group, version, kind, plural }
}
