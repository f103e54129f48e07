//! JSON patch as the API server does it, as far as the operator uses it.

use serde_json::Value;

/// JSON patch as the API server does it: the guard compares versions, a failed test refuses everything.
pub(crate) fn obeys(object: &mut Value, ops: &[Value]) -> bool {
    let mut trial = object.clone();
    for op in ops {
        let path = op["path"].as_str().unwrap();
        let fits = match op["op"].as_str().unwrap() {
            "test" => trial.pointer(path) == Some(&op["value"]),
            "replace" if path == "/metadata/resourceVersion" => trial.pointer(path) == Some(&op["value"]),
            "replace" => trial.pointer_mut(path).map(|place| *place = op["value"].clone()).is_some(),
            "add" => put(&mut trial, path, &op["value"]),
            "remove" => cut(&mut trial, path),
            other => panic!("unexpected operation {other}"),
        };
        if !fits {
            return false;
        }
    }
    *object = trial;
    true
}

fn parent<'a>(object: &'a mut Value, path: &str) -> (Option<&'a mut Value>, String) {
    let (head, last) = path.rsplit_once('/').unwrap();
    (object.pointer_mut(head), last.replace("~1", "/").replace("~0", "~"))
}

fn put(object: &mut Value, path: &str, value: &Value) -> bool {
    match parent(object, path) {
        (Some(Value::Array(items)), last) if last == "-" => items.push(value.clone()),
        (Some(Value::Array(items)), last) => match last.parse() {
            Ok(index) if index <= items.len() => items.insert(index, value.clone()),
            _ => return false,
        },
        (Some(Value::Object(map)), last) => drop(map.insert(last, value.clone())),
        _ => return false,
    }
    true
}

fn cut(object: &mut Value, path: &str) -> bool {
    match parent(object, path) {
        (Some(Value::Array(items)), last) => {
            let index: usize = last.parse().unwrap();
            (index < items.len()).then(|| items.remove(index)).is_some()
        }
        (Some(Value::Object(map)), last) => map.remove(&last).is_some(),
        _ => false,
    }
}
