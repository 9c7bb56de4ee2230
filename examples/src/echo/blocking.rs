//! The service for blocking servers: the same handlers without `async`.

use std::thread;
use std::time::{Duration, Instant};

use antiphon_service::handler::blocking as handler;
use antiphon_service::{Blocking, Context, Method, Receiver, Router, Sender, Shape, Status};

use super::rules::{check, count, delay, echo_headers};
use super::{BIDI, CLIENT_STREAM, GET, Msg, SERVER_STREAM, UNARY, codecs};

/// All methods of the service.
pub fn router() -> Router {
    Router::new()
        .add(UNARY, handler::unary_with(codecs(), unary))
        .route(GET, Method::new(Shape::Unary).without_side_effects(), handler::unary_with(codecs(), unary))
        .add(SERVER_STREAM, handler::server_stream_with(codecs(), server_stream))
        .add(CLIENT_STREAM, handler::client_stream_with(codecs(), client_stream))
        .add(BIDI, handler::bidi_with(codecs(), bidi))
}

fn unary(context: Context, message: Msg) -> Result<Msg, Status> {
    echo_headers(&context)?;
    check(&message)?;
    sleep(&context, &message)?;
    count(&context, 1)?;
    Ok(message)
}

fn server_stream(context: Context, message: Msg, mut outbound: Sender<Msg, Blocking>) -> Result<(), Status> {
    echo_headers(&context)?;
    context.send_headers();
    for number in 1..=message.count {
        sleep(&context, &message)?;
        outbound.send(Msg { count: number, delay_ms: 0, ..message.clone() })?;
    }
    count(&context, message.count.max(0))
}

fn client_stream(context: Context, mut inbound: Receiver<Msg, Blocking>) -> Result<Msg, Status> {
    echo_headers(&context)?;
    let mut answer = Msg::default();
    while let Some(message) = inbound.recv()? {
        answer.add(&message);
    }
    count(&context, 1)?;
    Ok(answer)
}

fn bidi(
    context: Context,
    mut inbound: Receiver<Msg, Blocking>,
    mut outbound: Sender<Msg, Blocking>,
) -> Result<(), Status> {
    echo_headers(&context)?;
    context.send_headers();
    let mut messages = 0;
    while let Some(message) = inbound.recv()? {
        sleep(&context, &message)?;
        outbound.send(message)?;
        messages += 1;
    }
    count(&context, messages)
}

/// Sleeps as long as the message says. Nobody can drop a handler that blocks, so it looks now and then whether
/// anybody still waits for it.
fn sleep(context: &Context, message: &Msg) -> Result<(), Status> {
    let Some(delay) = delay(message) else { return Ok(()) };
    let until = Instant::now() + delay;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        if context.is_cancelled() {
            return Err(Status::canceled("nobody waits for the answer"));
        }
        thread::sleep(left.min(Duration::from_millis(10)));
    }
}
