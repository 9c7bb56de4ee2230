//! The message of `proto/echo/v1/echo.proto`, in both codecs.
//!
//! Written by hand where a user would have generated code.

use antiphon::Status;
use antiphon::codec::base64;
use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The one message of the echo service.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Msg {
    /// A text.
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Any bytes; base64 in JSON.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub data: Vec<u8>,
    /// How many messages to send, or how many were received.
    #[prost(int32, tag = "3")]
    #[serde(skip_serializing_if = "is_zero")]
    pub count: i32,
    /// How long to wait before each answer, in milliseconds.
    #[prost(int32, tag = "4")]
    #[serde(skip_serializing_if = "is_zero", alias = "delay_ms")]
    pub delay_ms: i32,
}

impl Msg {
    /// A message with a text and nothing else.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Takes another message's text into this one, and counts it.
    pub(super) fn add(&mut self, other: &Self) {
        if self.count > 0 {
            self.text.push(' ');
        }
        self.text.push_str(&other.text);
        self.count = self.count.saturating_add(1);
    }

    /// Reads a message in the codec of its call: `json`, or `proto` for anything else.
    ///
    /// # Errors
    /// `invalid_argument` when the bytes are no such message.
    pub fn from_bytes(codec: &str, bytes: &[u8]) -> Result<Self, Status> {
        let bad = |what: String| Status::invalid_argument(format!("not an echo.v1.Msg in {codec}: {what}"));
        if codec == "json" {
            let bytes = if bytes.is_empty() { b"{}" } else { bytes };
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))
        } else {
            Self::decode(bytes).map_err(|error| bad(error.to_string()))
        }
    }

    /// Writes the message in the codec of its call.
    pub fn to_bytes(&self, codec: &str) -> Bytes {
        if codec == "json" {
            Bytes::from(serde_json::to_vec(self).unwrap_or_default())
        } else {
            Bytes::from(self.encode_to_vec())
        }
    }

    /// What a payload says, for the transcript.
    pub fn describe(codec: &str, payload: &[u8]) -> String {
        if codec == "json" {
            return String::from_utf8_lossy(payload).into_owned();
        }
        match Self::decode(payload) {
            Ok(message) => serde_json::to_string(&message).unwrap_or_default(),
            Err(_) => payload.escape_ascii().to_string(),
        }
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = Vec::new();
    base64::encode_into(bytes, &mut text);
    serializer.serialize_str(&String::from_utf8_lossy(&text))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    base64::decode(text.as_bytes()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codecs_round_trip() {
        let message = Msg { text: "hé".into(), data: vec![0, 255], count: -1, delay_ms: 7 };
        for codec in ["json", "proto"] {
            assert_eq!(Msg::from_bytes(codec, &message.to_bytes(codec)).unwrap(), message);
        }
        assert_eq!(Msg::text("a").to_bytes("json"), r#"{"text":"a"}"#);
        assert!(Msg::from_bytes("json", b"[").is_err());
    }
}
