//! A YAML file as values, with the line and column at which each of them is written. Never judges what it reads.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// Where something is written, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Place {
    /// Where nothing more is known.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(location: Location) -> Self {
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where each part of it is written, by its path: `spec.gates[0].max`.
    places: BTreeMap<String, Place>,
}

impl Document {
    /// Where a path is written; of what is not written, where the nearest part around it is.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None if path.is_empty() => return Place::START,
                None => path = "",
            }
        }
    }
}

/// The documents of a text, or why it is no YAML and where that shows.
pub fn read(text: &str) -> Result<Vec<Document>, (Place, String)> {
    let documents: Vec<Spanned<Node>> = serde_saphyr::from_multiple(text).map_err(|e| {
        let place = e.location().map_or(Place::START, Place::of);
        (place, e.without_snippet().to_string())
    })?;
    let documents = documents.into_iter().map(|root| {
        let mut places = BTreeMap::from([(String::new(), Place::of(root.referenced))]);
        let value = root.value.value("", &mut places);
        Document { value, places }
    });
    Ok(documents.filter(|document| !document.value.is_null()).collect())
}

/// What is read, before values and places are told apart.
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Fields(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn value(self, at: &str, places: &mut BTreeMap<String, Place>) -> Value {
        let mut below = |path: String, location: Location, node: Node| {
            places.insert(path.clone(), Place::of(location));
            node.value(&path, places)
        };
        match self {
            Self::Leaf(value) => value,
            Self::List(items) => {
                let items = items.into_iter().enumerate();
                items.map(|(n, item)| below(format!("{at}[{n}]"), item.referenced, item.value)).collect()
            }
            Self::Fields(fields) => {
                let fields = fields.into_iter().map(|(name, field)| {
                    let path = if at.is_empty() { name.value.clone() } else { format!("{at}.{}", name.value) };
                    (name.value, below(path, name.referenced, field.value))
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Place, read};

    #[test]
    fn every_part_has_its_place() {
        let text =
            "a: 1\n---\nspec:\n  gates:\n  - {name: errors, max: 1%}\n  - name: p95\n    max: 1.5s\n  on: true\n";
        let documents = read(text).unwrap();
        assert_eq!(documents.len(), 2);
        let second = &documents[1];
        let gates = json!([{"name": "errors", "max": "1%"}, {"name": "p95", "max": "1.5s"}]);
        assert_eq!(second.value, json!({"spec": {"gates": gates, "on": true}}));
        for (path, line, column) in [
            ("spec", 3, 1),
            ("spec.gates", 4, 3),
            ("spec.gates[0].max", 5, 20),
            ("spec.gates[1]", 6, 5),
            ("spec.gates[1].max", 7, 5),
            ("spec.gates[1].interval", 6, 5),
            ("spec.steps[3].weight", 3, 1),
        ] {
            assert_eq!(second.place(path), Place { line, column }, "{path}");
        }
        assert_eq!(documents[0].place("b"), Place { line: 1, column: 1 });
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        for (text, line) in [("a: 1\nb: [\n", 3), ("a: 1\na: 2\n", 2)] {
            let (place, words) = read(text).unwrap_err();
            assert!(place.line.abs_diff(line) <= 1 && !words.is_empty(), "{place:?} {words}");
        }
        assert!(read("# nothing\n---\n").unwrap().is_empty());
    }
}
