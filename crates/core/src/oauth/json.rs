//! JSON of strangers, read strictly: no name stands twice in an object, nothing follows the value, and members are read
//! with their type.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use thiserror::Error;

/// JSON that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotStrict {
    /// It is not JSON, a name stands twice in an object, or something follows.
    #[error("it is not JSON in which every name stands once and after which nothing follows")]
    Malformed,
    /// It is JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A member has another type than it should.
    #[error("the member {name} is not {expected}")]
    Type {
        /// Which.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A member is not there.
    #[error("the member {0} is missing")]
    Missing(&'static str),
}

/// A JSON value whose objects have no name twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(entry)) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// Reads one JSON value.
pub fn value(bytes: &[u8]) -> Result<Value, NotStrict> {
    serde_json::from_slice::<Strict>(bytes).map(|strict| strict.0).map_err(|_| NotStrict::Malformed)
}

/// Reads one JSON object.
pub fn object(bytes: &[u8]) -> Result<Members, NotStrict> {
    match value(bytes)? {
        Value::Object(members) => Ok(Members(members)),
        _ => Err(NotStrict::NotAnObject),
    }
}

/// The members of an object, read with their types.
#[derive(Clone, Debug, PartialEq)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Of a value that is an object.
    pub fn of(value: Value) -> Result<Self, NotStrict> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(NotStrict::NotAnObject),
        }
    }

    /// Any member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether it is there, with any value.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, NotStrict> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A text that must be there.
    pub fn required_text(&self, name: &'static str) -> Result<&str, NotStrict> {
        self.text(name)?.ok_or(NotStrict::Missing(name))
    }

    /// A whole number, as the dates of a JWT are taken here (RFC 7519 §2, NumericDate).
    pub fn integer(&self, name: &str) -> Result<Option<i64>, NotStrict> {
        self.typed(name, "a whole number", Value::as_i64)
    }

    /// A whole number that must be there.
    pub fn required_integer(&self, name: &'static str) -> Result<i64, NotStrict> {
        self.integer(name)?.ok_or(NotStrict::Missing(name))
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, NotStrict> {
        self.typed(name, "a list of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, NotStrict> {
        let wrong = || NotStrict::Type { name: name.to_owned(), expected };
        self.0.get(name).map(|value| read(value).ok_or_else(wrong)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G-7: two readers of one token never see two values.
    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth() {
        assert_eq!(object(br#"{"a":1,"a":1}"#), Err(NotStrict::Malformed));
        assert_eq!(object(br#"{"a":{"b":1,"\u0062":2}}"#), Err(NotStrict::Malformed));
        assert_eq!(object(br#"{"a":[{"b":1,"b":2}]}"#), Err(NotStrict::Malformed));
        assert_eq!(object(br#"{"a":1} x"#), Err(NotStrict::Malformed));
        assert_eq!(object(b"[]"), Err(NotStrict::NotAnObject));
        let deep = "[".repeat(1_000);
        assert_eq!(value(deep.as_bytes()), Err(NotStrict::Malformed));
    }

    #[test]
    fn members_are_read_with_their_types() {
        let members =
            object(br#"{"a":"x","n":7,"f":7.5,"e":1e3,"l":["x","y"],"m":["x",1],"z":null}"#).unwrap();
        assert_eq!(members.text("a"), Ok(Some("x")));
        assert_eq!(members.integer("n"), Ok(Some(7)));
        assert!(members.integer("f").is_err() && members.integer("e").is_err() && members.text("z").is_err());
        assert_eq!(members.texts("l"), Ok(Some(vec!["x", "y"])));
        assert!(members.texts("m").is_err() && members.texts("a").is_err());
        assert_eq!(members.required_text("b"), Err(NotStrict::Missing("b")));
    }
}
