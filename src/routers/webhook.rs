//! Any other router, behind an HTTP endpoint that the operator's configuration names: what it tells of the weights, and what
//! it is told. The protocol is that of docs/webhook-router.md. Nothing here knows an address, and nothing is sent.

use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::{Follows, Place, Seen, Shares, Trouble, split::Scale, trouble};
use crate::api::{Reason, traffic::WebhookRouter};

/// What a webhook has told, or why there is nothing that can be used.
pub type Heard = Result<Told, Trouble>;

/// The weights as a webhook tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The version that they are of, as it stands in `ETag`.
    pub version: String,
    /// The weights.
    pub shares: Shares,
}

/// What a webhook is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The webhook, as the operator's configuration names it.
    pub webhook: String,
    /// The version that the decision was made on; none when nothing is known, which is only ever so on the way home.
    pub version: Option<String>,
    /// Both weights.
    pub shares: Shares,
}

#[derive(Deserialize)]
struct Document {
    weights: Weights,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    blue: Number,
    green: Number,
}

/// A tag that can stand in `If-Match`: weak ones never match there.
fn is_strong(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    tag.len() <= 200 && inner.is_some_and(|inner| inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
}

/// What the answer to a GET means.
pub fn understand(webhook: &str, tag: Option<&str>, body: &[u8]) -> Heard {
    let wrong = |what: &str| trouble(Reason::WebhookInvalid, format!("webhook {webhook} answers GET with {what}"));
    let Some(tag) = tag else {
        return Err(wrong("no ETag; let it send one that changes whenever the weights do"));
    };
    if !is_strong(tag) {
        return Err(wrong("an ETag that no If-Match can hold; write for example `ETag: \"7\"`, without `W/`"));
    }
    let example = r#"`{"weights": {"blue": 100, "green": 0}}`"#;
    let read: Document = serde_json::from_slice(body)
        .map_err(|_| wrong(&format!("something else than two weights; write for example {example}")))?;
    let whole = |n: &Number| n.as_i64().filter(|n| (0..=100).contains(n)).and_then(|n| i32::try_from(n).ok());
    match [&read.weights.blue, &read.weights.green].map(whole) {
        [Some(blue), Some(green)] if blue + green == 100 => {
            Ok(Told { version: tag.to_owned(), shares: Shares::of_percent(blue, green) })
        }
        _ => Err(wrong(&format!(
            "the weights {} and {}; write two whole numbers that add up to 100, for example {example}",
            read.weights.blue, read.weights.green
        ))),
    }
}

/// Why a webhook cannot be understood, in words about the connection.
pub fn unreachable(webhook: &str, why: &str) -> Trouble {
    let message = format!(
        "webhook {webhook} does not tell its weights ({why}); nothing goes forward until it does: look at it, and at `routers` in the operator's configuration"
    );
    trouble(Reason::WebhookUnreachable, message)
}

/// What the webhook says about traffic.
pub(super) fn read(router: &WebhookRouter, heard: Option<&Heard>) -> Result<Seen, Trouble> {
    let WebhookRouter { name } = router;
    let told = heard.cloned().unwrap_or_else(|| {
        let message = format!(
            "the operator's configuration has no webhook {name}; add it to `routers`, or correct `traffic[].webhook.name`"
        );
        Err(trouble(Reason::WebhookUnknown, message))
    })?;
    Ok(Seen {
        version: told.version,
        shares: told.shares,
        exact: true,
        // What it tells is what is in effect.
        follows: Follows::Yes,
        pins: false,
        crosses: Vec::new(),
        room: None,
        place: Place::Webhook { name: name.clone() },
    })
}

impl Put {
    /// The body of the PUT.
    pub fn body(&self) -> Value {
        let [blue, green] = Scale::HUNDRED.weights(self.shares);
        json!({"weights": {"blue": blue, "green": green}})
    }
}
