//! How streams end (RFC 9113 §5.1), and who is told.

use crate::http2::Fault;
use crate::http2::connection::{Connection, Life};
use crate::http2::settings::Role;
use crate::http2::store::Closed;
use crate::http2::stream::{Place, Ready, Receiving, Sending, Slot, notice};
use crate::{Http2Code, ReceiveEnd};

/// Who ended a stream before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    Us,
    Peer,
}

/// Whether a call is finished and only its bytes remain.
pub(super) trait Finished {
    fn is_finished(&self, role: Role) -> bool;
}

impl Finished for Slot {
    fn is_finished(&self, role: Role) -> bool {
        // A server's answer ends the call. A client's request does not: its server may be slow with good reason.
        self.sending.is_ending() && (role == Role::Server || self.receiving == Receiving::Ended)
    }
}

impl Connection {
    /// Puts notices on a stream for the application.
    #[inline(always)]
    pub(super) fn note(&mut self, index: u32, bits: u8) {
        let slot = self.store.slot(index);
        if slot.held {
            slot.notices |= bits;
            if !slot.noticed {
                slot.noticed = true;
                self.ready.push_back(index);
            }
        }
    }

    /// Puts a stream in its place in the transmitter.
    #[inline]
    pub(super) fn schedule(&mut self, index: u32) {
        let connection_open = self.send_window.available() > 0;
        let slot = self.store.slot(index);
        if slot.place != Place::Nowhere {
            return;
        }
        match slot.ready(connection_open) {
            Ready::No => {}
            Ready::Yes => {
                slot.place = Place::Ring;
                self.ring.push_back(index);
            }
            Ready::Starved => {
                slot.place = Place::Starved;
                self.starved.push_back(index);
            }
        }
    }

    /// Looks whether the window of a stream is due.
    #[inline]
    pub(super) fn update(&mut self, index: u32) {
        let slot = self.store.slot(index);
        if slot.open && !slot.updating && slot.id != 0 && slot.credit.wants_raise() {
            slot.updating = true;
            self.control.updates.push(index);
        }
    }

    /// Grants reservations to those who wait for them.
    #[inline]
    pub(super) fn serve_assembly(&mut self) {
        if self.assembly.has_waiters() {
            self.serve_waiters();
        }
    }

    fn serve_waiters(&mut self) {
        while let Some(index) = self.assembly.serve() {
            let slot = self.store.slot(index);
            slot.credit.granted(self.now, &self.assembly);
            if let Some(deadline) = slot.credit.deadline() {
                self.timers.watch(deadline);
            }
            self.update(index);
        }
    }

    /// The peer ended its direction in good order, or `end` says what was wrong with it.
    pub(super) fn end_receive(&mut self, index: u32, end: ReceiveEnd) {
        let slot = self.store.slot(index);
        slot.receiving = Receiving::Ended;
        slot.end.get_or_insert(end);
        slot.credit.peer_ended(index, &mut self.assembly);
        let done = slot.sending.is_over();
        if slot.sending.is_ending() {
            slot.progress = self.now;
            self.timers.watch_stall();
        }
        self.serve_assembly();
        self.note(index, notice::READABLE);
        if done {
            self.closed(index, Closed::Clean);
        }
    }

    /// Our END_STREAM is out.
    #[inline]
    pub(super) fn end_send(&mut self, index: u32) {
        let slot = self.store.slot(index);
        slot.sending = Sending::Done;
        if slot.receiving == Receiving::Ended {
            self.closed(index, Closed::Clean);
        } else if self.role == Role::Server {
            // RFC 9113 §8.1: the answer is complete, the rest of the request is not wanted.
            self.abuse.clean_end();
            self.reset_stream(index, Http2Code::NO_ERROR.0, ReceiveEnd::Local);
        } else if !slot.held {
            self.reset_stream(index, Http2Code::CANCEL.0, ReceiveEnd::Local);
        }
    }

    /// Nobody reads this stream any more; `end` is the reason, unless it has ended before.
    pub(super) fn discard(&mut self, index: u32, end: ReceiveEnd) {
        let slot = self.store.slot(index);
        slot.clear_body();
        slot.credit.discard(index, &mut self.assembly);
        if slot.receiving != Receiving::Ended {
            slot.receiving = Receiving::Discarding;
        }
        if slot.end.is_none() {
            slot.end = Some(end);
            self.note(index, notice::READABLE);
        }
        self.serve_assembly();
        self.update(index);
    }

