//! The front Service: the color key of its selector. Only that key is ever written; the selector is an atomic map, so
//! applying one key would drop the others.

use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use super::{Follows, GuardedPatch, PatchKind, Place, Seen, Shares, Trouble, escaped, guard};
use crate::api::{Percent, Reason, labels, status::Color, traffic::ServiceRouter};

/// What the Service says about traffic.
pub fn read(router: &ServiceRouter, service: Option<&Service>) -> Result<Seen, Trouble> {
    let Some(service) = service else {
        return Err(Trouble {
            reason: Reason::ServiceNotFound,
            message: format!("Service {} does not exist; create it, or correct `traffic[].service.name`", router.name),
        });
    };
    let key = router.key.as_deref().unwrap_or(labels::COLOR);
    let spec = service.spec.as_ref();
    let selector = spec.and_then(|s| s.selector.as_ref());
    let value = selector.and_then(|s| s.get(key)).map(String::as_str);
    let unsupported = |message: String| Err(Trouble { reason: Reason::ServiceUnsupported, message });
    if spec.and_then(|s| s.type_.as_deref()) == Some("ExternalName") {
        return unsupported(format!(
            "Service {} is of type ExternalName, which has no selector to switch",
            router.name
        ));
    }
    let shares = match value {
        Some(v) if v == Color::Blue.word() => Shares::giving(Color::Blue, Percent::ALL),
        Some(v) if v == Color::Green.word() => Shares::giving(Color::Green, Percent::ALL),
        Some(v) => {
            return unsupported(format!("the selector of Service {} has {key}: {v}; write {key}: blue", router.name));
        }
        None => {
            return unsupported(format!(
                "the selector of Service {} has no key {key}; add `{key}: blue` to it, so that it selects one color",
                router.name
            ));
        }
    };
    Ok(Seen {
        version: service.metadata.resource_version.clone().unwrap_or_default(),
        shares,
        exact: true,
        follows: Follows::Yes,
        // The other color's pods leave the Service with the selector, and sessions go with them.
        pins: false,
        crosses: Vec::new(),
        place: Place::Selector { service: router.name.clone(), key: key.to_owned() },
        room: None,
    })
}

/// The write that points the selector to the color with the larger share.
pub(super) fn write(version: &str, service: &str, key: &str, shares: Shares) -> GuardedPatch {
    let color = if shares.green >= Percent::ALL { Color::Green } else { Color::Blue };
    let path = format!("/spec/selector/{}", escaped(key));
    GuardedPatch {
        kind: PatchKind::Service,
        namespace: None,
        name: service.to_owned(),
        ops: vec![guard(version), json!({"op": "add", "path": path, "value": color.word()})],
    }
}
