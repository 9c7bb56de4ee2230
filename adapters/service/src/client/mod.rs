//! The client's end of a connection.

use core::future::poll_fn;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Method, Payload, Protocol, Shape};
use antiphon::{EndedBy, Metadata, SendError, Status};
use bytes::Bytes;

use crate::call::{Call, Inbox};
use crate::handler::MethodCodecs;
use crate::interceptor::client::Flight;
use crate::interceptor::{Around, Erased};
use crate::link::Starting;
use crate::observe::{Observers, Watch};
use crate::reply::{misuse_status, pack};
use crate::router::slashed;
use crate::sender::Staged;
use crate::slots::Ticket;
use crate::wait::block_on;
use crate::{Async, Blocking, Context, Interceptor, Link, Observer, Peer, Receiver, Sender};

mod options;
mod streams;

/// How often a call of one message is begun again that the server certainly did not begin (RFC 9113 §8.7).
const REFUSALS: u32 = 3;

pub use options::CallOptions;
pub use streams::{BidiStream, ClientStream};

/// The client's end of a connection. Cheap to clone; many callers share it, and each waits for a slot when the peer
/// takes no more calls at once. When the last clone is dropped, the connection finishes its calls and closes.
///
/// `W` says how it waits: [`Async`] or [`Blocking`].
pub struct Client<W = Async> {
    connection: Arc<Connection>,
    defaults: Arc<CallOptions>,
    around: Option<Around>,
    observers: Option<Observers>,
    _wait: PhantomData<fn() -> W>,
}

struct Connection {
    link: Arc<dyn Link>,
    scheme: Box<str>,
    authority: Box<str>,
    raw: MethodCodecs<Bytes, Bytes>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.drain();
    }
}

/// A response to a call of one message, with what came beside it. It derefs to the message.
#[derive(Clone, Debug, Default)]
pub struct Response<T> {
    /// The headers.
    pub headers: Metadata,
    /// The message.
    pub message: T,
    /// The trailers.
    pub trailers: Metadata,
    context: Option<Context>,
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> DerefMut for Response<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T> Response<T> {
    /// A response that came from nowhere, for tests.
    pub fn new(message: T) -> Self {
        Self { headers: Metadata::new(), message, trailers: Metadata::new(), context: None }
    }

    /// What is known of the call: its peer, protocol, codec and version of HTTP. `None` for a response that came from
    /// nowhere.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }
}

impl<W> Clone for Client<W> {
    fn clone(&self) -> Self {
        self.waiting()
    }
}

impl<W> core::fmt::Debug for Client<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("peer", self.peer()).finish_non_exhaustive()
    }
}

impl<W> Client<W> {
    /// A client on a connection that a driver moves. `scheme` is `http` or `https`; `authority` is the host and port
    /// that requests name.
    pub fn new(link: Arc<dyn Link>, scheme: &str, authority: &str) -> Self {
        let connection =
            Connection { link, scheme: scheme.into(), authority: authority.into(), raw: MethodCodecs::raw() };
        Self {
            connection: Arc::new(connection),
            defaults: Arc::default(),
            around: None,
            observers: None,
            _wait: PhantomData,
        }
    }

    /// A view of this client whose calls have these options unless they say otherwise: [`CallOptions`], a
    /// [`Duration`](core::time::Duration), or a handler's [`&Context`](crate::Context) for the time that it has left.
    #[must_use]
    pub fn with(&self, options: impl Into<CallOptions>) -> Self {
        let defaults = options.into().over(&self.defaults);
        Self { defaults: Arc::new(defaults), ..self.clone() }
    }

    /// A view of this client with an interceptor around each of its calls, inside of those that this client has: the
    /// first one added is the outermost.
    #[must_use]
    pub fn intercept(&self, interceptor: impl Interceptor) -> Self {
        let inner: Arc<dyn Erased> = Arc::new(interceptor);
        let around = self.around.iter().flat_map(|around| around.iter()).cloned().chain([inner]).collect();
        Self { around: Some(around), ..self.clone() }
    }

