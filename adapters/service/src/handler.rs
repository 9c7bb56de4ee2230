//! Handlers: a function for each shape of call, made alike once, when it is registered.

use core::any::Any;
use core::future::Future;
use core::pin::Pin;
use core::task::{self, Poll};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use antiphon::Status;
use antiphon::rpc::Shape;
use bytes::Bytes;

use crate::call::Call;
use crate::receiver::take_one;
use crate::reply::{Reply, pack};
use crate::{Codecs, Context, Receiver, Sender};

pub mod blocking;

/// A method's code, of either kind: made by [`unary`], [`server_stream`], [`client_stream`] and [`bidi`] here, and by
/// their namesakes in [`blocking`].
///
/// The handler's return ends the call. A panic ends its call `unknown`, and nothing else.
#[derive(Clone)]
pub struct Handler {
    pub(crate) run: Run,
    pub(crate) shape: Shape,
    pub(crate) inline: bool,
    /// The names of its codecs; `None`: any.
    codecs: Option<Arc<[Box<str>]>>,
}

#[derive(Clone)]
pub(crate) enum Run {
    Async(Arc<dyn Fn() -> Box<dyn Kept> + Send + Sync>),
    Blocking(Arc<dyn blocking::Erased>),
}

impl Handler {
    /// Never polled where its request was read: each call gets a task of its own at once. For handlers that compute
    /// for long before their first await, which would stall the other calls of their connection.
    #[must_use]
    pub fn offload(mut self) -> Self {
        self.inline = false;
        self
    }

    /// Polled once where its request was read, and only a pending one gets a task: what async handlers do unless told
    /// otherwise. A blocking handler always runs on a worker.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// The shape of calls that it serves.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Where the codec of this name is, if messages of it can be read and answered.
    pub(crate) fn find_codec(&self, name: &str) -> Option<usize> {
        match &self.codecs {
            Some(codecs) => codecs.iter().position(|known| **known == *name),
            None => Some(0),
        }
    }

    fn from_future<A: Method>(shape: Shape, codecs: Option<Arc<[Box<str>]>>, method: A) -> Self {
        let method = Arc::new(method);
        let make = move || -> Box<dyn Kept> {
            Box::new(KeptFuture { method: Arc::clone(&method), future: Box::pin(None) })
        };
        Self { run: Run::Async(Arc::new(make)), shape, inline: true, codecs }
    }
}

impl core::fmt::Debug for Handler {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = match self.run {
            Run::Async(_) => "async",
            Run::Blocking(_) => "blocking",
        };
        f.debug_struct("Handler").field("shape", &self.shape).field("kind", &kind).finish_non_exhaustive()
    }
}

/// The codecs of a method's request and response messages.
#[derive(Clone, Debug)]
pub struct MethodCodecs<I, O> {
    /// Of what is received.
    pub request: Codecs<I>,
    /// Of what is sent.
    pub response: Codecs<O>,
}

impl MethodCodecs<Bytes, Bytes> {
    /// Raw bytes both ways.
    pub fn raw() -> Self {
        Self { request: Codecs::raw(), response: Codecs::raw() }
    }
}

impl<I, O> MethodCodecs<I, O> {
    /// Of the request and of the response.
    pub fn new(request: Codecs<I>, response: Codecs<O>) -> Self {
        Self { request, response }
    }

    /// Those that both have, in one order: that of the [names](MethodCodecs::names).
    fn aligned(self, names: Option<&[Box<str>]>) -> Self {
        match names {
            Some(names) => Self { request: self.request.only(names), response: self.response.only(names) },
            None => self,
        }
    }

    /// The names that both have; `None`: any.
    fn names(&self) -> Option<Arc<[Box<str>]>> {
        let both = |name: &&str| self.request.get(name).is_ok() && self.response.get(name).is_ok();
        let names = match (self.request.names(), self.response.names()) {
            (None, None) => return None,
            (Some(names), _) | (None, Some(names)) => names,
        };
        Some(names.into_iter().filter(both).map(Box::from).collect())
    }

