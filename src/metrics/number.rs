//! A number in a JSON document that an endpoint tells, or a Job leaves: where it stands, whom it is about, and how it is read. As strict as
//! with a provider's answers: what is no finite number at its place is none. Never keeps or repeats a document's text.

use std::{fmt, time::Duration};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{NoData, Sample};
use crate::api::sources::Http;

/// A number that a gate looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Where it stands, as a JSON pointer.
    pub path: String,
    /// Where it stands on how many samples it rests; empty where nothing says so.
    pub samples: Option<String>,
}

impl Number {
    /// Reads what a manifest says, or says what to write instead.
    pub fn read(http: &Http) -> Result<Self, String> {
        let counted = http.samples.as_ref().is_none_or(|path| !path.is_empty() && is_pointer(path));
        if !is_pointer(&http.path) || !counted {
            return Err("`http.path` and `http.samples` are JSON pointers; write for example `path: /score`".to_owned());
        }
        Ok(Self { endpoint: http.name.clone(), path: http.path.clone(), samples: http.samples.clone() })
    }
}

/// A number that a Job reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobNumber {
    /// Name of the `CronJob` whose template is run.
    pub cron_job: String,
    /// Which field of its last words counts.
    pub field: String,
    /// How long it may run.
    pub timeout: Duration,
}

impl JobNumber {
    /// What its last words say of it.
    pub fn told(&self, words: &str) -> Result<Sample, NoData> {
        let path = format!("/{}", self.field);
        match find(words.as_bytes(), &path)? {
            Found::Number(value) if words.trim_start().starts_with('{') => Ok(Sample { value, samples: 1.0 }),
            Found::Number(_) | Found::Nothing => {
                Err(NoData::Job("its last words do not hold the number that `value` names"))
            }
            Found::Other(_) => Err(NoData::Job("what `value` names in its last words is no number")),
        }
    }
}

/// Empty, or begun with `/`; `~` only in `~0` and `~1`.
fn is_pointer(path: &str) -> bool {
    let escapes = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (path.is_empty() || path.starts_with('/')) && escapes
}

/// What may stand in the query of an endpoint's URL, once it is known whom a question is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct About {
    /// `{{namespace}}`
    pub namespace: String,
    /// `{{name}}`, the rollout's.
    pub name: String,
    /// `{{color}}`
    pub color: &'static str,
    /// `{{revision}}` of that color.
    pub revision: String,
}

impl About {
    /// Each word with what stands in its place.
    pub fn words(&self) -> [(&'static str, &str); 4] {
        [
            ("{{namespace}}", &self.namespace),
            ("{{name}}", &self.name),
            (COLOR, self.color),
            ("{{revision}}", &self.revision),
        ]
    }
}

/// Stands in an endpoint's URL where the color belongs.
pub const COLOR: &str = "{{color}}";

/// The number at `path`, and the one at `samples`, which is 1 where there is no such path.
pub fn sample(body: &[u8], path: &str, samples: &str) -> Result<Sample, NoData> {
    let value = match find(body, path)? {
        Found::Number(value) => value,
        Found::Nothing => return Err(NoData::WrongShape("nothing stands at `path`")),
        Found::Other(what) => return Err(NoData::WrongShape(what)),
    };
    if samples.is_empty() {
        return Ok(Sample { value, samples: 1.0 });
    }
    match find(body, samples)? {
        Found::Number(samples) if samples >= 0.0 => Ok(Sample { value, samples }),
        Found::Number(_) => Err(NoData::WrongShape("the number at `samples` is below zero")),
        Found::Nothing => Err(NoData::WrongShape("nothing stands at `samples`")),
        Found::Other(_) => Err(NoData::WrongShape("what stands at `samples` is no number")),
    }
}

/// What stands somewhere in a document.
#[derive(Debug, PartialEq)]
enum Found {
    Nothing,
    Number(f64),
    Other(&'static str),
}

fn find(body: &[u8], path: &str) -> Result<Found, NoData> {
    let names: Vec<String> = path.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Look { names: &names }.deserialize(&mut reader).and_then(|found| reader.end().map(|()| found));
    found.map_err(|error| match () {
        () if error.is_data() => NoData::WrongShape("a field stands there twice"),
        // The reader's own word for what is larger than any number.
        () if error.to_string().starts_with("number out of range") => NoData::NotFinite,
        () => NoData::WrongShape("not JSON"),
    })
}

/// Follows the names; what is not on their way is read over, which costs neither memory nor stack.
#[derive(Clone, Copy)]
struct Look<'a> {
    names: &'a [String],
}

impl Look<'_> {
    /// What stands here, if this is the place.
    const fn here(self, what: &'static str) -> Found {
        if self.names.is_empty() { Found::Other(what) } else { Found::Nothing }
    }