    /// A view of this client that tells an observer of its calls too.
    #[must_use]
    pub fn observe(&self, observer: impl Observer) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(observer);
        let known = self.observers.iter().flat_map(|observers| observers.iter()).cloned();
        Self { observers: Some(known.chain([observer]).collect()), ..self.clone() }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.connection.link.peer()
    }

    /// Begins a graceful end of the connection: no new calls; open ones finish.
    pub fn drain(&self) {
        self.connection.link.drain();
    }

    /// Ends the connection and all its calls at once.
    pub fn abort(&self) {
        self.connection.link.abort();
    }

    /// The connection, shared with its calls.
    pub fn link(&self) -> &Arc<dyn Link> {
        &self.connection.link
    }

    fn waiting<V>(&self) -> Client<V> {
        Client {
            connection: Arc::clone(&self.connection),
            defaults: Arc::clone(&self.defaults),
            around: self.around.clone(),
            observers: self.observers.clone(),
            _wait: PhantomData,
        }
    }

    /// The options of a call with this client's defaults, and the time that it has as a deadline.
    fn settle(&self, options: CallOptions) -> CallOptions {
        let mut options = options.over(&self.defaults);
        let timeout = options.timeout.take().map(|timeout| self.connection.link.now() + timeout);
        options.deadline = match (timeout, options.deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        options
    }

    /// Starts a call, waiting for a slot. The halves are there before the response headers are. A message is sent in
    /// the same step if it need not be compressed; the sender is closed then.
    async fn start<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: &CallOptions,
        beside: &Beside,
        message: Option<&mut Staged<I>>,
    ) -> Result<(Sender<I, V>, Receiver<O, V>), Status> {
        let link = &self.connection.link;
        let path = &*slashed(path);
        let mut call = self.describe(path, method, options);
        let (encode, decode) = (call.codec_of(&codecs.request)?, call.codec_of(&codecs.response)?);
        let protocol = options.protocol.unwrap_or(Protocol::Connect);
        let coding = options.coding.as_ref().and_then(Option::as_deref);
        let headers = beside.flight.as_ref().map(|flight| flight.view().freeze_headers());
        let (codec, limited) = (options.codec.as_deref().unwrap_or("proto"), options.limited(method));
        let request = ClientRequest::new(protocol, codec, limited, &self.connection.authority, path)
            .scheme(&self.connection.scheme)
            .metadata(headers.as_ref().unwrap_or(&options.metadata))
            .deadline(options.deadline)
            .coding(coding)
            .use_get(options.use_get.unwrap_or(false));
        call.watch = beside.watch.clone();
        if let Some(flight) = &beside.flight {
            *call.uncompressed.get_mut() = flight.view().is_uncompressed();
            call.flight = Some(Arc::clone(flight));
        }
        let mut scratch = Vec::new();
        let packed = match message {
            Some(staged) if coding.is_none() => {
                staged.see(|message| call.see_sent(message, &*encode))?;
                Some(pack(&call, &*encode, &staged.message, &mut scratch)?)
            }
            _ => None,
        };
        let message = packed.as_ref().map(|packed| packed.payload(&scratch));
        let started = Start { link, request, message, ticket: Ticket::default() }.await_start().await?;
        call.id = started.call;
        call.coding = started.coding;
        call.version = started.version;
        call.freeze();
        let call = Arc::new(call);
        let receiver = Receiver::new(Arc::clone(&call), decode, Inbox::default());
        let mut sender = Sender::new(call, encode);
        match started.sent {
            Some(Err(SendError::Misuse(misuse))) => return Err(misuse_status(misuse)),
            // Too late is no fault: the outcome tells.
            Some(sent) => {
                if let (Ok(()), Some(packed)) = (sent, &packed) {
                    sender.call().count_sent(packed, &scratch);
                }
                sender.has_closed();
            }
            None => {}
        }
        Ok((sender, receiver))
    }

    /// What is known of a call before it begins.
    fn describe(&self, path: &str, method: Method, options: &CallOptions) -> Call {
        let mut call = Call::new(Arc::clone(&self.connection.link), Call::UNSTARTED, true);
        call.procedure.push_str(&slashed(path));
        call.method = method;
        call.codec.push_str(options.codec.as_deref().unwrap_or("proto"));
        call.protocol = Some(options.protocol.unwrap_or(Protocol::Connect));
        call.deadline = options.deadline;
        call.takes_one = !method.shape.returns_stream();
        call.terms = options.terms();
        call
    }

    /// The interceptors around a call and its observers, if there are any.
    fn beside(&self, path: &str, method: Method, options: &CallOptions) -> Beside {
        if self.around.is_none() && self.observers.is_none() {
            return Beside::default();
        }
        let mut view = self.describe(path, method, options);
        view.version = self.connection.link.version();
        view.outgoing().headers = options.metadata.clone();
        let now = self.connection.link.now();
        Beside {
            watch: self.observers.as_ref().map(|observers| Arc::new(Watch::start(observers, &view, now))),
            flight: self.around.as_ref().map(|around| Arc::new(Flight::new(around, view))),
        }
    }

    /// [Starts](Client::start) a call inside its interceptors.
    async fn open<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: &CallOptions,
        beside: &Beside,
        message: Option<&mut Staged<I>>,
    ) -> Result<(Sender<I, V>, Receiver<O, V>), Status> {
        let start = self.start(path, method, codecs, options, beside, message);
        let Some(flight) = &beside.flight else { return start.await };
        match flight.around(start).await {
            Ok(Ok(halves)) => return Ok(halves),
            Ok(Err(status)) => {
                flight.settle(Err(status));
                flight.end().await?;
            }
            Err(end) => end?,
        }
        // An interceptor ended the call well before it began: its halves meet that end.
        let mut call = self.describe(path, method, options);
        call.flight = Some(Arc::clone(flight));
        call.watch = beside.watch.clone();
        let inbox = Inbox { end: Some(Ok(())), ..Inbox::default() };
        let (encode, decode) = (call.codec_of(&codecs.request)?, call.codec_of(&codecs.response)?);
        let call = Arc::new(call);
        Ok((Sender::new(Arc::clone(&call), encode), Receiver::new(call, decode, inbox)))
    }

    async fn open_stream<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        options: CallOptions,
    ) -> Result<(Sender<I, V>, Receiver<O, V>), Status> {
        let beside = self.beside(path, method, &options);
        let halves = beside.told(self.open(path, method, codecs, &options, &beside, None).await)?;
        self.connection.link.flush();
        Ok(halves)
    }

    async fn start_with_message<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: &mut Staged<I>,
        options: &CallOptions,
        beside: &Beside,
    ) -> Result<Receiver<O, V>, Status> {
        let (mut sender, receiver) =
            self.open::<I, O, V>(path, method, codecs, options, beside, Some(&mut *message)).await?;
        if !sender.is_closed() {
            match poll_fn(|context| sender.poll_send(message, true, context)).await {
                // The call has an outcome already, or will have: it is the better answer.
                Err(status) if status.ended() != EndedBy::Locally => sender.close_send(),
                Err(status) => match &beside.flight {
                    None => return Err(status),
                    // If the interceptors make a good end of it, there is an answer; the call itself is given up.
                    Some(flight) => {
                        flight.settle(Err(status));
                        flight.end().await?;
                    }
                },
                Ok(()) => {}
            }
        }
        Ok(receiver)
    }

    async fn call_stream<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        codecs: &MethodCodecs<I, O>,
        message: I,
        options: CallOptions,
    ) -> Result<Receiver<O, V>, Status> {
        let method = Method::new(Shape::ServerStream);
        let mut message = Staged::new(message);
        let beside = self.beside(path, method, &options);
        beside.told(self.start_with_message(path, method, codecs, &mut message, &options, &beside).await)
    }

    async fn call_one<I: 'static, O: 'static>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: I,
        options: CallOptions,
    ) -> Result<Response<O>, Status> {
        let mut message = Staged::new(message);
        let beside = self.beside(path, method, &options);
        let mut refusals = 0;
        loop {
            let started =
                self.start_with_message(path, method, codecs, &mut message, &options, &beside).await;
            let mut receiver: Receiver<O, W> = beside.told(started)?;
            receiver.may_retry = refusals < REFUSALS;
            match streams::receive_one(&mut receiver).await {
                // Refused before it began: the limit of concurrent calls was not known yet, for example.
                Err(status) if status.unprocessed() && refusals < REFUSALS => refusals += 1,
                result => return beside.told(result),
            }
        }
    }
}