    /// The receiver of a request that has begun.
    pub(crate) fn receiver<W>(&self, call: &Arc<Call>) -> Result<Receiver<I, W>, Status>
    where
        I: 'static,
    {
        Ok(Receiver::new(Arc::clone(call), call.codec_of(&self.request)?, call.take_arrived()))
    }

    pub(crate) fn sender<W>(&self, call: &Arc<Call>) -> Result<Sender<O, W>, Status>
    where
        O: 'static,
    {
        Ok(Sender::new(Arc::clone(call), call.codec_of(&self.response)?))
    }

    /// The one message of a request, which is complete.
    #[inline]
    pub(crate) fn message(&self, call: &Call) -> Result<I, Status>
    where
        I: 'static,
    {
        call.with_codec(&self.request, |codec| take_one(call, &**codec))?
    }

    #[inline]
    pub(crate) fn reply(&self, call: &Call, message: &mut O, scratch: &mut Vec<u8>) -> Result<Reply, Status>
    where
        O: 'static,
    {
        call.with_codec(&self.response, |codec| {
            call.see_sent(message, &**codec)?;
            pack(call, &**codec, message, scratch).map(Reply::Message)
        })?
    }

    /// An interceptor's own answer.
    pub(crate) fn reply_any(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status>
    where
        O: 'static,
    {
        match message.downcast::<O>() {
            Ok(mut message) => self.reply(call, &mut message, scratch),
            Err(_) => Err(Status::internal("an interceptor answered with a message of another type")),
        }
    }
}

/// One registered method, with its types.
trait Method: Send + Sync + 'static {
    type Future: Future + Send + 'static;

    fn start(&self, call: &Arc<Call>) -> Result<Self::Future, Status>;

    fn finish(
        &self,
        call: &Call,
        output: <Self::Future as Future>::Output,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status>;

    /// An interceptor's answer in place of the handler's.
    fn answer(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status>;
}

/// A handler's future in a box that is kept and filled again: no allocation for a handler done at its first poll.
pub(crate) trait Kept: Send {
    /// Starts a call.
    fn fill(&mut self, call: &Arc<Call>) -> Result<(), Status>;
    /// Polls it; `scratch` takes the bytes of its one message. Empties the box when it is ready.
    fn poll(
        &mut self,
        call: &Call,
        scratch: &mut Vec<u8>,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<Reply, Status>>;
    /// Empties the box: drops a handler that is suspended.
    fn clear(&mut self);
    /// An interceptor's answer in place of the handler's.
    fn answer(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status>;
}

struct KeptFuture<A: Method> {
    method: Arc<A>,
    future: Pin<Box<Option<A::Future>>>,
}

impl<A: Method> Kept for KeptFuture<A> {
    fn fill(&mut self, call: &Arc<Call>) -> Result<(), Status> {
        let future = self.method.start(call)?;
        self.future.set(Some(future));
        Ok(())
    }

    fn poll(
        &mut self,
        call: &Call,
        scratch: &mut Vec<u8>,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<Reply, Status>> {
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(Status::internal("the handler was polled after its end")));
        };
        let output = task::ready!(future.poll(context));
        self.future.set(None);
        Poll::Ready(self.method.finish(call, output, scratch))
    }

    fn clear(&mut self) {
        self.future.set(None);
    }

    fn answer(
        &self,
        call: &Call,
        message: Box<dyn Any + Send>,
        scratch: &mut Vec<u8>,
    ) -> Result<Reply, Status> {
        self.method.answer(call, message, scratch)
    }
}

/// Runs a handler's code; a panic becomes a status.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    caught(work).unwrap_or_else(|| Err(Status::unknown("the handler panicked")))
}

/// Runs anybody's code; `None` when it panics.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Whatever it left half-changed is dropped with it, and the call's own state is behind locks that no such code runs
    // under.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // What it panicked with may panic in turn when it is dropped. What that panics with is left alone.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                core::mem::forget(payload);
            }
            None
        }
    }
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $with:ident, $type:ident, $shape:ident,
        |$this:ident, $call:ident| $start:expr,
        ($($argument:ty),*) -> $result:ty,
        |$finish:ident, $for:ident, $output:ident, $scratch:ident| $reply:expr;)*) => {$(
        $(#[$doc])*
        pub fn $with<I, O, F, R>(codecs: MethodCodecs<I, O>, handler: F) -> Handler
        where
            I: Send + 'static,
            O: Send + 'static,
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            R: Future<Output = Result<$result, Status>> + Send + 'static,
        {
            struct $type<I, O, F>(MethodCodecs<I, O>, F);

            impl<I, O, F, R> Method for $type<I, O, F>
            where
                I: Send + 'static,
                O: Send + 'static,
                F: Fn($($argument),*) -> R + Send + Sync + 'static,
                R: Future<Output = Result<$result, Status>> + Send + 'static,
            {
                type Future = R;

                fn start(&self, $call: &Arc<Call>) -> Result<R, Status> {
                    let $this = self;
                    Ok($start)
                }

                fn finish(
                    &self,
                    $for: &Call,
                    $output: Result<$result, Status>,
                    $scratch: &mut Vec<u8>,
                ) -> Result<Reply, Status> {
                    let $finish = self;
                    $reply
                }

                fn answer(
                    &self,
                    call: &Call,
                    message: Box<dyn Any + Send>,
                    scratch: &mut Vec<u8>,
                ) -> Result<Reply, Status> {
                    self.0.reply_any(call, message, scratch)
                }
            }

            let names = codecs.names();
            let codecs = codecs.aligned(names.as_deref());
            Handler::from_future(Shape::$shape, names, $type(codecs, handler))
        }
    )*};
}

