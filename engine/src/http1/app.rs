//! What an application does with an exchange, the same at both ends.

use bytes::{Bytes, BytesMut};

use super::exchange::{Receiving, Sending};
use super::head_write::{check_trailers, write_fields};
use super::heads::LONGEST;
use super::link::{INTERNAL_ERROR, Life, Link, NO_ERROR, Role};
use crate::{ConnectionError, Fields, Head, Instant, Misuse, ReceiveEnd, SendError, StreamKey};

impl Link {
    pub(super) fn head(&self, key: StreamKey) -> Option<&Head> {
        (self.exchange.knows(key) && self.exchange.has_head).then_some(&self.exchange.head)
    }

    pub(super) fn trailers(&self, key: StreamKey) -> Option<&Fields> {
        self.receive_end(key).map(|_| &self.exchange.trailers)
    }

    pub(super) fn body(&mut self, key: StreamKey) -> Option<&mut BytesMut> {
        self.exchange.knows(key).then_some(&mut self.exchange.body)
    }

    pub(super) fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd> {
        if self.exchange.knows(key) { self.exchange.end } else { None }
    }

    pub(super) fn release(&mut self, now: Instant, key: StreamKey, bytes: usize) -> Result<(), Misuse> {
        self.tick(now);
        self.check(key)?;
        self.exchange.release(bytes)
    }

    pub(super) fn demand(&mut self, now: Instant, key: StreamKey, need: usize) -> Result<(), Misuse> {
        self.tick(now);
        self.check(key)?;
        self.exchange.demand(self.now, need);
        Ok(())
    }

    pub(super) fn stop_reading(&mut self, now: Instant, key: StreamKey) {
        self.tick(now);
        if self.exchange.knows(key) {
            self.exchange.discard();
            self.settle();
        }
    }

    pub(super) fn poll_room(&mut self, key: StreamKey) -> Result<(), SendError> {
        self.check(key)?;
        if self.exchange.sending.is_over() {
            return Err(SendError::Ended);
        }
        if self.exchange.outgoing.finished {
            return Err(SendError::Misuse(Misuse::AlreadyClosed));
        }
        if self.exchange.outgoing.queue.len() >= self.limits.send_queue {
            self.exchange.blocked = true;
            return Err(SendError::Blocked);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, key: StreamKey, bytes: &[u8]) {
        if self.takes_body(key) {
            self.exchange.outgoing.queue.push(bytes);
            self.settle();
        }
    }

    pub(super) fn push_bytes(&mut self, key: StreamKey, bytes: &Bytes) {
        if self.takes_body(key) {
            self.exchange.outgoing.queue.push_bytes(bytes);
            self.settle();
        }
    }

    fn takes_body(&self, key: StreamKey) -> bool {
        let exchange = &self.exchange;
        exchange.knows(key) && !exchange.sending.is_over() && !exchange.outgoing.finished
    }

    pub(super) fn finish(&mut self, key: StreamKey) {
        if self.takes_body(key) {
            self.exchange.outgoing.finished = true;
            self.timers.send = Some(self.now + self.limits.stall);
            self.settle();
        }
    }

    pub(super) fn finish_with_trailers(&mut self, key: StreamKey, trailers: &Fields) {
        if !self.takes_body(key) {
            return;
        }
        if check_trailers(trailers).is_err() {
            // There is nobody to tell: better an answer that is visibly cut than one that says something else.
            self.reset(self.now, key, INTERNAL_ERROR);
            return;
        }
        write_fields(&mut self.exchange.outgoing.trailers, trailers);
        self.finish(key);
    }

    pub(super) fn reset(&mut self, now: Instant, key: StreamKey, code: u32) {
        self.tick(now);
        if !self.exchange.knows(key) {
            return;
        }
        if code == NO_ERROR && self.exchange.outgoing.finished {
            // Everything is said and the rest of the request is not wanted: the answer still goes out.
            self.stop_reading(now, key);
            return;
        }
        if self.exchange.receiving == Receiving::Ended && self.exchange.sending.is_over() {
            return;
        }
        if self.role == Role::Client && !self.exchange.transmitted {
            self.take_back();
        } else {
            self.cut_receiving(ReceiveEnd::Local);
            self.stop_sending(None);
            self.reusable = false;
            self.close();
        }
        self.settle();
    }

    pub(super) fn drop_stream(&mut self, now: Instant, key: StreamKey) {
        self.tick(now);
        if !self.exchange.knows(key) {
            return;
        }
        self.exchange.discard();
        self.exchange.dropped = true;
        if self.role == Role::Server && !self.exchange.outgoing.finished && !self.exchange.sending.is_over() {
            self.stop_sending(None);
            self.close();
        }
        self.settle();
    }

    pub(super) fn abort(&mut self, now: Instant) {
        self.tick(now);
        self.control.clear();
        self.fail(ConnectionError::Aborted, ReceiveEnd::Local);
    }

    pub(super) fn respond_checks(&self, key: StreamKey) -> Result<(), SendError> {
        self.check(key)?;
        match self.exchange.sending {
            Sending::Head => Ok(()),
            Sending::Stopped => Err(SendError::Ended),
            _ => Err(SendError::Misuse(Misuse::HeadersSent)),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.life == Life::Open && !self.draining && !self.input_ended && !self.output_lost && self.reusable
    }

    /// See [`HttpConnection::worst_case_bytes`](crate::HttpConnection::worst_case_bytes).
    pub(super) fn worst_case_bytes(&self) -> usize {
        let limits = &self.limits;
        let entries = limits.header_fields * 16;
        // A head waiting in the input, the same head parsed, and trailers; then a head and trailers going out.
        let heads = limits.header_list * 6 + entries * 2;
        let received = limits.window as usize + limits.assembly;
        let sent = limits.send_queue + limits.max_message;
        let remembered = 3 * LONGEST;
        // Buffers that grow double.
        2 * (heads + received + sent + remembered)
    }

    fn check(&self, key: StreamKey) -> Result<(), Misuse> {
        if self.exchange.knows(key) { Ok(()) } else { Err(Misuse::UnknownCall) }
    }
}
