//! Floor d, a client: calls in, bytes out, and back, over one connection of HTTP/1.1 or HTTP/2.
//!
//! ```text
//!   start, send, half_close ──► slots: a ClientCall each ── heads, data ──► ClientHttp ──► bytes
//!   Event ◄── notices      ◄──     (floor b)             ◄── pieces, ends ── (floor c) ◄── bytes
//! ```
//!
//! A call has a slot of its own and not its stream's: a Connect unary request is held back until it is complete, since
//! its head tells its length, so that a call may exist before its stream.

mod call;

use std::sync::Arc;

use bytes::BytesMut;

use crate::calls::{Deadlines, Requesting};
use crate::notices::{self, Notices};
use crate::policy::{Due, Policy};
use crate::rpc::{ClientCall, HttpVersion, Messages};
use crate::stack::ClientHttp;
use crate::{
    CallId, Closing, Config, ConnectionError, End, Event, Http2Code, HttpConnection, InputEnd, Instant,
    Machine, Output, ReceiveEnd, Status, StreamEvent, StreamKey,
};

/// A client's side of one connection: calls of Connect, gRPC and gRPC-Web, over HTTP/1.1 or HTTP/2.
///
/// It is a [`Machine`]: feed it bytes, poll its [`Event`]s, transmit its output. Calls are worked on by the methods
/// below, each named by its [`CallId`]:
///
/// ```text
/// start ──► send … ──► half_close ──► read … until End(outcome) ──► drop_call
///                            cancel ──► Ended ──► read: End(CANCELLED) ──► drop_call
/// ```
///
/// Any method may follow any other: what is this side's bug is a [`Misuse`](crate::Misuse), what comes too late by
/// nobody's fault does nothing. The outcome of a call is one, whoever caused it, and is given again to who asks again.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    http: ClientHttp,
    slots: Vec<Slot>,
    /// Places that nobody uses.
    free: Vec<u32>,
    /// The generation of places that are new.
    first_generation: u32,
    /// By the index of a stream: the place of its call.
    by_stream: Vec<u32>,
    notices: Notices,
    draining: bool,
    available: bool,
    /// No new call will be taken any more.
    refuses: bool,
    /// A start was refused: `Available` is owed.
    wants_start: bool,
    now: Instant,
    deadlines: Deadlines,
    /// Calls that the application has not dropped.
    held: u32,
    /// Calls that have no stream yet.
    deferred: u32,
    policy: Policy,
}

/// A call, or the place for one. Places keep their memory for the next call.
#[derive(Debug)]
struct Slot {
    generation: u32,
    phase: Phase,
    call: ClientCall,
    /// The stream, once there is one.
    key: Option<StreamKey>,
    /// The response's head has been given to the call.
    headed: bool,
    /// The response's trailers have been given to the call.
    trailed: bool,
    /// The application wants the outcome alone.
    discarding: bool,
    /// How many bytes in the body complete the message in front; 0: not known.
    need: usize,
    stop_code: u32,
    /// When the call got its outcome.
    ended_at: Instant,
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

/// What [`read`](Connection::read) gives.
#[derive(Clone, Debug)]
pub enum Read {
    /// A run of at least one message, to iterate, inflate and decode outside of any lock. Its credit is given back
    /// already.
    Messages(Messages),
    /// Nothing complete: a `Readable` follows.
    Pending,
    /// The outcome of the call. [`Status::ended`] tells who caused a failure, [`Status::unprocessed`] whether it is
    /// certain that the server never began.
    End(Result<(), Status>),
}

impl Connection {
    /// A connection that speaks this version: HTTP/2 with prior knowledge, or HTTP/1.1 with one call at a time. There is
    /// no other here: `Http10` is taken for HTTP/1.1 and `Http3` for HTTP/2. The adapters refuse both.
    pub fn new(config: Arc<Config>, version: HttpVersion) -> Self {
        let mut http = ClientHttp::new(&config, version);
        let mut policy = Policy::new(&config);
        if http.as_http2().is_some() {
            policy.keep_alive(config.keepalive);
        }
        Self {
            http,
            slots: Vec::new(),
            free: Vec::new(),
            first_generation: 0,
            by_stream: Vec::new(),
            notices: Notices::default(),
            draining: false,
            available: false,
            refuses: false,
            wants_start: false,
            now: Instant::EPOCH,
            deadlines: Deadlines::default(),
            held: 0,
            deferred: 0,
            policy,
            config,
        }
    }

    /// Takes no new calls; open ones go on. The machine closes when the last call has been dropped.
    pub fn drain(&mut self, now: Instant) {
        self.advance(now);
        self.refuse();
        self.http.drain(self.now);
        self.absorb();
    }