impl Client<Async> {
    /// The same connection for callers that block. Never on a thread that drives it.
    pub fn blocking(&self) -> Client<Blocking> {
        self.waiting()
    }
}

impl Client<Blocking> {
    /// The same connection for async callers.
    pub fn asynchronous(&self) -> Client<Async> {
        self.waiting()
    }
}

/// What goes beside a call. Both are of the whole call, however often it has to be begun.
#[derive(Default)]
struct Beside {
    flight: Option<Arc<Flight>>,
    watch: Option<Arc<Watch>>,
}

impl Beside {
    /// Tells the observers an error that the call ended with.
    fn told<T>(&self, result: Result<T, Status>) -> Result<T, Status> {
        if let (Some(watch), Err(status)) = (&self.watch, &result) {
            watch.end(Some(status.code()));
        }
        result
    }
}

/// Waits for a slot; a place in the queue that is given up goes to the next.
struct Start<'a> {
    link: &'a Arc<dyn Link>,
    request: ClientRequest<'a>,
    message: Option<Payload<'a>>,
    ticket: Ticket,
}

impl Start<'_> {
    async fn await_start(mut self) -> Result<crate::link::Started, Status> {
        poll_fn(|context| {
            let this = &mut self;
            let mut starting =
                Starting { request: &this.request, message: this.message, ticket: &mut this.ticket };
            this.link.poll_start(&mut starting, context)
        })
        .await
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        if self.ticket != Ticket::default() {
            self.link.leave_queue(self.ticket);
        }
    }
}

