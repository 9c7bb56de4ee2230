//! `echo.v1.EchoService`: the service of the tour, twice: for [async](service) servers and for [blocking] ones.

pub mod blocking;
mod client;
mod message;
mod rules;
pub mod service;

use antiphon_service::{Codec, Codecs, MethodCodecs, Status};
use bytes::Bytes;
use prost::Message;

pub use client::EchoClient;
pub use message::Msg;
pub use rules::{BadRequest, FieldViolation, MAX_DELAY};

/// One message in, the same out.
pub const UNARY: &str = "/echo.v1.EchoService/Unary";
/// The same without side effects: a Connect client may ask by GET.
pub const GET: &str = "/echo.v1.EchoService/Get";
/// One message in, `count` out.
pub const SERVER_STREAM: &str = "/echo.v1.EchoService/ServerStream";
/// Many messages in, one out.
pub const CLIENT_STREAM: &str = "/echo.v1.EchoService/ClientStream";
/// Each message comes back as soon as it arrives.
pub const BIDI: &str = "/echo.v1.EchoService/Bidi";

/// The binary codec of protobuf.
#[derive(Clone, Copy, Debug)]
pub struct Proto;

/// The JSON of protobuf.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Codec<Msg> for Proto {
    fn encode(&self, message: &Msg, out: &mut Vec<u8>) -> Result<(), Status> {
        Message::encode(message, out).map_err(|error| Status::internal(error.to_string()))
    }

    fn decode(&self, bytes: Bytes) -> Result<Msg, Status> {
        Msg::from_bytes("proto", &bytes)
    }
}

impl Codec<Msg> for Json {
    fn encode(&self, message: &Msg, out: &mut Vec<u8>) -> Result<(), Status> {
        serde_json::to_writer(out, message).map_err(|error| Status::internal(error.to_string()))
    }

    fn decode(&self, bytes: Bytes) -> Result<Msg, Status> {
        Msg::from_bytes("json", &bytes)
    }
}

/// The codecs of every method of the service.
pub fn codecs() -> MethodCodecs<Msg, Msg> {
    let codecs = Codecs::new().with("proto", Proto).with("json", Json);
    MethodCodecs { request: codecs.clone(), response: codecs }
}
