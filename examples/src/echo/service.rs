//! The service for async servers, whatever their runtime.

use std::time::Duration;

use antiphon_service::{BoxFuture, Context, Method, Receiver, Router, Sender, Shape, Status, handler};

use super::rules::{check, count, delay, echo_headers};
use super::{BIDI, CLIENT_STREAM, GET, Msg, SERVER_STREAM, UNARY, codecs};

/// How handlers sleep: the one thing that they need of a runtime, so it is handed in.
pub type Sleep = fn(Duration) -> BoxFuture;

/// All methods of the service.
pub fn router(sleep: Sleep) -> Router {
    let once = move |context, message| unary(context, message, sleep);
    Router::new()
        .add(UNARY, handler::unary_with(codecs(), once))
        .route(GET, Method::new(Shape::Unary).without_side_effects(), handler::unary_with(codecs(), once))
        .add(
            SERVER_STREAM,
            handler::server_stream_with(codecs(), move |context, message, outbound| {
                server_stream(context, message, outbound, sleep)
            }),
        )
        .add(CLIENT_STREAM, handler::client_stream_with(codecs(), client_stream))
        .add(
            BIDI,
            handler::bidi_with(codecs(), move |context, inbound, outbound| {
                bidi(context, inbound, outbound, sleep)
            }),
        )
}

async fn unary(context: Context, message: Msg, sleep: Sleep) -> Result<Msg, Status> {
    echo_headers(&context)?;
    check(&message)?;
    if let Some(delay) = delay(&message) {
        sleep(delay).await;
    }
    count(&context, 1)?;
    Ok(message)
}

async fn server_stream(
    context: Context,
    message: Msg,
    mut outbound: Sender<Msg>,
    sleep: Sleep,
) -> Result<(), Status> {
    echo_headers(&context)?;
    context.send_headers();
    for number in 1..=message.count {
        if let Some(delay) = delay(&message) {
            sleep(delay).await;
        }
        outbound.send(Msg { count: number, delay_ms: 0, ..message.clone() }).await?;
    }
    count(&context, message.count.max(0))
}

async fn client_stream(context: Context, mut inbound: Receiver<Msg>) -> Result<Msg, Status> {
    echo_headers(&context)?;
    let mut answer = Msg::default();
    while let Some(message) = inbound.recv().await? {
        answer.add(&message);
    }
    count(&context, 1)?;
    Ok(answer)
}

async fn bidi(
    context: Context,
    mut inbound: Receiver<Msg>,
    mut outbound: Sender<Msg>,
    sleep: Sleep,
) -> Result<(), Status> {
    echo_headers(&context)?;
    context.send_headers();
    let mut messages = 0;
    while let Some(message) = inbound.recv().await? {
        if let Some(delay) = delay(&message) {
            sleep(delay).await;
        }
        outbound.send(message).await?;
        messages += 1;
    }
    count(&context, messages)
}
