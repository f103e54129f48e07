//! `version`: of this command line, and of the API that it speaks. Never asks the cluster.

use kube::Resource;
use serde_json::json;

use super::{
    document::{self, Form},
    error::CliError,
};
use crate::api::LlmRollout;

/// The version as a line, or as a document.
pub fn version(shape: Option<Form>) -> Result<String, CliError> {
    let (client, api) = (env!("CARGO_PKG_VERSION"), LlmRollout::api_version(&()));
    match shape {
        None => Ok(format!("kubectl-llmrollout {client} ({api})\n")),
        Some(form) => document::write(&json!({"clientVersion": client, "apiVersion": api}), form),
    }
}

#[cfg(test)]
mod tests {
    use super::version;
    use crate::cli::document::Form;

    #[test]
    fn tells_the_version() {
        let client = env!("CARGO_PKG_VERSION");
        assert_eq!(version(None).unwrap(), format!("kubectl-llmrollout {client} (llmrollout.io/v1alpha1)\n"));
        let json =
            format!("{{\n  \"apiVersion\": \"llmrollout.io/v1alpha1\",\n  \"clientVersion\": \"{client}\"\n}}\n");
        assert_eq!(version(Some(Form::Json)).unwrap(), json);
    }
}
