//! Floor d, a server: bytes in, calls out, over one connection of HTTP/1.1 or HTTP/2.
//!
//! ```text
//!   bytes ──► ServerHttp ── pieces, ends ──► slots: a ServerCall each ── notices ──► Event
//!   bytes ◄── (floor c)  ◄── heads, data ──  (floor b)            ◄── read, send, answer, finish
//! ```
//!
//! The table of calls stands beside the table of streams below: a call and its stream share index and generation.

mod call;
mod view;

pub use view::{Read, ReadEnd, Request};

use std::sync::Arc;

use bytes::BytesMut;

use crate::calls::{Answering, Deadlines};
use crate::notices::{self, Notices};
use crate::policy::{Due, Policy};
use crate::rpc::{HttpVersion, ServerCall};
use crate::stack::ServerHttp;
use crate::{
    CallId, Closing, Config, ConnectionError, End, Event, HttpConnection, InputEnd, Instant, Machine, Output,
    ReceiveEnd, SendError, Status, StreamEvent, StreamKey,
};

/// A server's side of one connection: Connect, gRPC and gRPC-Web, over HTTP/1.1 or HTTP/2 as the client likes.
///
/// It is a [`Machine`]: feed it bytes, poll its [`Event`]s, transmit its output. Calls are worked on by the methods
/// below, each named by its [`CallId`]:
///
/// ```text
/// Started ──► request, route ──► read … until End ──► send_headers, send … ──► finish ──► drop_call
///                                                └──► answer (unary: all in one) ──►┘
/// Ended   ──► the outcome is fixed: drop the handler, then drop_call
/// ```
///
/// Any method may follow any other: what is this side's bug is a [`Misuse`](crate::Misuse), what comes too late by
/// nobody's fault does nothing. A call's slot is free for the next one only after
/// [`drop_call`](Connection::drop_call).
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    http: ServerHttp,
    slots: Vec<Slot>,
    notices: Notices,
    /// The connection's own notice is to be told.
    draining: bool,
    /// That the connection takes no new calls has been told, or will be.
    refuses: bool,
    now: Instant,
    deadlines: Deadlines,
    /// Calls that the application has not dropped.
    held: u32,
    /// Calls without an outcome.
    open: u32,
    policy: Policy,
}

/// A call, or the place for one. Places keep their memory for the next call.
#[derive(Debug)]
struct Slot {
    generation: u32,
    phase: Phase,
    call: ServerCall,
    /// How many bytes in the body complete the message in front; 0: not known.
    need: usize,
    /// Why the engine answered by itself, for who reads on.
    fault: Option<Status>,
}

/// A call from beginning to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nobody's.
    Free,
    /// Without an outcome.
    Open,
    /// With its outcome, until the application drops it.
    Ended(End),
}

impl Connection {
    /// A connection whose client has not said yet which version of HTTP it speaks.
    pub fn new(config: Arc<Config>) -> Self {
        let http = ServerHttp::sniffing(Arc::clone(&config));
        Self::with_http(config, http)
    }

    /// A connection whose version is agreed on, by ALPN for example.
    pub fn with_version(config: Arc<Config>, version: HttpVersion) -> Self {
        let http = ServerHttp::new(&config, version);
        Self::with_http(config, http)
    }

    fn with_http(config: Arc<Config>, http: ServerHttp) -> Self {
        let policy = Policy::new(&config);
        let sniffing = http.version().is_none();
        let mut connection = Self {
            http,
            slots: Vec::new(),
            notices: Notices::default(),
            draining: false,
            refuses: false,
            now: Instant::EPOCH,
            deadlines: Deadlines::default(),
            held: 0,
            open: 0,
            policy,
            config,
        };
        if !sniffing {
            connection.keep_alive();
        }
        connection
    }

    /// The version is known: HTTP/2 can be asked whether it lives; HTTP/1.1 without calls is given as much time.
    fn keep_alive(&mut self) {
        let keepalive = self.config.server_keepalive();
        match self.http.as_http2() {
            Some(_) => self.policy.keep_alive(keepalive),
            None => self.policy.idle_at_most(keepalive.filter(|keepalive| keepalive.without_calls)),
        }
    }