/// Methods of every shape, with codecs and raw.
macro_rules! calls {
    ($wait:ident, [$($async:tt)?], |$client:ident, $future:ident, $deadline:ident| $run:expr) => {
        impl Client<$wait> {
            /// Calls a method of one message in and one out, with codecs.
            ///
            /// # Errors
            /// How the call ended.
            pub $($async)? fn unary_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                message: I,
                options: CallOptions,
            ) -> Result<Response<O>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.call_one(path, method, codecs, message, options);
                $run
            }

            /// Calls a method of one message in and many out, with codecs.
            ///
            /// # Errors
            /// How the call ended, before there was anything to receive.
            pub $($async)? fn server_stream_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                codecs: &MethodCodecs<I, O>,
                message: I,
                options: CallOptions,
            ) -> Result<Receiver<O, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.call_stream(path, codecs, message, options);
                $run
            }

            /// Calls a method of many messages in and one out, with codecs.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn client_stream_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                codecs: &MethodCodecs<I, O>,
                options: CallOptions,
            ) -> Result<ClientStream<I, O, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, Method::new(Shape::ClientStream), codecs, options);
                let (sender, receiver) = $run?;
                Ok(ClientStream::new(sender, receiver))
            }

            /// Calls a method of many messages in and many out, with codecs.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn bidi_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                codecs: &MethodCodecs<I, O>,
                options: CallOptions,
            ) -> Result<BidiStream<I, O, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, Method::new(Shape::Bidi), codecs, options);
                let (sender, receiver) = $run?;
                Ok(BidiStream::new(sender, receiver))
            }

            /// Calls a method of any shape by its two halves, with codecs: for those who cancel a call while another
            /// waits for it, or learn its shape only when they run. The method's shape still bounds the messages.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn open_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                options: CallOptions,
            ) -> Result<(Sender<I, $wait>, Receiver<O, $wait>), Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, method, codecs, options);
                $run
            }

            /// Calls a method of one message in and one out, raw.
            ///
            /// # Errors
            /// How the call ended.
            pub $($async)? fn unary(
                &self,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Response<Bytes>, Status> {
                let mut method = Method::new(Shape::Unary);
                method.no_side_effects = options.use_get.or(self.defaults.use_get) == Some(true);
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.call_one(path, method, &self.connection.raw, message, options);
                $run
            }

            /// Calls a method of one message in and many out, raw.
            ///
            /// # Errors
            /// How the call ended, before there was anything to receive.
            pub $($async)? fn server_stream(
                &self,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Receiver<Bytes, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.call_stream(path, &self.connection.raw, message, options);
                $run
            }

            /// Calls a method of many messages in and one out, raw.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn client_stream(
                &self,
                path: &str,
                options: CallOptions,
            ) -> Result<ClientStream<Bytes, Bytes, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let method = Method::new(Shape::ClientStream);
                let $future = self.open_stream(path, method, &self.connection.raw, options);
                let (sender, receiver) = $run?;
                Ok(ClientStream::new(sender, receiver))
            }

            /// Calls a method of many messages in and many out, raw.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn bidi(
                &self,
                path: &str,
                options: CallOptions,
            ) -> Result<BidiStream<Bytes, Bytes, $wait>, Status> {
                let $client = self;
                let options = self.settle(options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, Method::new(Shape::Bidi), &self.connection.raw, options);
                let (sender, receiver) = $run?;
                Ok(BidiStream::new(sender, receiver))
            }
        }
    };
}

calls!(Async, [async], |_client, future, _deadline| future.await);
calls!(Blocking, [], |client, future, deadline| block_on(client.link(), deadline, future));
