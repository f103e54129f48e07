//! What can go wrong on the node. Only the error enum lives here; never its handling.

use std::{io, path::PathBuf};

/// Why the node, or one pod on it, cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("kubeconfig has no current context with a cluster; set current-context")]
    NoCluster,
    #[error("API server: {0}")]
    Api(#[from] kube::Error),
    #[error("cannot listen for signals: {0}")]
    Signal(io::Error),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("images file {path}: {message}; it must be a YAML map from repository to program")]
    Images { path: PathBuf, message: String },
    #[error("cannot make the probes' HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the Service default/kubernetes did not appear within 30 s; is the API server up?")]
    NoApiService,
    /// A configuration object or key a container or volume needs is missing; the text is the kubelet's.
    #[error("{0}")]
    Config(String),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl NodeError {
    /// Adds the path to an error of the file system.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// The API server says that the object is gone, or that another with the same name took its place.
pub(crate) fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}
