//! The API server's storage as its clients know it: a version for each object and each change, a write refused when it
//! was decided on another version, a generation that counts changes of the spec only, status and the rest apart,
//! finalizers, owners, and no new version where nothing changed. Knows nothing of rollouts.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

/// Plural and name; there is one namespace.
pub(crate) type Key = (&'static str, String);

/// A refusal as the API server words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) message: String,
}

fn refusal<T>(code: u16, message: &str) -> Result<T, Refusal> {
    Err(Refusal { code, message: message.to_owned() })
}

/// One object before and after.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Value>>,
    pub(crate) after: Option<Arc<Value>>,
}

/// What a write answers with, and what it changed: nothing when all was so already, several when owned objects follow.
pub(crate) type Written = Result<(Arc<Value>, Vec<Change>), Refusal>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    /// What the operator last applied of each object: what it leaves out next time goes away.
    applied: BTreeMap<Key, Value>,
    version: u64,
}

pub(crate) fn key(plural: &'static str, name: &str) -> Key {
    (plural, name.to_owned())
}

impl Store {
    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key).map(AsRef::as_ref)
    }

    /// The object as it stands, to be looked at later.
    pub(crate) fn held(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter().map(|(k, v)| (k, v.as_ref()))
    }

    pub(crate) fn create(&mut self, key: &Key, mut object: Value) -> Vec<Change> {
        self.version += 1;
        object["metadata"]["name"] = json!(key.1);
        object["metadata"]["namespace"] = json!("llm");
        object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["generation"] = json!(1);
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        vec![Change { key: key.clone(), before: None, after: Some(object) }]
    }

    /// Somebody writes without asking which version stands there.
    pub(crate) fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Vec<Change> {
        let Some(mut object) = self.get(key).cloned() else { return Vec::new() };
        change(&mut object);
        self.commit(key, object).1
    }

    /// Deleted at once, or marked while a finalizer holds it.
    pub(crate) fn delete(&mut self, key: &Key, at: &str) -> Vec<Change> {
        let Some(mut object) = self.get(key).cloned() else { return Vec::new() };
        if finalizers(&object) == 0 {
            return self.remove(key);
        }
        object["metadata"]["deletionTimestamp"] = json!(at);
        self.commit(key, object).1
    }

    /// A client's deletion, refused when another version stands there than the one it names.
    pub(crate) fn delete_seen(&mut self, key: &Key, options: &Value) -> Written {
        let Some(old) = self.held(key) else { return refusal(404, "not found") };
        for field in ["uid", "resourceVersion"] {
            let named = &options["preconditions"][field];
            if named.is_string() && *named != old["metadata"][field] {
                return refusal(409, &format!("Precondition failed: {field} in precondition"));
            }
        }
        let changes = self.remove(key);
        Ok((Arc::new(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})), changes))
    }

    pub(crate) fn json_patch(&mut self, key: &Key, ops: &[Value]) -> Written {
        let Some(old) = self.get(key) else { return refusal(404, "not found") };
        let mut object = old.clone();
        for op in ops {
            if !patch(&mut object, op) {
                return refusal(422, &format!("the server rejected our request due to an error in our request: {op}"));
            }
        }
        if object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return refusal(409, "the object has been modified; please apply your changes to the latest version");
        }
        // Status has a door of its own.
        match old.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().and_then(|o| o.remove("status"))),
        }
        Ok(self.commit(key, object))
    }

    /// Server-side apply, forced. There is one manager that applies.
    pub(crate) fn apply(&mut self, key: &Key, body: &Value) -> Written {
        let Some(old) = self.get(key) else {
            if body["metadata"]["resourceVersion"].is_string() {
                return refusal(409, "the object does not exist any more");
            }
            let changes = self.create(key, body.clone());
            self.applied.insert(key.clone(), body.clone());
            return Ok((Arc::clone(&self.objects[key]), changes));
        };
        guard(old, body)?;
        let mut object = old.clone();
        if let Some(before) = self.applied.get(key) {
            prune(&mut object, before, body);
        }
        merge(&mut object, body);
        object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        self.applied.insert(key.clone(), body.clone());
        Ok(self.commit(key, object))
    }

    /// Server-side apply of status: the rest of the body is only looked at for version and UID.
    pub(crate) fn apply_status(&mut self, key: &Key, body: &Value) -> Written {
        let Some(old) = self.get(key) else { return refusal(404, "not found") };
        guard(old, body)?;
        let mut object = old.clone();
        object["status"] = body["status"].clone();
        Ok(self.commit(key, object))
    }

    fn commit(&mut self, key: &Key, mut object: Value) -> (Arc<Value>, Vec<Change>) {
        let old = Arc::clone(&self.objects[key]);
        if object == *old {
            return (old, Vec::new());
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["spec"] != old["spec"] {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        if object["metadata"]["deletionTimestamp"].is_string() && finalizers(&object) == 0 {
            return (object, self.remove(key));
        }
        (Arc::clone(&object), vec![Change { key: key.clone(), before: Some(old), after: Some(object) }])
    }

    /// Gone, and with it what it owned.
    fn remove(&mut self, key: &Key) -> Vec<Change> {
        let Some(gone) = self.objects.remove(key) else { return Vec::new() };
        let uid = gone["metadata"]["uid"].clone();
        let owned = |v: &Value| {
            v["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().any(|o| o["uid"] == uid))
        };
        let orphans: Vec<Key> = self.objects.iter().filter(|(_, v)| owned(v)).map(|(k, _)| k.clone()).collect();
        let mut changes = vec![Change { key: key.clone(), before: Some(gone), after: None }];
        for orphan in orphans {
            changes.extend(self.remove(&orphan));
        }
        changes
    }
}

fn finalizers(object: &Value) -> usize {
    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}

/// An apply that names a version or a UID is refused when another one stands there.
fn guard(old: &Value, body: &Value) -> Result<(), Refusal> {
    for field in ["uid", "resourceVersion"] {
        let named = &body["metadata"][field];
        if named.is_string() && *named != old["metadata"][field] {
            return refusal(409, &format!("Precondition failed: {field}"));
        }
    }
    Ok(())
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Takes away what was applied before and is not applied now.
fn prune(object: &mut Value, before: &Value, now: &Value) {
    let (Value::Object(object), Value::Object(before)) = (object, before) else { return };
    let nothing = Map::new();
    let now = now.as_object().unwrap_or(&nothing);
    for (key, old) in before {
        match now.get(key) {
            None => drop(object.remove(key)),
            Some(new) => {
                if let Some(inner) = object.get_mut(key) {
                    prune(inner, old, new);
                }
            }
        }
    }
}

/// One operation of a JSON patch; says whether it could be done.
fn patch(object: &mut Value, op: &Value) -> bool {
    let path = op["path"].as_str().unwrap_or_default();
    let Some((head, last)) = path.rsplit_once('/') else { return false };
    let last = last.replace("~1", "/").replace("~0", "~");
    let there = object.pointer(path).cloned();
    match (op["op"].as_str().unwrap_or_default(), object.pointer_mut(head)) {
        ("test", _) => there.as_ref() == Some(&op["value"]),
        ("replace" | "add", Some(Value::Object(map))) if op["op"] == "add" || there.is_some() => {
            map.insert(last, op["value"].clone());
            true
        }
        ("add", Some(Value::Array(items))) => {
            let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
            at.filter(|at| *at <= items.len()).map(|at| items.insert(at, op["value"].clone())).is_some()
        }
        ("replace", Some(Value::Array(items))) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len());
            at.map(|at| items[at] = op["value"].clone()).is_some()
        }
        ("remove", Some(Value::Object(map))) => map.remove(&last).is_some(),
        ("remove", Some(Value::Array(items))) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len());
            at.map(|at| items.remove(at)).is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Store, key};

    fn store() -> Store {
        let mut store = Store::default();
        let route = json!({"metadata": {}, "spec": {"rules": [{"weight": 100}], "hosts": ["a"]}, "status": {"x": 1}});
        store.create(&key("httproutes", "chat"), route);
        store
    }

    fn version(store: &Store) -> String {
        store.get(&key("httproutes", "chat")).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
    }

    fn generation(store: &Store) -> i64 {
        store.get(&key("httproutes", "chat")).unwrap()["metadata"]["generation"].as_i64().unwrap()
    }

    fn guarded(version: &str, op: Value) -> Vec<Value> {
        vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}), op]
    }

    #[test]
    fn a_patch_is_answered_as_the_api_server_answers_it() {
        let weight = |w: i64| json!({"op": "add", "path": "/spec/rules/0/weight", "value": w});
        let table = [
            (weight(80), 200),
            (json!({"op": "test", "path": "/spec/hosts/0", "value": "a"}), 200),
            (json!({"op": "test", "path": "/spec/hosts/0", "value": "b"}), 422),
            (json!({"op": "test", "path": "/spec/none", "value": "b"}), 422),
            (json!({"op": "replace", "path": "/spec/none", "value": 1}), 422),
            (json!({"op": "replace", "path": "/spec/hosts/1", "value": 1}), 422),
            (json!({"op": "add", "path": "/spec/none/deep", "value": 1}), 422),
            (json!({"op": "add", "path": "/spec/rules/5", "value": 1}), 422),
            (json!({"op": "add", "path": "/spec/rules/-", "value": {}}), 200),
            (json!({"op": "remove", "path": "/spec/none"}), 422),
            (json!({"op": "remove", "path": "/spec/hosts/0"}), 200),
            (json!({"op": "remove", "path": "/spec/hosts/3"}), 422),
        ];
        for (op, code) in table {
            let mut store = store();
            let at = version(&store);
            let answer = store.json_patch(&key("httproutes", "chat"), &guarded(&at, op.clone()));
            assert_eq!(answer.map_or_else(|r| r.code, |_| 200), code, "{op}");
            if code != 200 {
                assert_eq!(version(&store), at, "a refused patch changes nothing: {op}");
            }
        }
        let mut store = store();
        let stale = store.json_patch(&key("httproutes", "chat"), &guarded("999", weight(80)));
        assert_eq!(stale.unwrap_err().code, 409);
        assert_eq!(store.json_patch(&key("httproutes", "none"), &[]).unwrap_err().code, 404);
    }

    #[test]
    fn versions_and_generations_move_only_when_something_does() {
        let mut store = store();
        let (at, route) = (version(&store), key("httproutes", "chat"));
        let same = json!({"op": "add", "path": "/spec/rules/0/weight", "value": 100});
        assert!(store.json_patch(&route, &guarded(&at, same)).unwrap().1.is_empty());
        assert_eq!(version(&store), at, "nothing changed");
        let other = json!({"op": "add", "path": "/status", "value": {"x": 2}});
        assert!(store.json_patch(&route, &guarded(&at, other)).unwrap().1.is_empty(), "status has its own door");
        let told = json!({"metadata": {"resourceVersion": at}, "status": {"y": 1}, "spec": {"hosts": []}});
        let (after, changes) = store.apply_status(&route, &told).unwrap();
        assert_eq!((changes.len(), generation(&store)), (1, 1), "status is no new generation");
        assert_eq!((&after["status"], &after["spec"]["hosts"]), (&json!({"y": 1}), &json!(["a"])));
        assert_eq!(store.apply_status(&route, &told).unwrap_err().code, 409, "decided on an old version");
        let at = version(&store);
        let weight = json!({"op": "add", "path": "/spec/rules/0/weight", "value": 1});
        store.json_patch(&route, &guarded(&at, weight)).unwrap();
        assert_eq!(generation(&store), 2);
        assert_eq!(store.apply_status(&key("httproutes", "none"), &json!({})).unwrap_err().code, 404);
    }

    #[test]
    fn an_apply_takes_back_what_it_no_longer_says() {
        let mut store = Store::default();
        let d = key("deployments", "d");
        store.apply(&d, &json!({"metadata": {"annotations": {"a": "1"}}, "spec": {"replicas": 1, "b": 2}})).unwrap();
        store.edit(&d, |v| v["metadata"]["annotations"]["theirs"] = json!("x"));
        let (after, _) = store.apply(&d, &json!({"metadata": {"annotations": {}}, "spec": {"replicas": 3}})).unwrap();
        assert_eq!(after["spec"], json!({"replicas": 3}));
        assert_eq!(after["metadata"]["annotations"], json!({"theirs": "x"}));
        assert!(
            store.apply(&d, &json!({"metadata": {"annotations": {}}, "spec": {"replicas": 3}})).unwrap().1.is_empty()
        );
        let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}});
        assert_eq!(store.apply(&d, &stale).unwrap_err().code, 409);
        assert_eq!(store.apply(&key("deployments", "new"), &stale).unwrap_err().code, 409);
    }

    #[test]
    fn a_deletion_that_names_a_version_needs_that_version() {
        let mut store = store();
        let (route, seen) = (key("httproutes", "chat"), version(&store));
        let named = |version: &str| json!({"preconditions": {"resourceVersion": version}});
        store.edit(&route, |r| r["spec"]["hosts"] = json!([]));
        assert_eq!(store.delete_seen(&route, &named(&seen)).unwrap_err().code, 409);
        let now = version(&store);
        assert_eq!(store.delete_seen(&route, &named(&now)).unwrap().1.len(), 1);
        assert_eq!(store.delete_seen(&route, &named(&now)).unwrap_err().code, 404);
    }

    #[test]
    fn a_finalizer_holds_a_deleted_object_and_owned_objects_follow_it() {
        let mut store = Store::default();
        let (owner, child) = (key("llmrollouts", "chat"), key("deployments", "chat-blue"));
        store.create(&owner, json!({"metadata": {"finalizers": ["f"]}}));
        let uid = store.get(&owner).unwrap()["metadata"]["uid"].clone();
        store.create(&child, json!({"metadata": {"ownerReferences": [{"uid": uid}]}}));
        store.delete(&owner, "2026-01-01T00:00:00Z");
        assert!(store.get(&owner).unwrap()["metadata"]["deletionTimestamp"].is_string());
        let last = [json!({"op": "remove", "path": "/metadata/finalizers/0"})];
        assert_eq!(store.json_patch(&owner, &last).unwrap().1.len(), 2);
        assert!(store.get(&owner).is_none() && store.get(&child).is_none());
    }
}