    fn number(self, value: f64) -> Found {
        // No negative zero: it would be shown as one.
        if self.names.is_empty() { Found::Number(value + 0.0) } else { Found::Nothing }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Found, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(self.here("null instead of a number"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(self.here("true or false instead of a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(self.here("a string instead of a number"))
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure is judged as a float, wherever it comes from")]
    fn visit_i64<E>(self, value: i64) -> Result<Found, E> {
        Ok(self.number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure is judged as a float, wherever it comes from")]
    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        Ok(self.number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found, E> {
        Ok(self.number(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Found, A::Error> {
        let place = self.names.split_first().and_then(|(name, rest)| Some((index(name)?, rest)));
        let mut found = self.here("a list instead of a number");
        let mut count = 0;
        loop {
            let next = match place {
                Some((wanted, names)) if wanted == count => {
                    from.next_element_seed(Look { names })?.map(|there| found = there)
                }
                _ => from.next_element::<IgnoredAny>()?.map(drop),
            };
            if next.is_none() {
                return Ok(found);
            }
            count += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Found, A::Error> {
        let mut found = None;
        while let Some(name) = from.next_key::<String>()? {
            match self.names.split_first() {
                Some((wanted, names)) if *wanted == name => {
                    if found.replace(from.next_value_seed(Look { names })?).is_some() {
                        return Err(A::Error::custom("a field twice"));
                    }
                }
                _ => drop(from.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found.unwrap_or_else(|| self.here("an object instead of a number")))
    }
}

/// The place in a list that a name means: digits, without zeros before them.
fn index(name: &str) -> Option<usize> {
    let plain = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::{Number, is_pointer, sample};
    use crate::{
        api::sources::Http,
        metrics::{NoData, Sample},
    };

    fn value(body: &str, path: &str) -> Result<f64, NoData> {
        sample(body.as_bytes(), path, "").map(|s| s.value)
    }

    #[test]
    fn a_number_is_found_where_the_pointer_leads() {
        let body = r#"{"a":{"b":[1,{"c d":-2.5}],"":3},"x/y":{"~":4e2},"0":5,"n":18446744073709551615,"z":-0.0}"#;
        for (path, number) in [
            ("/a/b/0", 1.0),
            ("/a/b/1/c d", -2.5),
            ("/a/", 3.0),
            ("/x~1y/~0", 400.0),
            ("/0", 5.0),
            ("/n", 18_446_744_073_709_551_615.0),
            ("/z", 0.0),
        ] {
            assert_eq!(value(body, path), Ok(number), "{path}");
        }
        assert!(value(body, "/z").is_ok_and(f64::is_sign_positive));
        assert_eq!(value(" 0.97\n", ""), Ok(0.97), "the whole document may be the number");
        let counted = r#"{"score":0.97,"count":12}"#;
        assert_eq!(sample(counted.as_bytes(), "/score", "/count"), Ok(Sample { value: 0.97, samples: 12.0 }));
        assert_eq!(sample(counted.as_bytes(), "/score", ""), Ok(Sample { value: 0.97, samples: 1.0 }));
    }

    #[test]
    fn whatever_is_no_number_at_its_place_is_no_data() {
        let shape = NoData::WrongShape;
        for (body, path, why) in [
            (r#"{"a":1}"#, "/b", shape("nothing stands at `path`")),
            (r#"{"a":1}"#, "/a/b", shape("nothing stands at `path`")),
            ("[1,2]", "/2", shape("nothing stands at `path`")),
            ("[1,2]", "/01", shape("nothing stands at `path`")),
            ("[1,2]", "/-", shape("nothing stands at `path`")),
            ("7", "/a", shape("nothing stands at `path`")),
            (r#"{"a":"0.5"}"#, "/a", shape("a string instead of a number")),
            (r#"{"a":null}"#, "/a", shape("null instead of a number")),
            (r#"{"a":true}"#, "/a", shape("true or false instead of a number")),
            (r#"{"a":[1]}"#, "/a", shape("a list instead of a number")),
            (r#"{"a":{"b":1}}"#, "/a", shape("an object instead of a number")),
            (r#"{"a":1,"a":2}"#, "/a", shape("a field stands there twice")),
            (r#"{"a":1e999}"#, "/a", NoData::NotFinite),
            (r#"{"a":-1e999}"#, "/a", NoData::NotFinite),
            (r#"{"a":NaN}"#, "/a", shape("not JSON")),
            (r#"{"a":Infinity}"#, "/a", shape("not JSON")),
            (r#"{"a":01}"#, "/a", shape("not JSON")),
            (r#"{"a":1"#, "/a", shape("not JSON")),
            (r#"{"a":1} x"#, "/a", shape("not JSON")),
            ("<html>", "/a", shape("not JSON")),
            ("", "", shape("not JSON")),
        ] {
            assert_eq!(value(body, path), Err(why), "{body} at {path}");
        }
        for (samples, why) in
            [("-1", "the number at `samples` is below zero"), ("\"9\"", "what stands at `samples` is no number")]
        {
            let body = format!(r#"{{"a":1,"n":{samples}}}"#);
            assert_eq!(sample(body.as_bytes(), "/a", "/n"), Err(shape(why)), "{body}");
        }
        assert_eq!(sample(br#"{"a":1}"#, "/a", "/n"), Err(shape("nothing stands at `samples`")));
    }

    #[test]
    fn neither_depth_nor_length_costs_stack_or_memory() {
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(value(&deep, "/a"), Ok(1.0));
        assert_eq!(value(&deep, &"/x".repeat(2)), Err(NoData::WrongShape("nothing stands at `path`")));
        let down = format!("/x{}", "/0".repeat(127));
        assert!(value(&deep, &down).is_err(), "as deep as the reader goes");
        let long = format!("[{}9]", "0,".repeat(300_000));
        assert_eq!(value(&long, "/300000"), Ok(9.0));
    }

    #[test]
    fn a_path_is_a_json_pointer() {
        for good in ["", "/", "/a/b", "/a~1b/~0", "/0"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["a", "a/b", "/~", "/~2", "$.a"] {
            assert!(!is_pointer(bad), "{bad}");
        }
        for bad in ["", "a", "/~2"] {
            let http = Http { name: "eval".into(), path: "/a".into(), samples: Some(bad.into()) };
            assert!(Number::read(&http).is_err_and(|e| e.contains("JSON pointers")), "{bad}");
        }
    }
}
