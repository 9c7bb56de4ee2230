//! JSON as a tree that keeps what the mapping needs: the order of fields, those that are there twice, and integers as
//! they are.

use std::borrow::Cow;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value. Borrows the strings that have no escapes.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// An integer that fits.
    Unsigned(u64),
    /// A negative integer that fits.
    Signed(i64),
    /// Any other number.
    Float(f64),
    String(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// What it is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The number that a text is in the grammar of JSON, without anything around it.
    pub(super) fn number(text: &str) -> Option<Node<'static>> {
        let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && text.ends_with(|last: char| last.is_ascii_digit());
        if !is_number {
            return None;
        }
        match serde_json::from_str::<Node<'_>>(text).ok()? {
            Node::Unsigned(value) => Some(Node::Unsigned(value)),
            Node::Signed(value) => Some(Node::Signed(value)),
            Node::Float(value) => Some(Node::Float(value)),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

/// A name, borrowed if it can be.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).map_or(Node::Signed(value), Node::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::String(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::String(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((Name(name), node)) = object.next_entry()? {
            fields.push((name, node));
        }
        Ok(Node::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_the_mapping_needs_is_lost() {
        let node: Node<'_> =
            serde_json::from_str(r#"{"a":18446744073709551615,"a":-1,"\u0062":[1.5,null]}"#).unwrap();
        let Node::Object(fields) = node else { panic!() };
        assert_eq!(fields[0], (Cow::Borrowed("a"), Node::Unsigned(u64::MAX)));
        assert_eq!(fields[1], (Cow::Borrowed("a"), Node::Signed(-1)));
        assert_eq!(fields[2], (Cow::Borrowed("b"), Node::List(vec![Node::Float(1.5), Node::Null])));
        assert!(matches!(fields[0].0, Cow::Borrowed(_)));
    }

    #[test]
    fn numbers_in_strings_have_nothing_around_them() {
        assert_eq!(Node::number("1"), Some(Node::Unsigned(1)));
        assert_eq!(Node::number("-1.5e3"), Some(Node::Float(-1500.0)));
        for text in ["", " 1", "1 ", "+1", "01", "1.", ".5", "0x1", "NaN", "1e", "\"1\"", "1\n", "1e999"] {
            assert_eq!(Node::number(text), None, "{text:?}");
        }
    }
}
