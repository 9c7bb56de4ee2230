//! From a path to the halves of a call: a slot, the interceptors and observers, the first message.

use core::future::poll_fn;
use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Method, Payload, Protocol};
use antiphon::{EndedBy, SendError, Status};

use super::{CallOptions, Client, Response, streams};
use crate::call::{Call, Inbox};
use crate::handler::MethodCodecs;
use crate::interceptor::client::Flight;
use crate::link::{Started, Starting};
use crate::observe::Watch;
use crate::reply::{misuse_status, pack};
use crate::router::slashed;
use crate::sender::Staged;
use crate::slots::Ticket;
use crate::{Link, Receiver, Sender};

/// How often a call of one message is begun again that the server certainly did not begin (RFC 9113 §8.7).
const REFUSALS: u32 = 3;

impl<W> Client<W> {
    /// The options of a call with this client's defaults, and the time that it has as a deadline.
    pub(super) fn settle(&self, options: CallOptions) -> CallOptions {
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

    pub(super) async fn open_stream<I: 'static, O: 'static, V>(
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

    pub(super) async fn call_stream<I: 'static, O: 'static, V>(
        &self,
        path: &str,
        method: Method,
        codecs: &MethodCodecs<I, O>,
        message: I,
        options: CallOptions,
    ) -> Result<Receiver<O, V>, Status> {
        let mut message = Staged::new(message);
        let beside = self.beside(path, method, &options);
        beside.told(self.start_with_message(path, method, codecs, &mut message, &options, &beside).await)
    }

    pub(super) async fn call_one<I: 'static, O: 'static>(
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
    async fn await_start(mut self) -> Result<Started, Status> {
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
