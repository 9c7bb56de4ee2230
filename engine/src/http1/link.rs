//! What a server's and a client's connection have in common: one exchange at a time, and how it all ends.

use bytes::{Buf, BytesMut};

use super::body_encode::{Framing, Written};
use super::exchange::{Exchange, Plan, Receiving, Sending};
use super::head_write::{write_decimal, write_status_line};
use super::heads::{Received, Sent};
use super::lines::Scan;
use super::refused::Refused;
use super::timers::{CLIENT_DRAIN, LINGER, Timers, is_due};
use crate::{Closing, ConnectionError, Instant, Limits, Output, ReceiveEnd, StreamEvent, StreamKey};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Server,
    Client,
}

/// The connection as a whole.
///
/// ```text
/// Open ──a last answer is out──► Lingering ──end of input, or a timer──► Closed
///   └──────────── lost, reset, nothing left to do ───────────────────────►┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    /// Everything is said: the writing side is shut, and what still comes is thrown away.
    Lingering,
    Closed,
}

/// Notices not yet polled: a bit each.
#[derive(Clone, Copy, Default)]
pub(super) struct Notices {
    pub(super) opened: bool,
    pub(super) readable: bool,
    pub(super) stopped: Option<u32>,
    pub(super) lost: bool,
    pub(super) writable: bool,
    pub(super) available: bool,
    pub(super) draining: bool,
}

/// One connection of either role.
pub(super) struct Link {
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) now: Instant,
    pub(super) life: Life,
    pub(super) error: Option<ConnectionError>,
    pub(super) input_ended: bool,
    pub(super) output_lost: bool,
    /// No exchange will begin after the present one, at the wish of this side.
    pub(super) draining: bool,
    /// Another exchange may follow the present one.
    pub(super) reusable: bool,
    /// A blank line before the next head was skipped.
    pub(super) blank_skipped: bool,
    /// The first byte of the next message waits in the caller's buffer.
    pub(super) next_waits: bool,
    pub(super) scan: Scan,
    pub(super) timers: Timers,
    pub(super) notices: Notices,
    pub(super) exchange: Exchange,
    pub(super) generation: u32,
    /// Interim and error answers, before anything else.
    pub(super) control: BytesMut,
    pub(super) received: Received,
    pub(super) sent: Sent,
}