shapes! {
    /// A handler of one message in and one out, with its codecs. It is called when the request is complete.
    unary_with, Unary, Unary,
    |this, call| (this.1)(Context::new(Arc::clone(call)), this.0.message(call)?),
    (Context, I) -> O,
    |this, call, output, scratch| this.0.reply(call, &mut output?, scratch);

    /// A handler of one message in and many out, with its codecs. It is called when the request is complete.
    server_stream_with, ServerStream, ServerStream,
    |this, call| (this.1)(
        Context::new(Arc::clone(call)), this.0.message(call)?, this.0.sender(call)?),
    (Context, I, Sender<O>) -> (),
    |_this, _call, output, _scratch| output.map(|()| Reply::Sent);

    /// A handler of many messages in and one out, with its codecs.
    client_stream_with, ClientStream, ClientStream,
    |this, call| (this.1)(Context::new(Arc::clone(call)), this.0.receiver(call)?),
    (Context, Receiver<I>) -> O,
    |this, call, output, scratch| this.0.reply(call, &mut output?, scratch);

    /// A handler of many messages in and many out, with its codecs.
    bidi_with, Bidi, Bidi,
    |this, call| (this.1)(
        Context::new(Arc::clone(call)), this.0.receiver(call)?, this.0.sender(call)?),
    (Context, Receiver<I>, Sender<O>) -> (),
    |_this, _call, output, _scratch| output.map(|()| Reply::Sent);
}

/// A handler of one message in and one out, raw. It is called when the request is complete.
pub fn unary<F, R>(handler: F) -> Handler
where
    F: Fn(Context, Bytes) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    unary_with(MethodCodecs::raw(), handler)
}

/// A handler of one message in and many out, raw. It is called when the request is complete.
pub fn server_stream<F, R>(handler: F) -> Handler
where
    F: Fn(Context, Bytes, Sender<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send + 'static,
{
    server_stream_with(MethodCodecs::raw(), handler)
}

/// A handler of many messages in and one out, raw.
pub fn client_stream<F, R>(handler: F) -> Handler
where
    F: Fn(Context, Receiver<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Bytes, Status>> + Send + 'static,
{
    client_stream_with(MethodCodecs::raw(), handler)
}

/// A handler of many messages in and many out, raw: the form that serves every shape, if the
/// [method](antiphon::rpc::Method) that it is registered with says so.
pub fn bidi<F, R>(handler: F) -> Handler
where
    F: Fn(Context, Receiver<Bytes>, Sender<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Status>> + Send + 'static,
{
    bidi_with(MethodCodecs::raw(), handler)
}