    /// Ends the connection at once; here, calls without an outcome are cancelled. The server is told no cancel of each:
    /// its calls go with the connection, and end `Lost`. Over HTTP/1.1, where a client's cancel is nothing but the end
    /// of its connection, a server cannot tell the two apart.
    pub fn abort(&mut self, now: Instant) {
        self.advance(now);
        // What came before is not undone.
        self.absorb();
        for place in 0..self.slots.len() {
            self.abandon(place);
        }
        self.http.abort(self.now, 0);
        self.absorb();
    }

    /// The number of calls that the application has not dropped.
    pub fn calls(&self) -> usize {
        self.held as usize
    }

    /// The version of HTTP.
    pub fn version(&self) -> HttpVersion {
        self.http.version().unwrap_or(HttpVersion::Http11)
    }

    /// Whether a call may be started now. After a `false`, an `Available` follows once it may, unless the connection
    /// takes no calls any more (`Draining`).
    pub fn can_start(&mut self) -> bool {
        let can = self.has_room();
        self.wants_start |= !can;
        can
    }

    /// Whether the connection will take no new call, however long one waits.
    pub fn is_draining(&self) -> bool {
        self.refuses || self.http.closing() != Closing::Open
    }

    fn has_room(&mut self) -> bool {
        if !self.http.can_open() {
            return false;
        }
        let deferred = self.deferred as usize;
        match self.http.as_http2() {
            _ if deferred == 0 => true,
            None => false,
            Some(http) => {
                let limit = http.peer_settings().max_concurrent_streams.unwrap_or(100) as usize;
                http.open_streams() + deferred < limit
            }
        }
    }

    /// The most heap bytes that this connection can be made to hold by its peer with the calls that are open, besides
    /// what the application reads and keeps.
    pub fn worst_case_bytes(&self) -> usize {
        let limits = self.config.limits.clone().checked();
        // Headers, trailers, and the fields of the last good head.
        let call = size_of::<Slot>() + 2 * 3 * limits.header_list + 1024;
        self.http.worst_case_bytes() + self.slots.len().max(1) * (3 * call + 3 * 20)
    }

    /// The heap bytes that the tables of calls hold now, besides those of the HTTP connection.
    pub fn table_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.notices.capacity_bytes()
            + (self.free.capacity() + self.by_stream.capacity()) * size_of::<u32>()
    }

    /// No new call will be taken any more.
    fn refuse(&mut self) {
        self.draining |= !self.refuses;
        self.refuses = true;
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Takes what happened below.
    fn absorb(&mut self) {
        while let Some(event) = self.http.poll_event() {
            match event {
                StreamEvent::Readable(key) => self.arrived(key),
                StreamEvent::Writable(key) => {
                    if let Some((place, Phase::Open)) = self.place(key) {
                        self.notices.set(place, notices::WRITABLE);
                    }
                }
                StreamEvent::Stopped(key, code) => {
                    let Some((place, _)) = self.place(key) else { continue };
                    let Some(slot) = self.slots.get_mut(place as usize) else { continue };
                    slot.stop_code = code;
                    slot.call.stopped();
                    self.notices.set(place, notices::STOPPED);
                }
                StreamEvent::Draining => self.refuse(),
                StreamEvent::Lost(key) => {
                    let Some((place, _)) = self.place(key) else { continue };
                    if let Some(slot) = self.slots.get_mut(place as usize) {
                        slot.call.stopped();
                    }
                }
                StreamEvent::Available | StreamEvent::Opened(_) => {}
            }
        }
        if self.http.closing() != Closing::Open {
            self.refuse();
        }
        if self.wants_start && self.has_room() {
            self.wants_start = false;
            self.available = true;
        }
    }

    /// The place of a stream's call, and how far that is.
    fn place(&self, key: StreamKey) -> Option<(u32, Phase)> {
        let place = *self.by_stream.get(key.index as usize)?;
        let slot = self.slots.get(place as usize)?;
        (slot.key == Some(key) && slot.phase != Phase::Free).then_some((place, slot.phase))
    }

    /// Something of a response has arrived, or its end.
    fn arrived(&mut self, key: StreamKey) {
        let Some((place, Phase::Open)) = self.place(key) else { return };
        let Some(slot) = self.slots.get_mut(place as usize) else { return };
        let end = self.http.receive_end(key);
        if !slot.headed {
            if let Some(head) = self.http.head(key) {
                slot.headed = true;
                slot.call.receive_head(head);
                // The headers are news, too.
                slot.need = 0;
            }
        }
        self.notices.set(place, notices::READABLE);
        if let Some(end) = end {
            let late = slot.call.deadline().is_some_and(|deadline| deadline <= self.now);
            let end = match end {
                // The same as its status will tell.
                ReceiveEnd::Reset(code) if late && code == Http2Code::CANCEL.0 => End::Deadline,
                ReceiveEnd::Reset(code) => End::Cancelled { reset: Some(code) },
                ReceiveEnd::Local => End::Cancelled { reset: None },
                ReceiveEnd::Lost | ReceiveEnd::Unprocessed => End::Lost,
                ReceiveEnd::Clean | ReceiveEnd::Malformed(_) | ReceiveEnd::TooLarge | ReceiveEnd::Stalled => {
                    End::Finished
                }
            };
            self.end_call(place, end);
        } else if slot.discarding {
            self.discard(place);
        }
    }

    /// Fixes how a call ended; a later end changes nothing.
    fn end_call(&mut self, place: u32, end: End) {
        let Some(slot) = self.slots.get_mut(place as usize) else { return };
        if slot.phase != Phase::Open {
            return;
        }
        slot.phase = Phase::Ended(end);
        slot.ended_at = self.now;
        if slot.call.deadline().is_some() {
            self.deadlines.remove();
        }
        if slot.key.is_none() {
            self.deferred = self.deferred.saturating_sub(1);
        }
        self.notices.unset(place, notices::WRITABLE);
        self.notices.set(place, notices::READABLE | notices::ENDED);
    }

    /// Ends the calls whose deadline has passed, and finds the next one.
    fn expire(&mut self) {
        let mut earliest: Option<Instant> = None;
        for place in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            let (Phase::Open, Some(deadline)) = (slot.phase, slot.call.deadline()) else { continue };
            if deadline > self.now {
                earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
                continue;
            }
            let mut out = Requesting::new(&mut self.http, self.now, &mut slot.key);
            slot.call.on_deadline();
            slot.call.flush(&mut out);
            self.end_call(place as u32, End::Deadline);
        }
        self.deadlines.set_earliest(earliest);
    }