impl Link {
    pub(super) fn new(role: Role, limits: Limits) -> Self {
        let limits = limits.checked();
        Self {
            role,
            now: Instant::EPOCH,
            life: Life::Open,
            error: None,
            input_ended: false,
            output_lost: false,
            draining: false,
            reusable: true,
            blank_skipped: false,
            next_waits: false,
            scan: Scan::default(),
            timers: Timers::default(),
            notices: Notices::default(),
            exchange: Exchange::new(&limits),
            generation: 0,
            control: BytesMut::new(),
            received: Received::default(),
            sent: Sent::default(),
            limits,
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The key of the exchange whose application still holds it.
    pub(super) fn key(&self) -> Option<StreamKey> {
        (self.exchange.present && !self.exchange.dropped).then_some(self.exchange.key)
    }

    // ---- The receiving direction ------------------------------------------------------------------------------

    /// Takes body bytes. `true` when the body is complete.
    pub(super) fn receive_body(&mut self, input: &mut BytesMut) -> Result<bool, ConnectionError> {
        let Receiving::Body(mut decoder) = self.exchange.receiving else { return Ok(true) };
        let before = input.len();
        let outcome = self.exchange.receive(&mut decoder, input, &self.limits);
        self.exchange.receiving = Receiving::Body(decoder);
        if input.len() < before {
            self.exchange.owes_continue = false;
            self.notices.readable = true;
        }
        match outcome {
            Ok(true) => self.end_receiving(ReceiveEnd::Clean),
            Ok(false) => {}
            Err(refused) => return Err(self.refuse(refused)),
        }
        self.settle();
        Ok(self.exchange.receiving == Receiving::Ended || self.life != Life::Open)
    }

    /// The wire has nothing more for this exchange.
    pub(super) fn end_receiving(&mut self, end: ReceiveEnd) {
        self.exchange.end_receiving(end);
        self.exchange.owes_continue = false;
        self.timers.drain = None;
        self.notices.readable = true;
    }

    pub(super) fn wants_input(&self) -> bool {
        if self.input_ended || self.life == Life::Closed {
            return false;
        }
        if self.life == Life::Lingering || !self.exchange.present {
            return true;
        }
        match self.exchange.receiving {
            Receiving::Head => true,
            Receiving::Body(decoder) => !decoder.is_in_data() || self.exchange.room() > 0,
            Receiving::Ended => !self.next_waits,
        }
    }

    // ---- The sending direction --------------------------------------------------------------------------------

    pub(super) fn wants_output(&self) -> bool {
        if self.output_lost {
            return false;
        }
        let exchange = match self.exchange.sending {
            Sending::Head => self.exchange.owes_continue,
            Sending::Queued(_) => true,
            Sending::Body(framing) => self.exchange.outgoing.has_output(framing),
            Sending::Done | Sending::Stopped => false,
        };
        exchange || !self.control.is_empty()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool {
        self.tick(now);
        let before = out.len();
        if before >= Output::ENOUGH || !self.wants_output() {
            return false;
        }
        out.extend_from_slice(&self.control);
        self.control.clear();
        match self.exchange.sending {
            Sending::Head if self.exchange.owes_continue => {
                self.exchange.owes_continue = false;
                out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            Sending::Queued(plan) => {
                let framing = self.write_head(plan, out);
                self.write_body(framing, out);
            }
            Sending::Body(framing) => self.write_body(framing, out),
            _ => {}
        }
        self.settle();
        out.len() > before
    }

    /// Ends the head that is queued: now, and not before, it is known whether the whole body is there.
    fn write_head(&mut self, plan: Plan, out: &mut Output) -> Framing {
        self.decide_reuse();
        let outgoing = &mut self.exchange.outgoing;
        // A peer that speaks HTTP/1.0 knows no chunks (RFC 9112 §7.1). A client learns of it too late.
        let knows_chunks = self.role == Role::Client || self.exchange.facts.http11;
        let all_here = outgoing.finished && (outgoing.trailers.is_empty() || !knows_chunks);
        let framing = match plan {
            Plan::Length(length) => Framing::Length(length),
            Plan::Bodyless => Framing::Bodyless,
            Plan::Open if all_here => Framing::Length(outgoing.queue.len() as u64),
            Plan::Open if knows_chunks => Framing::Chunked,
            Plan::Open => Framing::ToClose,
        };
        let head = &mut outgoing.head;
        match framing {
            Framing::Length(length) if plan == Plan::Open => {
                head.extend_from_slice(b"content-length: ");
                write_decimal(head, length);
                head.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::ToClose => self.reusable = false,
            _ => {}
        }
        match (!self.reusable || self.draining, self.exchange.sends_te) {
            (true, true) => head.extend_from_slice(b"connection: te, close\r\n"),
            (true, false) => head.extend_from_slice(b"connection: close\r\n"),
            (false, true) => head.extend_from_slice(b"connection: te\r\n"),
            (false, false) => {}
        }
        head.extend_from_slice(b"\r\n");
        out.extend_from_slice(head);
        head.clear();
        self.exchange.transmitted = true;
        framing
    }

    /// Whether the connection will be used again, as far as it is known when a head is sent.
    fn decide_reuse(&mut self) {
        let exchange = &self.exchange;
        let unwanted = match exchange.receiving {
            Receiving::Body(decoder) if exchange.discard => decoder.remaining(),
            _ => 0,
        };
        // A client that was never told to continue may send the body or not: nobody knows where the next head is.
        if exchange.owes_continue || unwanted > self.limits.drain as u64 || self.input_ended {
            self.reusable = false;
        }
        self.exchange.owes_continue = false;
    }

    fn write_body(&mut self, mut framing: Framing, out: &mut Output) {
        let written = self.exchange.outgoing.write_body(&mut framing, out);
        self.exchange.sending = Sending::Body(framing);
        if self.timers.send.is_some() {
            self.timers.send = Some(self.now + self.limits.stall);
        }
        self.apply(written);
        if self.exchange.blocked && self.exchange.outgoing.queue.len() < self.limits.send_queue {
            self.exchange.blocked = false;
            self.notices.writable = true;
        }
    }

    fn apply(&mut self, written: Written) {
        match written {
            Written::Open => {}
            Written::Complete => self.exchange.sending = Sending::Done,
            Written::Broken => {
                self.stop_sending(Some(INTERNAL_ERROR));
            }
        }
        if self.exchange.sending.is_over() {
            self.timers.send = None;
        }
    }

    /// Breaks the sending direction off, with a notice if a code is given.
    pub(super) fn stop_sending(&mut self, notice: Option<u32>) {
        if self.exchange.stop_sending() {
            self.timers.send = None;
            self.reusable = false;
            if notice.is_some() {
                self.notices.stopped = notice;
            }
        }
    }

    // ---- How things end ---------------------------------------------------------------------------------------

    /// Draws the consequences of whatever has just happened.
    pub(super) fn settle(&mut self) {
        if !self.exchange.present {
            return;
        }
        if let Sending::Body(framing) = self.exchange.sending {
            let written = self.exchange.outgoing.settle(framing);
            self.apply(written);
        }
        if self.life == Life::Open {
            match self.role {
                Role::Server => self.settle_server(),
                Role::Client => self.settle_client(),
            }
        }
        let ended = self.exchange.receiving == Receiving::Ended && self.exchange.sending.is_over();
        if self.exchange.dropped && (ended || self.life != Life::Open) && !self.flushes() {
            self.free();
        }
    }

    /// Whether a complete answer is still on its way out.
    fn flushes(&self) -> bool {
        !self.exchange.sending.is_over() && !self.output_lost
    }

    fn settle_server(&mut self) {
        if !self.exchange.sending.is_over() {
            return;
        }
        if self.exchange.sending == Sending::Stopped && !self.output_lost {
            self.close();
            return;
        }
        if let Receiving::Body(decoder) = self.exchange.receiving {
            if !self.exchange.discard {
                // The application still reads.
                return;
            }
            self.drain_rest(decoder.remaining(), self.limits.stall);
        }
        if !self.reusable {
            self.linger();
        }
    }

    fn settle_client(&mut self) {
        match self.exchange.receiving {
            Receiving::Ended => {
                // The answer is complete: nobody waits for the rest of the request (RFC 9112 §9.5).
                self.stop_sending(Some(NO_ERROR));
                if !self.reusable {
                    self.close();
                }
            }
            Receiving::Head if self.exchange.dropped => {
                if self.exchange.transmitted {
                    self.stop_sending(None);
                    self.close();
                } else {
                    self.take_back();
                }
            }
            Receiving::Body(decoder) if self.exchange.dropped => {
                if self.exchange.sending != Sending::Done || !self.reusable {
                    self.stop_sending(None);
                    self.close();
                    return;
                }
                self.drain_rest(decoder.remaining(), CLIENT_DRAIN);
                if !self.reusable {
                    self.close();
                }
            }
            _ => {}
        }
    }

    /// A request of which nothing has gone out: as if it had never been.
    pub(super) fn take_back(&mut self) {
        self.timers.send = None;
        self.exchange.stop_sending();
        self.cut_receiving(ReceiveEnd::Local);
    }

    /// Reads the rest of a body that nobody wants, if it is short enough and comes soon enough.
    fn drain_rest(&mut self, remaining: u64, patience: core::time::Duration) {
        let limit = self.limits.drain;
        if self.exchange.drained > limit || remaining > (limit - self.exchange.drained.min(limit)) as u64 {
            self.reusable = false;
        } else if self.timers.drain.is_none() {
            self.timers.drain = Some(self.now + patience);
        }
    }

    /// The exchange is over and let go of: another may begin.
    fn free(&mut self) {
        self.exchange.free();
        self.notices = Notices {
            available: self.notices.available,
            draining: self.notices.draining,
            ..Notices::default()
        };
        self.next_waits = false;
        self.scan = Scan::default();
        self.timers = Timers { linger: self.timers.linger, ..Timers::default() };
        if self.life == Life::Open {
            if self.draining || self.input_ended || self.output_lost || !self.reusable {
                self.close();
            } else if self.role == Role::Client {
                self.notices.available = true;
            }
        }
    }

    /// Says nothing more and waits for the peer to close: closing at once could destroy the last answer on its way
    /// (RFC 9112 §9.6).
    pub(super) fn linger(&mut self) {
        if self.input_ended || self.output_lost {
            self.close();
            return;
        }
        self.life = Life::Lingering;
        self.timers = Timers { linger: Some(self.now + LINGER.min(self.limits.stall)), ..Timers::default() };
        self.cut_receiving(ReceiveEnd::Local);
        self.next_waits = false;
    }

    /// Nothing more to do for this connection, once the output is flushed.
    pub(super) fn close(&mut self) {
        self.life = Life::Closed;
        self.timers = Timers::default();
        self.cut_receiving(ReceiveEnd::Local);
        if self.role == Role::Client {
            self.notices.draining = true;
        }
    }

    /// Ends a receiving direction that is open, for a reason other than its own.
    pub(super) fn cut_receiving(&mut self, end: ReceiveEnd) {
        if self.exchange.present && self.exchange.receiving != Receiving::Ended {
            self.end_receiving(end);
        }
    }

    /// The peer broke a rule. A server says so, if it has not begun to say anything else.
    pub(super) fn refuse(&mut self, refused: Refused) -> ConnectionError {
        let Refused { mut status, reason } = refused;
        let too_large = matches!(status, 414 | 431);
        if self.role == Role::Client && !too_large {
            status = 502;
        }
        let error = ConnectionError::Http1 { status, reason };
        self.error = Some(error);
        self.reusable = false;
        let end = if too_large { ReceiveEnd::TooLarge } else { ReceiveEnd::Malformed(reason) };
        self.cut_receiving(end);
        let silent = !self.exchange.present || self.exchange.sending == Sending::Head;
        if !self.exchange.outgoing.finished {
            self.stop_sending(Some(CANCEL));
        }
        if self.role == Role::Server {
            if silent {
                self.answer(status);
            }
            self.linger();
        } else {
            self.close();
        }
        self.settle();
        error
    }

    /// Queues an answer of this floor's own, the last on this connection.
    fn answer(&mut self, status: u16) {
        write_status_line(&mut self.control, status);
        self.control.extend_from_slice(b"content-length: 0\r\nconnection: close\r\n\r\n");
    }

    /// Nothing more comes or goes: the transport is gone, or this side gives up.
    pub(super) fn fail(&mut self, error: ConnectionError, end: ReceiveEnd) -> ConnectionError {
        let error = *self.error.get_or_insert(error);
        self.cut_receiving(end);
        let lost = end == ReceiveEnd::Lost;
        self.notices.lost = lost && self.exchange.present && !self.exchange.sending.is_over();
        self.stop_sending((!lost).then_some(CANCEL));
        self.close();
        self.settle();
        error
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        self.time_first();
        if is_due(self.timers.head, self.now) || is_due(self.timers.first, self.now) {
            self.head_timed_out();
        } else if is_due(self.timers.linger, self.now) {
            self.close();
            self.settle();
        } else if is_due(self.timers.drain, self.now) {
            self.reusable = false;
            self.timers.drain = None;
            self.settle();
        } else if is_due(self.timers.send, self.now) {
            self.fail(
                ConnectionError::TimedOut("the last bytes of a message did not get out"),
                ReceiveEnd::Lost,
            );
        }
        if is_due(self.exchange.credit.deadline(), self.now) && self.exchange.present {
            self.exchange.set_end(ReceiveEnd::Stalled);
            self.exchange.discard();
            self.reusable = false;
            self.notices.readable = true;
            self.settle();
        }
    }

    /// A server that has not seen a request yet. A peer that says nothing at all is not waited for any longer than one
    /// that says too little; between requests it may be silent.
    fn awaits_first(&self) -> bool {
        self.role == Role::Server && self.life == Life::Open && self.generation == 0 && !self.exchange.present
    }

    /// Time is seen: it runs for the first request.
    pub(super) fn time_first(&mut self) {
        if self.awaits_first() {
            self.timers.first.get_or_insert(self.now + self.limits.handshake);
        }
    }

    fn head_timed_out(&mut self) {
        self.timers.head = None;
        self.timers.first = None;
        self.reusable = false;
        let error = ConnectionError::TimedOut("a head did not come to its end");
        if self.role == Role::Server && self.scan != Scan::default() {
            self.error = Some(error);
            self.answer(408);
            self.linger();
        } else {
            self.fail(error, ReceiveEnd::Lost);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let assembly = self.exchange.credit.deadline().filter(|_| self.exchange.present);
        let unseen = (self.awaits_first() && self.timers.first.is_none()).then_some(Instant::EPOCH);
        [self.timers.earliest(), assembly, unseen].into_iter().flatten().min()
    }

    pub(super) fn handle_output_lost(&mut self) {
        self.output_lost = true;
        self.control.clear();
        self.exchange.owes_continue = false;
        self.reusable = false;
        self.stop_sending(Some(CANCEL));
        if self.role == Role::Client && !self.exchange.transmitted {
            self.cut_receiving(ReceiveEnd::Unprocessed);
        }
        if self.life == Life::Lingering || !self.exchange.present {
            self.close();
        }
        if self.role == Role::Client {
            self.notices.draining = true;
        }
        self.settle();
    }

    pub(super) fn poll_event(&mut self) -> Option<StreamEvent> {
        let notices = &mut self.notices;
        if self.exchange.present && !self.exchange.dropped {
            let key = self.exchange.key;
            if core::mem::take(&mut notices.opened) {
                return Some(StreamEvent::Opened(key));
            }
            if core::mem::take(&mut notices.readable) {
                return Some(StreamEvent::Readable(key));
            }
            if core::mem::take(&mut notices.lost) {
                return Some(StreamEvent::Lost(key));
            }
            if let Some(code) = notices.stopped.take() {
                return Some(StreamEvent::Stopped(key, code));
            }
            if core::mem::take(&mut notices.writable) {
                return Some(StreamEvent::Writable(key));
            }
        }
        if core::mem::take(&mut notices.available) {
            return Some(StreamEvent::Available);
        }
        core::mem::take(&mut notices.draining).then_some(StreamEvent::Draining)
    }

    pub(super) fn closing(&self) -> Closing {
        match self.life {
            Life::Open => Closing::Open,
            Life::Lingering => Closing::ShutWrite,
            Life::Closed => Closing::Closed,
        }
    }

    /// Skips the one blank line that may come before a request (RFC 9112 §2.2).
    pub(super) fn skip_blank(&mut self, input: &mut BytesMut) {
        if !self.blank_skipped && input.starts_with(b"\r\n") {
            input.advance(2);
            self.blank_skipped = true;
            self.timers.head = None;
        }
    }
}

/// Codes of the notices, those of HTTP/2 (RFC 9113 §7).
pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const CANCEL: u32 = 8;
