//! The JSON of messages.

use std::sync::OnceLock;

use antiphon_service::{Bytes, Codec, Json, JsonOptions, Proto, Schema};
use prost_types::Any;

/// A body.
pub type Target = fn(&[u8]);

/// The bodies by name, for the replay.
pub const TARGETS: &[(&str, Target)] = &[("decode", decode), ("encode", encode)];

/// The well-known types and descriptors: with `Any` they are messages of every kind, nested as one likes.
fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let set = prost_reflect::DescriptorPool::global().encode_to_vec();
        Schema::new(Vec::leak(set))
    })
}

fn write(json: &Json, message: &Any) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    json.encode(message, &mut out).ok().map(|()| out)
}

/// What was written is read and written the same; but it may be nested deeper than a reader goes.
fn read_again(json: &Json, text: Vec<u8>) {
    match json.decode(Bytes::from(text.clone())) {
        Ok(again) => assert_eq!(write(json, &again), Some(text)),
        Err(status) => {
            let message = status.message();
            assert!(message.contains("recursion limit") || message.contains("too deep"), "{message}");
        }
    }
}

/// What is read from any text and can be written is read again.
pub fn decode(data: &[u8]) {
    for options in [JsonOptions::default(), JsonOptions::lenient()] {
        let json = Json::new(schema(), "google.protobuf.Any").options(options);
        let message = json.decode(Bytes::copy_from_slice(data));
        if let Some(text) = message.ok().and_then(|message| write(&json, &message)) {
            read_again(&json, text);
        }
    }
}

/// Any bytes are no message, or one that is refused or written.
pub fn encode(data: &[u8]) {
    let Ok(message) = Codec::<Any>::decode(&Proto, Bytes::copy_from_slice(data)) else { return };
    let json = Json::new(schema(), "google.protobuf.Any");
    if let Some(text) = write(&json, &message) {
        read_again(&json, text);
    }
}