    /// Begins a graceful end: open calls finish, new ones are not accepted. HTTP/2 sends GOAWAY twice, HTTP/1.1
    /// `Connection: close`. The machine closes when the last call has been dropped.
    pub fn drain(&mut self, now: Instant) {
        self.advance(now);
        self.refuse();
        self.http.drain(self.now);
        self.absorb();
    }

    /// Ends the connection at once; every call without an outcome is `Lost`.
    pub fn abort(&mut self, now: Instant) {
        self.advance(now);
        self.absorb();
        self.lose_calls();
        self.http.abort(self.now, 0);
        self.absorb();
    }

    /// The number of calls that the application has not dropped.
    pub fn calls(&self) -> usize {
        self.held as usize
    }

    /// The version of HTTP; `None` until the first bytes tell.
    pub fn version(&self) -> Option<HttpVersion> {
        self.http.version()
    }

    /// The most heap bytes that this connection can be made to hold by its peer, besides what the application reads
    /// and keeps.
    pub fn worst_case_bytes(&self) -> usize {
        let limits = self.config.limits.clone().checked();
        let slots = limits.streams as usize + limits.zombies as usize;
        // A call copies its request's metadata once, and keeps little else.
        let call = size_of::<Slot>() + 2 * limits.header_list + 1024;
        // Tables grow by doubling: while one moves, both are held.
        self.http.worst_case_bytes() + slots * (3 * call + 3 * 9)
    }

