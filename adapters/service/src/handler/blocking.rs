//! Handlers that block: the same shapes, run on a worker thread.
//!
//! Either kind of handler runs on either kind of server. A blocking one meets a cancel or a deadline at its next
//! `send` or `recv`.

use core::any::Any;
use std::sync::Arc;

use antiphon::Status;
use antiphon::rpc::Shape;
use bytes::Bytes;

use super::{Handler, MethodCodecs, Run};
use crate::call::Call;
use crate::reply::Reply;
use crate::{Blocking, Context, Receiver, Sender};

/// A registered method, without its types.
pub(crate) trait Erased: Send + Sync {
    /// Runs a call to its end; `scratch` takes the bytes of its one message.
    fn run(&self, call: &Arc<Call>, scratch: &mut Vec<u8>) -> Result<Reply, Status>;
    /// An interceptor's answer in place of the handler's.
    fn answer(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status>;
}

/// One registered method, with its types.
struct Method<I, O, F> {
    codecs: MethodCodecs<I, O>,
    run: F,
}

impl<I, O, F> Erased for Method<I, O, F>
where
    I: 'static,
    O: 'static,
    F: Fn(&MethodCodecs<I, O>, &Arc<Call>, &mut Vec<u8>) -> Result<Reply, Status> + Send + Sync,
{
    fn run(&self, call: &Arc<Call>, scratch: &mut Vec<u8>) -> Result<Reply, Status> {
        (self.run)(&self.codecs, call, scratch)
    }

    fn answer(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status> {
        self.codecs.reply_any(call, message, scratch)
    }
}

fn erase<I, O, F>(shape: Shape, codecs: MethodCodecs<I, O>, run: F) -> Handler
where
    I: 'static,
    O: 'static,
    F: Fn(&MethodCodecs<I, O>, &Arc<Call>, &mut Vec<u8>) -> Result<Reply, Status> + Send + Sync + 'static,
{
    let names = codecs.names();
    let codecs = codecs.aligned(names.as_deref());
    Handler { run: Run::Blocking(Arc::new(Method { codecs, run })), shape, inline: false, codecs: names }
}

/// A blocking handler of one message in and one out, with its codecs.
pub fn unary_with<I, O, F>(codecs: MethodCodecs<I, O>, handler: F) -> Handler
where
    I: 'static,
    O: 'static,
    F: Fn(Context, I) -> Result<O, Status> + Send + Sync + 'static,
{
    erase(
        Shape::Unary,
        codecs,
        move |codecs: &MethodCodecs<I, O>, call: &Arc<Call>, scratch: &mut Vec<u8>| {
            let message = codecs.message(call)?;
            codecs.reply(call, &mut handler(Context::new(Arc::clone(call)), message)?, scratch)
        },
    )
}

/// A blocking handler of one message in and many out, with its codecs.
pub fn server_stream_with<I, O, F>(codecs: MethodCodecs<I, O>, handler: F) -> Handler
where
    I: 'static,
    O: 'static,
    F: Fn(Context, I, Sender<O, Blocking>) -> Result<(), Status> + Send + Sync + 'static,
{
    erase(
        Shape::ServerStream,
        codecs,
        move |codecs: &MethodCodecs<I, O>, call: &Arc<Call>, _: &mut Vec<u8>| {
            let message = codecs.message(call)?;
            handler(Context::new(Arc::clone(call)), message, codecs.sender(call)?).map(|()| Reply::Sent)
        },
    )
}

/// A blocking handler of many messages in and one out, with its codecs.
pub fn client_stream_with<I, O, F>(codecs: MethodCodecs<I, O>, handler: F) -> Handler
where
    I: 'static,
    O: 'static,
    F: Fn(Context, Receiver<I, Blocking>) -> Result<O, Status> + Send + Sync + 'static,
{
    erase(
        Shape::ClientStream,
        codecs,
        move |codecs: &MethodCodecs<I, O>, call: &Arc<Call>, scratch: &mut Vec<u8>| {
            let receiver = codecs.receiver(call)?;
            codecs.reply(call, &mut handler(Context::new(Arc::clone(call)), receiver)?, scratch)
        },
    )
}

/// A blocking handler of many messages in and many out, with its codecs.
pub fn bidi_with<I, O, F>(codecs: MethodCodecs<I, O>, handler: F) -> Handler
where
    I: 'static,
    O: 'static,
    F: Fn(Context, Receiver<I, Blocking>, Sender<O, Blocking>) -> Result<(), Status> + Send + Sync + 'static,
{
    erase(Shape::Bidi, codecs, move |codecs: &MethodCodecs<I, O>, call: &Arc<Call>, _: &mut Vec<u8>| {
        let receiver = codecs.receiver(call)?;
        handler(Context::new(Arc::clone(call)), receiver, codecs.sender(call)?).map(|()| Reply::Sent)
    })
}

/// A blocking handler of one message in and one out, raw.
pub fn unary<F>(handler: F) -> Handler
where
    F: Fn(Context, Bytes) -> Result<Bytes, Status> + Send + Sync + 'static,
{
    unary_with(MethodCodecs::raw(), handler)
}

/// A blocking handler of one message in and many out, raw.
pub fn server_stream<F>(handler: F) -> Handler
where
    F: Fn(Context, Bytes, Sender<Bytes, Blocking>) -> Result<(), Status> + Send + Sync + 'static,
{
    server_stream_with(MethodCodecs::raw(), handler)
}

/// A blocking handler of many messages in and one out, raw.
pub fn client_stream<F>(handler: F) -> Handler
where
    F: Fn(Context, Receiver<Bytes, Blocking>) -> Result<Bytes, Status> + Send + Sync + 'static,
{
    client_stream_with(MethodCodecs::raw(), handler)
}

/// A blocking handler of many messages in and many out, raw: the form that serves every shape, if the
/// [method](antiphon::rpc::Method) that it is registered with says so.
pub fn bidi<F>(handler: F) -> Handler
where
    F: Fn(Context, Receiver<Bytes, Blocking>, Sender<Bytes, Blocking>) -> Result<(), Status>
        + Send
        + Sync
        + 'static,
{
    bidi_with(MethodCodecs::raw(), handler)
}
