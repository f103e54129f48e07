//! The API server's audit log: who asked for what, when, with which answer.
//! Nothing here writes.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Ground, KitError};

/// Where reading begins.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    path: PathBuf,
    from: u64,
}

/// What a request was about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Target {
    /// Plural of the kind.
    pub resource: String,
    /// Its group.
    pub api_group: String,
    /// `status`, `scale`, ….
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    username: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Answer {
    code: u16,
    reason: String,
}

/// One request that was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    stage: String,
    /// get, list, watch, create, update, patch, delete, ….
    pub verb: String,
    user: Named,
    #[serde(default)]
    impersonated_user: Option<Named>,
    /// What it was about.
    #[serde(default)]
    pub object_ref: Target,
    #[serde(default)]
    response_status: Answer,
    /// When it came.
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// When it was answered.
    pub stage_timestamp: Timestamp,
    #[serde(default)]
    annotations: Value,
}

impl Request {
    /// Who asked.
    pub(crate) fn user(&self) -> &str {
        &self.user.username
    }

    /// As whom, where somebody acts as somebody else.
    pub(crate) fn acting_as(&self) -> Option<&str> {
        self.impersonated_user.as_ref().map(|user| user.username.as_str())
    }

    /// The HTTP status of the answer.
    pub(crate) fn code(&self) -> u16 {
        self.response_status.code
    }

    /// Whether its user had no right to it. Other refusals, as in a namespace that is going, are none of this.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.annotations["authorization.k8s.io/decision"] == "forbid"
    }

    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Target { resource, subresource, namespace, name, .. } = &self.object_ref;
        let (at, verb, user, code) = (self.received, &self.verb, self.user(), self.code());
        let why = self.annotations["authorization.k8s.io/reason"].as_str().unwrap_or(&self.response_status.reason);
        format!("{at} {user} {verb} {resource}/{subresource} {namespace}/{name} → {code} {why}")
    }
}

impl Audit {
    /// From the beginning of the lab.
    pub(crate) fn whole(ground: &Ground) -> Result<Self, KitError> {
        Ok(Self { path: ground.lab()?.audit_log.clone(), from: 0 })
    }

    /// From now on.
    pub(crate) fn from_now(ground: &Ground) -> Result<Self, KitError> {
        let path = ground.lab()?.audit_log.clone();
        let from = std::fs::metadata(&path).map_err(KitError::failed("the audit log"))?.len();
        Ok(Self { path, from })
    }

    /// Every answered request since then that is of interest.
    pub(crate) fn requests(&self, of_interest: impl Fn(&Request) -> bool) -> Result<Vec<Request>, KitError> {
        let what = "the audit log";
        let mut file = File::open(&self.path).map_err(KitError::failed(what))?;
        file.seek(SeekFrom::Start(self.from)).map_err(KitError::failed(what))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(KitError::failed(what))?;
        // A line that is being written, or of which we saw only the end, is none yet.
        let requests = text.lines().filter_map(|line| serde_json::from_str::<Request>(line).ok());
        Ok(requests.filter(|request| request.stage == "ResponseComplete" && of_interest(request)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn a_line_of_the_log_is_read() {
        let line = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch","user":{"username":"u"},
            "objectRef":{"resource":"httproutes","namespace":"n","name":"chat","apiGroup":"gateway.networking.k8s.io"},
            "responseStatus":{"metadata":{},"code":403},"requestReceivedTimestamp":"2026-01-01T00:00:00.5Z",
            "stageTimestamp":"2026-01-01T00:00:00.6Z","annotations":{"authorization.k8s.io/decision":"forbid"}}"#;
        let request: Request = serde_json::from_str(line).unwrap();
        assert_eq!((request.user(), request.code(), request.object_ref.name.as_str()), ("u", 403, "chat"));
        assert!(request.writes() && request.is_forbidden());
    }
}
