//! A guarded patch → what it does to the small world, by carrying it out on the object as the API server would, and
//! whether it kept its frame. Knows nothing of decisions.

use llmrollout::{
    api::{labels, status::Color},
    routers::{GuardedPatch, PatchKind},
};
use serde_json::{Value, json};

use super::{look, state::Things, writer::Write};

/// What a patch turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) write: Write,
    /// Whether it fails when the object has moved.
    pub(crate) guarded: bool,
    /// Whether weights, selector, or replicas and their note are all that changed.
    pub(crate) framed: bool,
    /// Whether both weights stand there explicitly and add up to 100, or the color goes whole.
    pub(crate) whole: bool,
}

/// Reads a patch of a router or of a color that goes; what it says when it is something else.
pub(crate) fn read(things: &Things, patch: &GuardedPatch) -> Result<Read, String> {
    let color = Color::BOTH.into_iter().find(|c| patch.name == format!("chat-{}", c.word()));
    let old = match (patch.kind, patch.name.as_str()) {
        (PatchKind::Deployment, _) if color.is_some() => look::deployment(color.unwrap_or(Color::Blue)),
        (PatchKind::HttpRoute, "chat") => look::route(things),
        (PatchKind::Service, "chat") => look::front(things),
        (kind, name) => return Err(format!("a patch of {kind:?} {name}")),
    };
    let mut new = old.clone();
    if !obeys(&mut new, &patch.ops) {
        return Err(format!("the API server refuses {:?}", patch.ops));
    }
    let guard = patch.ops.first();
    let guarded = guard.is_some_and(|op| op["path"] == "/metadata/resourceVersion" && op["value"] == "5");
    let frame = |object: &Value| {
        let mut object = object.clone();
        for backend in 0..2 {
            if let Some(backend) = object.pointer_mut(&format!("/spec/rules/0/backendRefs/{backend}")) {
                backend["weight"] = Value::Null;
            }
        }
        if let Some(selector) = object.pointer_mut("/spec/selector") {
            selector[labels::COLOR] = Value::Null;
        }
        if let Some(spec) = object.get_mut("spec").filter(|_| patch.kind == PatchKind::Deployment) {
            spec["replicas"] = Value::Null;
        }
        if let Some(notes) = object.pointer_mut("/metadata/annotations") {
            notes[labels::APPLIED] = Value::Null;
        }
        object
    };
    let framed = frame(&old) == frame(&new);
    if let Some(color) = color.filter(|_| patch.kind == PatchKind::Deployment) {
        // What was applied is no longer known, so that whoever needs the color next applies it whole.
        let whole = new["spec"]["replicas"] == json!(0) && new["metadata"]["annotations"][labels::APPLIED] == "retired";
        return Ok(Read { write: Write::Retire(color), guarded, framed, whole });
    }
    let weight = |n: usize| {
        let value = new.pointer(&format!("/spec/rules/0/backendRefs/{n}/weight"))?.as_i64()?;
        u8::try_from(value).ok()
    };
    if patch.kind == PatchKind::Service {
        let green = new["spec"]["selector"][labels::COLOR] == json!("green");
        let color = if green { Color::Green } else { Color::Blue };
        return Ok(Read { write: Write::Front(color), guarded, framed, whole: true });
    }
    let (blue, green) = (weight(0), weight(1));
    let whole = matches!((blue, green), (Some(b), Some(g)) if u16::from(b) + u16::from(g) == 100);
    let write = Write::Route([blue.unwrap_or(1), green.unwrap_or(1)]);
    Ok(Read { write, guarded, framed, whole })
}

/// JSON patch as the API server does it: a guard or test that fails refuses everything.
fn obeys(object: &mut Value, ops: &[Value]) -> bool {
    ops.iter().all(|op| {
        let path = op["path"].as_str().unwrap_or_default();
        match op["op"].as_str() {
            Some("test") => object.pointer(path) == Some(&op["value"]),
            // A version that is replaced by another is refused: that is the guard.
            Some("replace") if path == "/metadata/resourceVersion" => object.pointer(path) == Some(&op["value"]),
            Some("replace") => object.pointer(path).is_some() && put(object, path, &op["value"]),
            Some("add") => put(object, path, &op["value"]),
            _ => false,
        }
    })
}

fn put(object: &mut Value, path: &str, value: &Value) -> bool {
    let Some((head, last)) = path.rsplit_once('/') else { return false };
    let key = last.replace("~1", "/").replace("~0", "~");
    let Some(Value::Object(map)) = object.pointer_mut(head) else { return false };
    map.insert(key, value.clone());
    true
}