    /// The heap bytes that the tables of calls hold now, besides those of the HTTP connection.
    pub fn table_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.notices.capacity_bytes()
    }

    /// No new call will come.
    fn refuse(&mut self) {
        self.draining |= !self.refuses;
        self.refuses = true;
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Takes what happened below.
    fn absorb(&mut self) {
        loop {
            if let Some((key, end)) = self.http.poll_arrival() {
                self.begin(key, notices::STARTED | notices::READABLE);
                self.look_at(key, end);
                continue;
            }
            let Some(event) = self.http.poll_event() else { return };
            match event {
                StreamEvent::Opened(key) => self.begin(key, notices::STARTED),
                StreamEvent::Readable(key) => self.arrived(key),
                StreamEvent::Writable(key) => {
                    if self.is_open(key) {
                        self.notices.set(key.index, notices::WRITABLE);
                    }
                }
                // At a server this says that nobody waits for the answer any more: a reset after a complete request,
                // or a client that vanished (HTTP/1.1).
                StreamEvent::Stopped(key, code) => {
                    // A client that has only closed its sending side can still be answered, if it is known to do so.
                    let answerable = self.http.poll_room(key) != Err(SendError::Ended);
                    if !(answerable && self.config.allow_half_closed) {
                        self.end_call(key, End::Cancelled { reset: Some(code) });
                    }
                }
                StreamEvent::Lost(key) => self.end_call(key, End::Lost),
                StreamEvent::Draining => self.refuse(),
                StreamEvent::Available => {}
            }
        }
    }

    /// A request head has arrived, perhaps with more.
    #[inline(always)]
    fn begin(&mut self, key: StreamKey, kinds: u8) {
        let Some(head) = self.http.head(key) else { return };
        let caps = self.http.caps();
        let place = key.index as usize;
        let fresh = self.slots.len() <= place;
        while self.slots.len() <= place {
            let call = ServerCall::new(head, caps, &self.config.rpc, self.now);
            self.slots.push(Slot { generation: 0, phase: Phase::Free, call, need: 0, fault: None });
        }
        let Some(slot) = self.slots.get_mut(place) else { return };
        slot.generation = key.generation;
        slot.phase = Phase::Open;
        slot.need = 0;
        slot.fault = None;
        if !fresh {
            slot.call.accept(head, caps, &self.config.rpc, self.now);
        }
        self.held += 1;
        self.open += 1;
        if let Some(deadline) = slot.call.deadline() {
            self.deadlines.add(deadline);
        }
        if slot.call.is_answered() {
            self.notices.set(key.index, notices::STARTED);
            return self.settle(key);
        }
        self.notices.set(key.index, kinds);
    }

    /// Something of a request has arrived, or its end.
    fn arrived(&mut self, key: StreamKey) {
        if !self.is_open(key) {
            return;
        }
        self.notices.set(key.index, notices::READABLE);
        let end = self.http.receive_end(key);
        self.look_at(key, end);
    }

    /// An end of the request that is not clean is one of the call, if that has none.
    #[inline]
    fn look_at(&mut self, key: StreamKey, end: Option<ReceiveEnd>) {
        match end {
            None | Some(ReceiveEnd::Clean | ReceiveEnd::Local | ReceiveEnd::Unprocessed) => {}
            Some(ReceiveEnd::Reset(code)) => self.end_call(key, End::Cancelled { reset: Some(code) }),
            Some(ReceiveEnd::Malformed(_) | ReceiveEnd::TooLarge) => {
                self.end_call(key, End::Cancelled { reset: None });
            }
            Some(ReceiveEnd::Lost | ReceiveEnd::Stalled) => self.end_call(key, End::Lost),
        }
    }

    /// Sends what the call has decided by itself, and takes note when that was its answer.
    fn settle(&mut self, key: StreamKey) {
        let Some(slot) = find(&mut self.slots, key) else { return };
        slot.call.flush(&mut Answering { http: &mut self.http, now: self.now, key });
        if slot.call.is_answered() {
            self.end_call(key, End::Finished);
        }
    }

    /// Fixes the outcome of a call; a later one changes nothing.
    fn end_call(&mut self, key: StreamKey, end: End) {
        let Some(slot) = find(&mut self.slots, key) else { return };
        if slot.phase == Phase::Open {
            slot.phase = Phase::Ended(end);
            let by_peer = matches!(end, End::Cancelled { .. } | End::Lost);
            if by_peer {
                slot.call.stopped();
            }
            let (timed, whole) = (slot.call.deadline().is_some(), slot.call.has_whole_request());
            self.ended(key, end, timed, whole || by_peer);
        }
    }

    /// A call has its outcome. `timed`: it had a deadline; `whole`: nothing of its request needs to be stopped.
    #[inline(always)]
    fn ended(&mut self, key: StreamKey, end: End, timed: bool, whole: bool) {
        self.open -= 1;
        if timed {
            self.deadlines.remove();
        }
        if !whole && self.http.receive_end(key).is_none() {
            self.http.stop_reading(self.now, key);
        }
        // A reader that waits is told, too; one that has finished the call itself does not wait.
        let reader = if end == End::Finished { 0 } else { notices::READABLE };
        self.notices.replace(key.index, notices::WRITABLE, reader | notices::ENDED);
    }

    /// The connection has ended: so have its calls.
    fn lose_calls(&mut self) {
        if self.open == 0 {
            return;
        }
        for place in 0..self.slots.len() {
            let Some(key) = self.open_key(place) else { continue };
            self.end_call(key, End::Lost);
        }
    }

    /// Answers the calls whose deadline has passed, and finds the next one.
    fn expire(&mut self) {
        let mut earliest: Option<Instant> = None;
        for place in 0..self.slots.len() {
            let Some(key) = self.open_key(place) else { continue };
            let Some(slot) = self.slots.get_mut(place) else { continue };
            let Some(deadline) = slot.call.deadline() else { continue };
            if deadline > self.now {
                earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
                continue;
            }
            slot.call.on_deadline(&mut Answering { http: &mut self.http, now: self.now, key });
            self.end_call(key, End::Deadline);
        }
        self.deadlines.set_earliest(earliest);
    }

    /// Gives back the memory that an idle connection does not need.
    fn trim(&mut self) {
        self.slots = Vec::new();
        self.notices.shrink();
    }

    fn open_key(&self, place: usize) -> Option<StreamKey> {
        let slot = self.slots.get(place).filter(|slot| slot.phase == Phase::Open)?;
        Some(StreamKey { index: place as u32, generation: slot.generation })
    }

    fn is_open(&mut self, key: StreamKey) -> bool {
        find(&mut self.slots, key).is_some_and(|slot| slot.phase == Phase::Open)
    }

    /// After anything that may have ended the connection.
    fn after(&mut self, result: Result<(), ConnectionError>) -> Result<(), ConnectionError> {
        self.absorb();
        let closing = self.http.closing();
        if closing != Closing::Open {
            self.refuse();
        }
        if result.is_err() || closing == Closing::Closed {
            self.lose_calls();
        }
        result
    }

    fn run_policy(&mut self) {
        if self.http.closing() != Closing::Open {
            return;
        }
        match self.policy.due(self.now, self.held) {
            Due::Nothing => {}
            Due::Ping => {
                if let Some(http) = self.http.as_http2() {
                    http.ping(self.now);
                }
            }
            Due::Dead => {
                let _ = self.handle_end(self.now, InputEnd::Failed);
            }
            Due::Drain => {
                self.refuse();
                self.drain(self.now);
            }
            Due::Abort => self.abort(self.now),
        }
    }

    /// The event of a notice, if it still has a meaning. That bytes have arrived is told when they complete something:
    /// this is looked at here and not on arrival, so that it does not matter how they were cut.
    fn event(&mut self, index: u32, kind: u8) -> Option<Event> {
        let slot = self.slots.get(index as usize).filter(|slot| slot.phase != Phase::Free)?;
        let call = CallId { index, generation: slot.generation };
        match kind {
            notices::STARTED => Some(Event::Started(call)),
            notices::READABLE if slot.need == 0 || slot.phase != Phase::Open => Some(Event::Readable(call)),
            notices::READABLE => {
                let need = slot.need;
                let (body, end) = self.http.received(call.key())?;
                (body.len() >= need || end.is_some()).then_some(Event::Readable(call))
            }
            notices::WRITABLE => Some(Event::Writable(call)),
            notices::ENDED => match slot.phase {
                Phase::Ended(end) => Some(Event::Ended(call, end)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The slot of a call that the application holds.
fn find(slots: &mut [Slot], key: StreamKey) -> Option<&mut Slot> {
    let slot = slots.get_mut(key.index as usize)?;
    (slot.generation == key.generation && slot.phase != Phase::Free).then_some(slot)
}

impl Machine for Connection {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
        self.advance(now);
        let sniffing = self.http.version().is_none();
        let result = self.http.handle_input(self.now, input);
        if sniffing && self.http.version().is_some() {
            self.keep_alive();
        }
        let result = self.after(result);
        self.policy.tick(self.now, self.held);
        self.policy.hear(self.now);
        result
    }

    fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError> {
        self.advance(now);
        let result = self.http.handle_end(self.now, end);
        self.after(result)
    }

    /// A server whose output is lost has nobody to answer: every call is `Lost`.
    fn handle_output_lost(&mut self, now: Instant) {
        self.advance(now);
        self.absorb();
        self.lose_calls();
        self.http.handle_output_lost(self.now);
        self.absorb();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.http.handle_timeout(self.now);
        let _ = self.after(Ok(()));
        if self.deadlines.are_due(self.now) {
            self.expire();
            self.absorb();
        }
        self.run_policy();
        if self.held == 0 && !self.slots.is_empty() {
            self.trim();
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        loop {
            let Some((index, kind)) = self.notices.next() else {
                return core::mem::take(&mut self.draining).then_some(Event::Draining);
            };
            if let Some(event) = self.event(index, kind) {
                return Some(event);
            }
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool {
        self.advance(now);
        let transmitted = self.http.poll_transmit(self.now, out);
        self.absorb();
        transmitted
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let policy = self.policy.timeout(self.held).filter(|_| self.http.closing() == Closing::Open);
        let timers = [self.http.poll_timeout(), self.deadlines.earliest(), policy];
        timers.into_iter().flatten().min()
    }

    fn wants_input(&self) -> bool {
        self.http.wants_input()
    }

    fn wants_output(&self) -> bool {
        self.http.wants_output()
    }

    fn closing(&self) -> Closing {
        self.http.closing()
    }
}

/// Drivers take any machine around this one, such as TLS.
impl AsMut<Connection> for Connection {
    fn as_mut(&mut self) -> &mut Connection {
        self
    }
}