    /// Resets a stream that is still open on the wire.
    pub(super) fn reset_stream(&mut self, index: u32, code: u32, end: ReceiveEnd) {
        let slot = self.store.slot(index);
        if slot.open {
            if slot.id != 0 {
                self.control.resets.push((slot.id, code));
            }
            self.kill(index, end, By::Us, code);
        }
    }

    /// The peer made an error in a stream: it is reset, and that is counted.
    pub(super) fn stream_error(&mut self, index: u32, fault: Fault) -> Result<(), Fault> {
        self.reset_stream(index, fault.code.0, ReceiveEnd::Malformed(fault.reason));
        self.abuse.provoked(self.now)
    }

    /// Ends both directions of a stream on the wire. What was received stays readable.
    pub(super) fn kill(&mut self, index: u32, end: ReceiveEnd, by: By, code: u32) {
        let slot = self.store.slot(index);
        if !slot.open {
            return;
        }
        let mut bits = 0;
        slot.receiving = Receiving::Ended;
        if slot.end.is_none() {
            slot.end = Some(end);
            bits |= notice::READABLE;
        }
        if !slot.sending.is_over() {
            slot.sending = Sending::Gone;
            slot.stop_code = code;
            bits |= if end == ReceiveEnd::Lost { notice::LOST } else { notice::STOPPED };
        }
        slot.clear_output();
        slot.credit.peer_ended(index, &mut self.assembly);
        self.serve_assembly();
        self.note(index, bits);
        self.closed(index, if by == By::Us { Closed::ByUs } else { Closed::ByPeer });
    }

    /// A stream is closed on the wire; its slot is free when the application has let go as well.
    fn closed(&mut self, index: u32, why: Closed) {
        let slot = self.store.slot(index);
        slot.open = false;
        let (id, held) = (slot.id, slot.held);
        self.active -= 1;
        if id != 0 {
            self.store.close(id, why);
        }
        if why == Closed::Clean {
            self.abuse.clean_end();
        }
        if !held {
            self.free(index);
        }
        self.offer();
        if self.active == 0 {
            self.settle();
        }
    }

    /// Frees a slot that neither the wire nor the application uses.
    #[inline(always)]
    pub(super) fn free(&mut self, index: u32) {
        let slot = self.store.slot(index);
        slot.credit.discard(index, &mut self.assembly);
        if slot.place == Place::Starved {
            slot.place = Place::Nowhere;
            self.starved.retain(|&starved| starved != index);
        }
        self.store.release(index);
        self.serve_assembly();
        if self.store.in_use() == 0 {
            self.timers.idle(self.now, true);
        }
    }

    /// Says that a stream can be opened, to who was refused one.
    #[inline]
    pub(super) fn offer(&mut self) {
        if self.wants_open && self.has_room() {
            self.wants_open = false;
            self.available = true;
        }
    }

    /// Gives up all streams: the connection has ended.
    pub(super) fn lose_streams(&mut self, end: ReceiveEnd) {
        for index in 0..self.store.len() {
            let slot = self.store.slot(index);
            // What was never sent can be tried again.
            let end = if slot.id == 0 && end == ReceiveEnd::Lost { ReceiveEnd::Unprocessed } else { end };
            self.kill(index, end, By::Us, Http2Code::CANCEL.0);
        }
        self.ring.clear();
        self.starved.clear();
        for index in 0..self.store.len() {
            self.store.slot(index).place = Place::Nowhere;
        }
    }

    /// Nothing can be sent any more. A client reads on: an early answer may come.
    pub(super) fn lose_output(&mut self) {
        if std::mem::replace(&mut self.output_lost, true) {
            return;
        }
        match (self.life, self.role) {
            (Life::Open, Role::Client) => {
                for index in 0..self.store.len() {
                    self.lose_send(index);
                }
                self.timers.linger_for(self.now, self.limits.handshake);
                self.settle();
            }
            (Life::Open, Role::Server) => {
                self.error = Some(crate::ConnectionError::Lost);
                self.lose_streams(ReceiveEnd::Lost);
                self.life = Life::Closed;
            }
            _ => self.life = Life::Closed,
        }
    }

    fn lose_send(&mut self, index: u32) {
        let slot = self.store.slot(index);
        if !slot.open {
            return;
        }
        if slot.id == 0 {
            return self.kill(index, ReceiveEnd::Unprocessed, By::Us, Http2Code::CANCEL.0);
        }
        if !slot.sending.is_over() {
            slot.sending = Sending::Gone;
            slot.stop_code = Http2Code::CANCEL.0;
            slot.clear_output();
            let ended = slot.receiving == Receiving::Ended;
            self.note(index, notice::STOPPED);
            if ended {
                self.closed(index, Closed::ByUs);
            }
        }
    }
}
