//! Questions to the ground's Prometheus, and the plain HTTP client for everything on it.
//! Nothing here knows what the figures mean.

use std::time::Duration;

use serde_json::Value;

use super::{Ground, KitError};

/// A client that goes straight to the addresses of the ground.
pub(crate) fn http() -> Result<reqwest::Client, KitError> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(KitError::failed("an HTTP client"))
}

/// The answer to an instant query, byte for byte.
pub(crate) async fn answer(ground: &Ground, query: &str) -> Result<Vec<u8>, KitError> {
    let what = || format!("asking Prometheus for {query}");
    let url = format!("{}/api/v1/query", ground.prometheus_url);
    let url =
        reqwest::Url::parse_with_params(&url, [("query", query)]).map_err(KitError::failed("the URL of Prometheus"))?;
    let answer = http()?.get(url).send().await.map_err(KitError::failed(what()))?;
    Ok(answer.bytes().await.map_err(KitError::failed(what()))?.to_vec())
}

/// The result of an instant query: `data.result`.
pub(crate) async fn query(ground: &Ground, query: &str) -> Result<Vec<Value>, KitError> {
    let body = answer(ground, query).await?;
    let what = format!("asking Prometheus for {query}");
    let document: Value = serde_json::from_slice(&body).map_err(KitError::failed(what))?;
    match document.pointer("/data/result").and_then(Value::as_array) {
        Some(result) => Ok(result.clone()),
        None => Err(KitError::Failed { what: format!("asking Prometheus for {query}"), detail: document.to_string() }),
    }
}
