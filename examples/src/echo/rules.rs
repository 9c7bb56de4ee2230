//! What both kinds of handlers do alike.

use std::time::Duration;

use antiphon::Detail;
use antiphon_service::{Context, Status};

use super::Msg;

/// The longest delay that a request can ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(10);

/// `google.rpc.BadRequest`: the detail beside an `invalid_argument`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BadRequest {
    /// What is wrong, field by field.
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

/// One field of a bad request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FieldViolation {
    /// The path of the field.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong with it.
    #[prost(string, tag = "2")]
    pub description: String,
}

impl prost::Name for BadRequest {
    const NAME: &'static str = "BadRequest";
    const PACKAGE: &'static str = "google.rpc";
}

/// Sends back the request's headers that begin with `x-echo-`.
pub(super) fn echo_headers(context: &Context) -> Result<(), Status> {
    for field in context.headers().iter() {
        let Ok(value) = std::str::from_utf8(field.value) else { continue };
        if field.name.starts_with("x-echo-") && !field.name.ends_with("-bin") {
            context.set_header(field.name, value)?;
        }
    }
    Ok(())
}

/// Tells in a trailer how many messages came back.
pub(super) fn count(context: &Context, messages: i32) -> Result<(), Status> {
    context.set_trailer("echo-count", messages)
}

/// A message that says nothing is refused.
pub(super) fn check(message: &Msg) -> Result<(), Status> {
    if !message.text.is_empty() || !message.data.is_empty() {
        return Ok(());
    }
    let violation =
        FieldViolation { field: "text".into(), description: "it is empty, and so is data".into() };
    let detail = Detail::from_message(&BadRequest { field_violations: vec![violation] });
    Err(Status::invalid_argument("there is nothing to echo").with_detail(detail))
}

/// How long to wait before each answer.
pub(super) fn delay(message: &Msg) -> Option<Duration> {
    let delay = u64::try_from(message.delay_ms).ok().filter(|delay| *delay > 0)?;
    Some(Duration::from_millis(delay).min(MAX_DELAY))
}
