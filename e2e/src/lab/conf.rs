//! The files the parts read: keys, tokens, kubeconfigs, policies.
//! Nothing here starts a part or asks the API server.

use std::{env, path::PathBuf};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;

use super::{LabError, state::State};

/// The API server's address for clients.
pub(crate) const API_URL: &str = "https://172.31.0.1:6443";

/// Users with a token of their own, their groups, and their kubeconfig; all parts appear under their own name in the audit log.
const USERS: [(&str, &str, &str); 3] = [
    ("admin", "system:masters", "kubeconfig"),
    ("system:kube-controller-manager", "", "conf/kube-controller-manager.kubeconfig"),
    ("lab-node", "system:masters", "conf/lab-node.kubeconfig"),
];

/// Writes everything that does not need a running server.
pub(crate) fn write(state: &State) -> Result<(), LabError> {
    write_keys(state)?;
    write_users(state)?;
    state.write_yaml(
        "conf/audit-policy.yaml",
        &json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{ "level": "Metadata" }],
        }),
    )?;
    state.write_yaml(
        "conf/contour.yaml",
        &json!({
            // A line per request would cost more than the requests; what fails is still told.
            "accesslog-level": "error",
            "gateway": { "gatewayRef": { "namespace": "gateway", "name": "lab" } },
        }),
    )?;
    state.write("conf/prometheus.yaml", include_str!("prometheus.yaml")).map(drop)
}

fn write_keys(state: &State) -> Result<(), LabError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| LabError::Key)?;
    let private = pair.to_pkcs8v1().map_err(|_| LabError::Key)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| LabError::Key)?;
    state.write("conf/sa.key", pem::encode(&pem::Pem::new("PRIVATE KEY", private.as_ref())))?;
    state.write("conf/sa.pub", pem::encode(&pem::Pem::new("PUBLIC KEY", public.as_ref()))).map(drop)
}

fn write_users(state: &State) -> Result<(), LabError> {
    let mut table = Vec::new();
    for (user, groups, file) in USERS {
        let token = hex::encode(rand::random::<[u8; 16]>());
        table.push(format!("{token},{user},{user},\"{groups}\"\n"));
        write_kubeconfig(state, file, user, &token)?;
    }
    state.write("conf/tokens.csv", table.concat()).map(drop)
}

/// Writes a kubeconfig for one user.
pub(crate) fn write_kubeconfig(state: &State, file: &str, user: &str, token: &str) -> Result<(), LabError> {
    state.write_yaml(
        file,
        &json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            // The certificate the API server writes for itself is what its clients trust.
            "clusters": [{ "name": "lab", "cluster": {
                "server": API_URL,
                "certificate-authority": state.text("certs/apiserver.crt"),
            }}],
            "users": [{ "name": user, "user": { "token": token } }],
            "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": user } }],
        }),
    )
}

/// Writes Envoy's start-up configuration; Contour makes it.
pub(crate) fn write_envoy(state: &State) -> Result<(), LabError> {
    let mut contour = std::process::Command::new(state.bin("contour"));
    contour.current_dir(state.dir()).arg("bootstrap").arg("conf/envoy.json");
    contour.args(["--xds-address=127.0.0.1", "--xds-port=8001"]);
    // Relative to Envoy's working directory: the path of a socket may have 108 characters only.
    contour.arg("--admin-address=envoy-admin.sock");
    super::tools::run(contour, "contour bootstrap").map(drop)
}

/// `name=path` of an image override.
pub(crate) fn parse_image(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected repository=path")?;
    let path = env::current_dir().map_err(|error| error.to_string())?.join(path);
    if path.is_file() { Ok((name.to_owned(), path)) } else { Err(format!("{} is no file", path.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_needs_a_name_and_a_file() {
        assert!(parse_image("llm-sim").is_err());
        assert!(parse_image("llm-sim=/nowhere/at/all").is_err());
        assert_eq!(parse_image("sh=/bin/sh").unwrap(), ("sh".to_owned(), PathBuf::from("/bin/sh")));
    }
}