    fn cancel_place(&mut self, place: usize) {
        if self.abandon(place) {
            let Some(slot) = self.slots.get_mut(place) else { return };
            slot.call.flush(&mut Requesting::new(&mut self.http, self.now, &mut slot.key));
        }
    }

    /// Cancels a call without telling the server. Says whether there was one.
    fn abandon(&mut self, place: usize) -> bool {
        let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.phase == Phase::Open) else {
            return false;
        };
        slot.call.cancel();
        self.end_call(place as u32, End::Cancelled { reset: None });
        true
    }

    /// Calls that wait for a stream will not get one any more.
    fn give_up_deferred(&mut self) {
        if self.deferred == 0 {
            return;
        }
        for place in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            if slot.phase == Phase::Open && slot.key.is_none() {
                slot.call.fail(never_sent());
                self.end_call(place as u32, End::Lost);
            }
        }
    }

    /// Gives back the memory that an idle connection does not need. Ids are not used again.
    fn trim(&mut self) {
        let used = self.slots.iter().map(|slot| slot.generation).max().unwrap_or(0);
        self.first_generation = used.wrapping_add(1);
        self.slots = Vec::new();
        self.free = Vec::new();
        self.by_stream = Vec::new();
        self.notices.shrink();
    }

    fn after(&mut self, result: Result<(), ConnectionError>) -> Result<(), ConnectionError> {
        self.absorb();
        if self.http.closing() != Closing::Open {
            self.give_up_deferred();
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
        let slot = self.slots.get(index as usize)?;
        let call = CallId { index, generation: slot.generation };
        Some(match (kind, slot.phase) {
            (_, Phase::Free) => return None,
            (notices::READABLE, Phase::Open) => {
                let key = slot.key?;
                let worth = slot.need == 0
                    || self.http.body(key).map_or(0, |body| body.len()) >= slot.need
                    || self.http.receive_end(key).is_some();
                return worth.then_some(Event::Readable(call));
            }
            (notices::READABLE, _) => Event::Readable(call),
            (notices::WRITABLE, _) => Event::Writable(call),
            (notices::STOPPED, _) => Event::Stopped(call, slot.stop_code),
            (notices::ENDED, Phase::Ended(end)) => Event::Ended(call, end),
            _ => return None,
        })
    }
}

/// The outcome of a call for which no stream could be opened.
fn never_sent() -> Status {
    Status::unavailable("the connection takes no new calls")
        .with_ended(crate::EndedBy::LostConnection)
        .with_unprocessed()
}

impl Machine for Connection {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
        self.advance(now);
        self.policy.tick(self.now, self.held);
        self.policy.hear(self.now);
        let result = self.http.handle_input(self.now, input);
        self.after(result)
    }

    fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError> {
        self.advance(now);
        let result = self.http.handle_end(self.now, end);
        self.after(result)
    }

    fn handle_output_lost(&mut self, now: Instant) {
        self.advance(now);
        self.http.handle_output_lost(self.now);
        self.absorb();
        self.give_up_deferred();
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
            if core::mem::take(&mut self.available) {
                return Some(Event::Available);
            }
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
