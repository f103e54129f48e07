//! The pinned recipes of the tools: which files, which package, which flags, and the key they make together.
//! Nothing here runs anything; `tools` does.

use sha2::{Digest, Sha256};

/// The environment every Go recipe is built with.
pub(crate) const GO_ENV: [(&str, &str); 3] =
    [("CGO_ENABLED", "0"), ("GOFLAGS", "-buildvcs=false -mod=mod"), ("GOTOOLCHAIN", "local")];

/// The files of a recipe: path in its directory, content.
pub(crate) type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($($dir:literal / $file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../tools/", $dir, "/", $file)))),+]
    };
}

const K8S: Files = files!["k8s" / "go.mod", "k8s" / "go.sum", "k8s" / "tools.go", "k8s" / "etcd/main.go"];
const CONTOUR: Files = files!["contour" / "go.mod", "contour" / "go.sum"];
const PROMETHEUS: Files = files!["prometheus" / "go.mod", "prometheus" / "go.sum"];
const HELM: Files = files!["helm" / "go.mod", "helm" / "go.sum"];
const GATEWAY_API: Files = files!["gateway-api" / "go.mod", "gateway-api" / "go.sum"];
const ISTIO: Files = files!["istio" / "go.mod", "istio" / "go.sum"];
/// The pinned wheel that carries Envoy.
pub(crate) const ENVOY: Files = files!["envoy" / "requirements.txt"];

/// `kubectl version` and the API server parse these; without them they refuse themselves.
const K8S_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.1 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36 \
    -X k8s.io/component-base/version.gitTreeState=clean \
    -X k8s.io/component-base/version.buildDate=2026-01-01T00:00:00Z";
const PLAIN_LDFLAGS: &str = "-s -w";
const PROMETHEUS_TAGS: &str = "remove_all_sd,enable_kubernetes_sd";

/// One Go program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    /// The name of the binary.
    pub tool: &'static str,
    /// The module it is built in.
    pub files: Files,
    /// The package, relative to the module or by its path.
    pub package: &'static str,
    /// Linker flags.
    pub ldflags: &'static str,
    /// Build tags.
    pub tags: &'static str,
}

const fn recipe(tool: &'static str, files: Files, package: &'static str, ldflags: &'static str) -> Recipe {
    Recipe { tool, files, package, ldflags, tags: "" }
}

/// What judges queries without a server.
pub(crate) const PROMTOOL: Recipe = Recipe {
    tags: PROMETHEUS_TAGS,
    ..recipe("promtool", PROMETHEUS, "github.com/prometheus/prometheus/cmd/promtool", PLAIN_LDFLAGS)
};

/// All Go programs, quickest first where the order is free.
pub(crate) const GO: [Recipe; 8] = [
    recipe("etcd", K8S, "./etcd", PLAIN_LDFLAGS),
    recipe("kube-apiserver", K8S, "k8s.io/kubernetes/cmd/kube-apiserver", K8S_LDFLAGS),
    recipe("kube-controller-manager", K8S, "k8s.io/kubernetes/cmd/kube-controller-manager", K8S_LDFLAGS),
    recipe("kubectl", K8S, "k8s.io/kubernetes/cmd/kubectl", K8S_LDFLAGS),
    recipe("contour", CONTOUR, "github.com/projectcontour/contour/cmd/contour", PLAIN_LDFLAGS),
    Recipe {
        tags: PROMETHEUS_TAGS,
        ..recipe("prometheus", PROMETHEUS, "github.com/prometheus/prometheus/cmd/prometheus", PLAIN_LDFLAGS)
    },
    PROMTOOL,
    recipe("helm", HELM, "helm.sh/helm/v4/cmd/helm", PLAIN_LDFLAGS),
];

/// Manifests that are files of a Go module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manifests {
    /// The directory they get in the lab.
    pub name: &'static str,
    /// The module that pins the version and its checksum.
    pub files: Files,
    /// The module that carries them.
    pub module: &'static str,
    /// Where they lie in it.
    pub folder: &'static str,
    /// Which of them the lab applies; empty for all of the folder.
    pub wanted: &'static [&'static str],
    /// Which documents of them: those in which one of these words stands; empty for all.
    pub naming: &'static [&'static str],
}

/// The manifests the lab applies, in this order.
pub(crate) const MANIFESTS: [Manifests; 3] = [
    Manifests {
        name: "gateway-api",
        files: GATEWAY_API,
        module: "sigs.k8s.io/gateway-api",
        folder: "config/crd/standard",
        wanted: &[],
        naming: &[],
    },
    Manifests {
        name: "contour-manifests",
        files: CONTOUR,
        module: "github.com/projectcontour/contour",
        folder: "examples/contour",
        wanted: &["00-common.yaml", "01-crds.yaml", "02-rbac.yaml", "02-role-contour.yaml"],
        naming: &[],
    },
    // No Istio runs here: what it reads is taken and kept as its own CRDs demand.
    Manifests {
        name: "istio",
        files: ISTIO,
        module: "istio.io/api",
        folder: "kubernetes",
        wanted: &["customresourcedefinitions.gen.yaml"],
        naming: &["  name: virtualservices.networking.istio.io"],
    },
];

impl Recipe {
    /// The cache key: a digest of everything that decides the binary, the compiler's version aside.
    pub(crate) fn key(&self) -> String {
        let mut words = vec![self.package, self.ldflags, self.tags];
        words.extend(GO_ENV.iter().flat_map(|(name, value)| [*name, *value]));
        key(self.files, &words)
    }
}

impl Manifests {
    /// The cache key.
    pub(crate) fn key(&self) -> String {
        key(self.files, &[&[self.module, self.folder], self.wanted, self.naming].concat())
    }
}

/// A digest over files and words; lengths go in too, so that no two inputs run together.
pub(crate) fn key(files: Files, words: &[&str]) -> String {
    let mut digest = Sha256::new();
    let parts = files.iter().flat_map(|(path, content)| [*path, *content]).chain(words.iter().copied());
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(digest.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_differ_between_tools_of_one_module() {
        let keys: BTreeSet<String> = GO.iter().map(Recipe::key).collect();
        assert_eq!(keys.len(), GO.len());
    }

    #[test]
    fn key_changes_with_every_part_of_the_recipe() {
        let base = key(K8S, &["a", "bc"]);
        assert_eq!(base, key(K8S, &["a", "bc"]));
        assert_ne!(base, key(K8S, &["ab", "c"]));
        assert_ne!(base, key(CONTOUR, &["a", "bc"]));
    }
}
