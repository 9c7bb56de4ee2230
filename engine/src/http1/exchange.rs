//! One request and its response: one enum for each direction, never a product of both.

use bytes::BytesMut;

use super::body_decode::{BodyDecoder, Sink};
use super::body_encode::{Framing, Outgoing};
use super::head_parse::Facts;
use super::refused::Refused;
use crate::credit::{Assembly, Credit};
use crate::{Fields, Head, Instant, Limits, Misuse, ReceiveEnd, StreamKey};

/// The receiving direction as the wire has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receiving {
    /// A client waits for the head of the final response.
    Head,
    Body(BodyDecoder),
    /// Complete, or broken off.
    Ended,
}

/// The sending direction.
///
/// ```text
/// Head ──respond──► Queued ──transmit──► Body ──all is out──► Done
///   └────────────────┴────────────────────┴── reset, lost ──► Stopped
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// A server: the application has not given the final head yet.
    Head,
    /// The head is given and not transmitted: how the body is delimited can still be chosen.
    Queued(Plan),
    Body(Framing),
    /// All of the message is out.
    Done,
    /// Broken off: nothing more goes out, and the connection cannot be used again.
    Stopped,
}

impl Sending {
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Stopped)
    }
}

/// What is known of the framing before the head is transmitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// The application gave content-length, and it is among its fields.
    Length(u64),
    /// To be chosen.
    Open,
    /// No body and no framing field.
    Bodyless,
}

/// One exchange, whose memory the connection uses again for the next.
pub(super) struct Exchange {
    /// There is one: the application has not dropped it, or its last bytes are on their way.
    pub(super) present: bool,
    pub(super) key: StreamKey,
    /// The application let go of it.
    pub(super) dropped: bool,
    pub(super) head: Head,
    pub(super) has_head: bool,
    /// What the received head said; of the request at both ends, where it matters for the response.
    pub(super) facts: Facts,
    /// The request's method is HEAD: the response has no body (RFC 9112 §6.3).
    pub(super) is_head: bool,
    /// The peer waits for `100 Continue`.
    pub(super) owes_continue: bool,
    /// Our head has a `te` field.
    pub(super) sends_te: bool,
    /// Informational responses received.
    pub(super) informational: u8,
    /// Some of our message has gone out.
    pub(super) transmitted: bool,
    pub(super) receiving: Receiving,
    /// The end as the application sees it.
    pub(super) end: Option<ReceiveEnd>,
    pub(super) body: BytesMut,
    pub(super) trailers: Fields,
    pub(super) credit: Credit,
    pub(super) assembly: Assembly,
    /// What comes is thrown away.
    pub(super) discard: bool,
    /// How much was thrown away after our own message was out.
    pub(super) drained: usize,
    pub(super) sending: Sending,
    pub(super) outgoing: Outgoing,
    /// `poll_room` said `Blocked`.
    pub(super) blocked: bool,
}

impl Exchange {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            present: false,
            key: StreamKey { index: 0, generation: 0 },
            dropped: true,
            head: Head::default(),
            has_head: false,
            facts: Facts::default(),
            is_head: false,
            owes_continue: false,
            sends_te: false,
            informational: 0,
            transmitted: false,
            receiving: Receiving::Ended,
            end: None,
            body: BytesMut::new(),
            trailers: Fields::new(),
            credit: Credit::new(limits.window, 0),
            assembly: Assembly::new(limits),
            discard: false,
            drained: 0,
            sending: Sending::Done,
            outgoing: Outgoing::default(),
            blocked: false,
        }
    }

    /// Begins the next exchange; `head` is left as it is.
    pub(super) fn begin(&mut self, limits: &Limits, generation: u32, receiving: Receiving, sending: Sending) {
        self.present = true;
        self.key = StreamKey { index: 0, generation };
        self.dropped = false;
        self.owes_continue = false;
        self.sends_te = false;
        self.informational = 0;
        self.transmitted = false;
        self.receiving = receiving;
        self.end = None;
        self.clear_body();
        self.trailers.clear();
        self.credit = Credit::new(limits.window, 0);
        self.assembly = Assembly::new(limits);
        self.discard = false;
        self.drained = 0;
        self.sending = sending;
        self.blocked = false;
    }

    /// Ends what is left of it and keeps moderate memory.
    pub(super) fn free(&mut self) {
        self.present = false;
        self.dropped = true;
        self.has_head = false;
        self.receiving = Receiving::Ended;
        self.sending = Sending::Done;
        self.outgoing.clear();
        self.clear_body();
    }

    pub(super) fn clear_body(&mut self) {
        if self.body.capacity() > KEPT_BODY {
            self.body = BytesMut::new();
        } else {
            self.body.clear();
        }
    }

    /// Whether `key` names this exchange and the application still holds it.
    pub(super) fn knows(&self, key: StreamKey) -> bool {
        self.present && !self.dropped && self.key == key
    }

    /// Fixes the end that the application sees. An earlier end stays.
    pub(super) fn set_end(&mut self, end: ReceiveEnd) {
        self.end.get_or_insert(end);
    }

    /// What comes from now on is thrown away, and so is what nobody took.
    pub(super) fn discard(&mut self) {
        self.discard = true;
        self.clear_body();
        self.credit.discard(WHO, &mut self.assembly);
        if self.receiving != Receiving::Ended {
            self.set_end(ReceiveEnd::Local);
        }
    }

    /// The wire has nothing more for this exchange.
    pub(super) fn end_receiving(&mut self, end: ReceiveEnd) {
        self.receiving = Receiving::Ended;
        self.credit.peer_ended(WHO, &mut self.assembly);
        self.set_end(end);
    }

    /// Breaks the sending direction off, unless it is over.
    pub(super) fn stop_sending(&mut self) -> bool {
        let open = self.present && !self.sending.is_over();
        if open {
            self.sending = Sending::Stopped;
            self.outgoing.clear();
        }
        open
    }

    /// How many bytes of body may be taken in.
    pub(super) fn room(&self) -> usize {
        if self.discard { usize::MAX } else { self.credit.allow().saturating_sub(self.credit.held()) }
    }

    /// Takes back what the application has taken.
    pub(super) fn release(&mut self, bytes: usize) -> Result<(), Misuse> {
        if self.discard || self.credit.released(bytes, WHO, &mut self.assembly) {
            Ok(())
        } else {
            Err(Misuse::OverRelease)
        }
    }

    /// The application waits for `need` bytes in `body`.
    pub(super) fn demand(&mut self, now: Instant, need: usize) {
        if self.receiving != Receiving::Ended && !self.discard {
            self.credit.demand(now, need, WHO, &mut self.assembly);
        }
    }

    /// Takes body bytes from `input`. `true` when the body is complete.
    pub(super) fn receive(
        &mut self,
        decoder: &mut BodyDecoder,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<bool, Refused> {
        let room = self.room();
        let body = (!self.discard).then_some(&mut self.body);
        let mut sink = Sink { body, room, trailers: &mut self.trailers, taken: 0 };
        let outcome = decoder.decode(input, &mut sink, limits);
        let taken = sink.taken;
        if self.discard {
            if self.sending.is_over() {
                self.drained = self.drained.saturating_add(taken);
            }
        } else {
            self.credit.arrived(taken);
        }
        outcome
    }
}

/// The only stream there is, to its assembly.
const WHO: u32 = 0;

/// A body keeps its memory up to this size from one exchange to the next.
const KEPT_BODY: usize = 64 * 1024;
