//! The two codecs of the suite: binary, and canonical JSON with the types inside `google.protobuf.Any` resolved.

use std::sync::OnceLock;

use antiphon::Status;
use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};

use crate::proto;

/// How messages are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// Protocol buffers, binary.
    Proto,
    /// Canonical protobuf JSON; unknown fields are errors.
    Json,
}

impl Codec {
    /// The codec of a config; `None` if it is neither of the two.
    pub fn from_config(codec: proto::Codec) -> Option<Self> {
        match codec {
            proto::Codec::Proto => Some(Self::Proto),
            proto::Codec::Json => Some(Self::Json),
            _ => None,
        }
    }

    /// The codec of a protocol's name for it, `proto` or `json`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Proto, Self::Json].into_iter().find(|codec| codec.name() == name)
    }

    /// The name in a content type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proto => "proto",
            Self::Json => "json",
        }
    }

    /// Encodes a message. Fails with `internal` if an `Any` within holds a type that the suite does not know.
    pub fn encode<M: Message + Name>(self, message: &M) -> Result<Vec<u8>, Status> {
        match self {
            Self::Proto => Ok(message.encode_to_vec()),
            Self::Json => {
                to_json(message).map_err(|error| Status::internal(format!("cannot encode: {error}")))
            }
        }
    }

    /// Decodes a message. Fails with `invalid_argument`.
    pub fn decode<M: Message + Name + Default>(self, data: &[u8]) -> Result<M, Status> {
        let result = match self {
            Self::Proto => M::decode(data).map_err(|error| error.to_string()),
            Self::Json => from_json(data),
        };
        result.map_err(|error| Status::invalid_argument(format!("cannot decode: {error}")))
    }
}

fn descriptor<M: Name>() -> Result<MessageDescriptor, String> {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let set = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        DescriptorPool::decode(&set[..]).expect("the build script wrote a descriptor set")
    });
    pool.get_message_by_name(&M::full_name()).ok_or_else(|| format!("unknown type {}", M::full_name()))
}

fn to_json<M: Message + Name>(message: &M) -> Result<Vec<u8>, String> {
    let message = DynamicMessage::decode(descriptor::<M>()?, &message.encode_to_vec()[..]);
    let message = message.map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .map_err(|error| error.to_string())?;
    Ok(json)
}

fn from_json<M: Message + Name + Default>(json: &[u8]) -> Result<M, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor::<M>()?, &mut deserializer, &options);
    let message = message.map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    M::decode(&message.encode_to_vec()[..]).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::conformance_payload::RequestInfo;
    use crate::proto::{ConformancePayload, UnaryRequest, UnaryResponse};
    use prost_types::Any;

    fn response() -> UnaryResponse {
        let request = UnaryRequest { response_definition: None, request_data: b"hi".to_vec() };
        let requests = vec![Any::from_msg(&request).unwrap()];
        let info = RequestInfo { timeout_ms: Some(1 << 40), requests, ..RequestInfo::default() };
        UnaryResponse {
            payload: Some(ConformancePayload { data: vec![0xff, 0xfe], request_info: Some(info) }),
        }
    }

    #[test]
    fn both_codecs_round_trip() {
        for codec in [Codec::Proto, Codec::Json] {
            let data = codec.encode(&response()).unwrap();
            assert_eq!(codec.decode::<UnaryResponse>(&data).unwrap(), response());
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
        }
    }

    // protobuf.dev "ProtoJSON Format": lowerCamelCase names, int64 as a string, bytes in base64, Any with "@type".
    #[test]
    fn json_is_canonical() {
        let json = Codec::Json.encode(&response()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let info = &json["payload"]["requestInfo"];
        assert_eq!(json["payload"]["data"], "//4=");
        assert_eq!(info["timeoutMs"], "1099511627776");
        assert_eq!(
            info["requests"][0]["@type"],
            "type.googleapis.com/connectrpc.conformance.v1.UnaryRequest"
        );
        assert_eq!(info["requests"][0]["requestData"], "aGk=");
    }

    #[test]
    fn json_is_strict() {
        for json in ["{\"payloads\":{}}", "{} {}", "", "[]", "{\"payload\":{\"data\":1}}"] {
            assert!(Codec::Json.decode::<UnaryResponse>(json.as_bytes()).is_err(), "{json}");
        }
    }
}
