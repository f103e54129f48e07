//! An answer's JSON as far as it is looked at: the fields of the query API, two items of a list, six levels. The rest is
//! read over and only counted, so that neither its depth nor its length costs memory or stack. Never judges.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Fields of the query API that mean something here.
const FIELDS: [&str; 8] = ["status", "warnings", "isPartial", "data", "resultType", "result", "value", "histogram"];
/// Root, data, result, series, pair, and what stands in the pair.
const LEVELS: usize = 6;
/// Items of a list that are kept.
const ITEMS: usize = 2;

/// What stands somewhere.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// Its first items, and how many there are.
    List(Vec<Self>, usize),
    Map(BTreeMap<&'static str, Self>),
    /// Deeper than anything is looked at.
    Deep,
}

impl Node {
    /// A field of an object.
    pub(super) fn get(&self, field: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.get(field)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads bytes that are one JSON document; an object with a field twice is none.
pub(super) fn read(body: &[u8]) -> Result<Node, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let node = Look { level: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(node)
}

#[derive(Clone, Copy)]
struct Look {
    level: usize,
}

impl Look {
    const fn below(self) -> Self {
        Self { level: self.level + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        if self.level < LEVELS {
            return from.deserialize_any(self);
        }
        // The reader walks over this without a call per level.
        from.deserialize_ignored_any(IgnoredAny).map(|IgnoredAny| Node::Deep)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "of numbers only times are read, in seconds")]
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "of numbers only times are read, in seconds")]
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while items.len() < ITEMS {
            match from.next_element_seed(self.below())? {
                Some(item) => items.push(item),
                None => break,
            }
        }
        let mut count = items.len();
        if count == ITEMS {
            while from.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
        }
        Ok(Node::List(items, count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = from.next_key::<String>()? {
            let Some(field) = FIELDS.into_iter().find(|field| *field == name) else {
                from.next_value::<IgnoredAny>()?;
                continue;
            };
            if fields.insert(field, from.next_value_seed(self.below())?).is_some() {
                return Err(A::Error::custom("a field twice"));
            }
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, read};

    #[test]
    fn keeps_what_is_looked_at_and_counts_the_rest() {
        let node = read(br#"{"data":{"x":[1,{"value":2}],"value":[null,true,"a",{}]},"y":{}}"#).unwrap();
        let kept = node.get("data").and_then(|data| data.get("value"));
        assert_eq!(kept, Some(&Node::List(vec![Node::Null, Node::Bool(true)], 4)));
        assert_eq!(node.get("y"), None);
        let deep = read(br"[[[[[[1,[2]]]]]]]").unwrap();
        assert_eq!(format!("{deep:?}").matches("List").count(), 6);
        assert!(format!("{deep:?}").contains("Deep"));
    }

    #[test]
    fn neither_depth_nor_length_costs_stack_or_memory() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(deep.as_bytes()).unwrap(), Node::Map([].into()));
        let deep = format!("{}1{}", r#"{"data":"#.repeat(100_000), "}".repeat(100_000));
        assert!(read(deep.as_bytes()).is_ok());
        let long = format!("[{}0]", "{},".repeat(300_000));
        let Node::List(kept, count) = read(long.as_bytes()).unwrap() else { panic!("no list") };
        assert_eq!((kept.len(), kept.capacity() < 10, count), (2, true, 300_001));
    }

    #[test]
    fn what_is_no_document_is_refused_wherever_it_breaks() {
        for text in
            ["", "[", "{} {}", r#"{"x":[}"#, r#"{"x":{"y":tru}}"#, r#"["a"#, "[0,0,0,", r#"{"value":1,"value":1}"#]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }
}
