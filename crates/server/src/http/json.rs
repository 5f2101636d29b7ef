//! JSON bodies, read strictly: an object is an object (serde's structs also take an array of their values), no name
//! stands twice in it, and what is wrong is told with its place and without the names of our types.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use countersign_core::refusal::{Code, Refusal};
use serde::{
    Deserialize,
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer as _,
        MapAccess, SeqAccess, Unexpected, Visitor, value::StringDeserializer,
    },
    forward_to_deserialize_any,
};

/// Longest name of a caller's that an answer repeats, in bytes.
const REPEATED_BYTES: usize = 64;

/// Reads a body. A refusal names the place, and never repeats a value.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let node: Node = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(Code::Malformed, format!("the body cannot be read as JSON: {error}"))
    })?;
    T::deserialize(node).map_err(Unfit::refusal)
}

/// A JSON value.
enum Node {
    Null,
    Flag(bool),
    Whole(u64),
    Negative(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Negative(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Node>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
        }
        Ok(Node::Object(object))
    }
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Flag(flag) => Unexpected::Bool(*flag),
            Self::Whole(number) => Unexpected::Unsigned(*number),
            Self::Negative(number) => Unexpected::Signed(*number),
            Self::Number(number) => Unexpected::Float(*number),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Flag(flag) => visitor.visit_bool(flag),
            Self::Whole(number) => visitor.visit_u64(number),
            Self::Negative(number) => visitor.visit_i64(number),
            Self::Number(number) => visitor.visit_f64(number),
            Self::Text(text) => visitor.visit_string(text),
            Self::List(list) => visitor.visit_seq(Entries { rest: list.into_iter(), index: 0 }),
            Self::Object(object) => visitor.visit_map(Members { rest: object.into_iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    /// The reason for this file: only an object is one.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self {
            Self::Object(_) => self.deserialize_any(visitor),
            other => Err(Unfit::invalid_type(other.unexpected(), &"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(Unfit::unknown_variant("", variants)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The entries of an array, each with its place.
struct Entries {
    rest: std::vec::IntoIter<Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Entries {
    type Error = Unfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unfit> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(node).map(Some).map_err(|unfit| unfit.under(&index.to_string()))
    }
}

/// The members of an object, each with its place.
struct Members {
    rest: std::collections::btree_map::IntoIter<String, Node>,
    next: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Unfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unfit> {
        let Some((name, node)) = self.rest.next() else { return Ok(None) };
        let key: StringDeserializer<Unfit> = name.clone().into_deserializer();
        let read = seed.deserialize(key).map_err(|unfit| unfit.under(&name))?;
        self.next = Some((name, node));
        Ok(Some(read))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let (name, node) = self.next.take().ok_or_else(|| Unfit::custom("a value without a name"))?;
        seed.deserialize(node).map_err(|unfit| unfit.under(&name))
    }
}

/// Why a value does not fit, and where it is.
#[derive(Debug)]
struct Unfit {
    code: Code,
    sentence: String,
    // From the inside out.
    place: Vec<String>,
}

impl Unfit {
    fn new(code: Code, sentence: String) -> Self {
        Self { code, sentence, place: Vec::new() }
    }

    fn under(mut self, name: &str) -> Self {
        let name = if name.len() > REPEATED_BYTES { "…" } else { name };
        // RFC 6901 §3.
        self.place.push(name.replace('~', "~0").replace('/', "~1"));
        self
    }

    fn refusal(self) -> Refusal {
        let pointer = self.place.iter().rev().fold(String::new(), |place, name| place + "/" + name.as_str());
        match pointer.as_str() {
            "" => Refusal::new(self.code, format!("the body does not fit: {}", self.sentence)),
            _ => Refusal::at(self.code, pointer, self.sentence),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: fmt::Display>(sentence: T) -> Self {
        Self::new(Code::Malformed, sentence.to_string())
    }

    fn invalid_type(given: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let given = match given {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
            Unexpected::Float(_) => "a number with a fraction",
            Unexpected::Str(_) | Unexpected::Char(_) => "a string",
            Unexpected::Unit | Unexpected::Option => "null",
            Unexpected::Seq => "an array",
            Unexpected::Map => "an object",
            _ => "another value",
        };
        Self::new(Code::Malformed, format!("send {} here, not {given}", in_words(&wanted.to_string())))
    }

    /// A number of the right kind and out of bounds is refused like those that a later check finds.
    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Code::Invalid, format!("send {} here", in_words(&wanted.to_string())))
    }

    fn invalid_length(_: usize, wanted: &dyn Expected) -> Self {
        Self::new(Code::Malformed, format!("send {} here", in_words(&wanted.to_string())))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(Code::Malformed, format!("send one of these here: {}", known.join(", ")))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        Self::new(Code::Malformed, format!("this name is not known here; known are: {known}"))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Code::Malformed, format!("`{name}` is missing"))
    }
}

/// What serde says that it expects, for people who know JSON and not Rust.
fn in_words(expected: &str) -> Cow<'_, str> {
    let up_to = |most: u64| Cow::Owned(format!("a whole number from 0 to {most}"));
    match expected {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "usize" => Cow::Borrowed("a whole number that is not negative"),
        "i64" => Cow::Borrowed("a whole number"),
        "f32" | "f64" => Cow::Borrowed("a number"),
        "a sequence" => Cow::Borrowed("an array"),
        "a map" => Cow::Borrowed("an object"),
        "a boolean" => Cow::Borrowed("true or false"),
        other if other.contains("struct ") || other.contains("variant") || other.contains("tuple") => {
            Cow::Borrowed("another value")
        }
        other => Cow::Borrowed(other),
    }
}
