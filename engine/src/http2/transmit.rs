//! Frames out: cut when the transport is ready, control first, then the streams in turn.

use crate::Output;
use crate::http2::connection::{Connection, Life};
use crate::http2::frame::{self, FrameHeader, HEADER_LEN, MAX_FRAME, PREFACE, flag, kind};
use crate::http2::settings::{self, Role};
use crate::http2::stream::{Place, Ready, Receiving, Sending, What, notice};

/// Spare memory for encoding that is kept.
const KEEP: usize = 16 * 1024;

impl Connection {
    /// Appends frames until enough is pending in `out`. What the frames are depends on windows and on the peer's
    /// limits, never on the room in `out`.
    pub(super) fn transmit(&mut self, out: &mut Output) -> bool {
        if self.output_lost || out.len() >= Output::ENOUGH {
            return false;
        }
        let before = out.len();
        self.transmit_control(out);
        if self.life == Life::Open {
            while out.len() < Output::ENOUGH {
                let Some(index) = self.ring.pop_front() else { break };
                self.visit(index, out);
            }
            // Those of answers that ended before their requests.
            self.control.put_resets(out.tail_mut());
        }
        out.len() > before
    }

    fn transmit_control(&mut self, out: &mut Output) {
        if !self.control.is_owed() && !self.receive_window.is_due() {
            return;
        }
        let tail = out.tail_mut();
        if std::mem::take(&mut self.control.start) {
            if self.role == Role::Client {
                tail.extend_from_slice(PREFACE);
            }
            frame::put(tail, kind::SETTINGS, 0, 0, &settings::ours(self.role, &self.limits));
            self.timers.settings_sent = Some(self.now);
        }
        self.control.put_answers(tail);
        self.control.put_resets(tail);
        if self.life != Life::Open {
            self.control.updates.clear();
        } else {
            if let Some(raise) = self.receive_window.raise() {
                frame::put_number(tail, kind::WINDOW_UPDATE, 0, raise);
            }
            let mut updates = std::mem::take(&mut self.control.updates);
            for index in updates.drain(..) {
                let slot = self.store.slot(index);
                slot.updating = false;
                if slot.open && slot.id != 0 && slot.receiving != Receiving::Ended {
                    if let Some(raise) = slot.credit.raise() {
                        frame::put_number(tail, kind::WINDOW_UPDATE, slot.id, raise);
                    }
                }
            }
            self.control.updates = updates;
        }
        self.control.put_goaway(tail);
        // After the announcement of a drain: the answer shows that the peer has seen it.
        self.control.put_pings(tail);
    }

    /// One stream's turn: its head, at most one DATA frame, and its end.
    fn visit(&mut self, index: u32, out: &mut Output) {
        let connection_open = self.send_window.available() > 0;
        let slot = self.store.slot(index);
        slot.place = Place::Nowhere;
        if slot.whole > 0 && self.send_whole(index, out) {
            return;
        }
        let slot = self.store.slot(index);
        if slot.ready(connection_open) == Ready::Yes {
            let is_new = slot.id == 0;
            if is_new || slot.has_interim {
                self.begin(index, is_new, out);
            }
            self.send_all(index, out);
        }
        // Most are done with that, and gone.
        let slot = self.store.slot(index);
        if slot.open && !slot.sending.is_over() {
            self.schedule(index);
        }
    }

    /// Gives a client's stream its id, and sends a server's informational heads.
    #[inline(never)]
    fn begin(&mut self, index: u32, is_new: bool, out: &mut Output) {
        if is_new {
            let id = self.store.next_id();
            self.store.slot(index).id = id;
            self.store.open(id, index);
            self.draining |= !self.ids_left();
            self.update(index);
        }
        let slot = self.store.slot(index);
        if std::mem::take(&mut slot.has_interim) {
            for head in std::mem::take(&mut slot.outgoing().interim) {
                self.scratch.clear();
                self.scratch.extend_from_slice(&[0; HEADER_LEN]);
                self.encoder.encode_response(&head, &mut self.scratch);
                put_block(&mut self.scratch, false, slot.id, out);
            }
        }
    }

    /// Sends the head, data as far as the windows allow, and the end.
    fn send_all(&mut self, index: u32, out: &mut Output) {
        let slot = self.store.slot(index);
        slot.progress = self.now;
        if slot.head_pending {
            slot.head_pending = false;
            let end = slot.sending == Sending::Ending && slot.queue.is_empty();
            self.send_block(index, What::Head, end, out);
            if end {
                return self.end_send(index);
            }
        }
        if self.send_data(index, out) {
            return;
        }
        // Trailers, or an empty END_STREAM, may go at a window of 0 (RFC 9113 §6.9.1).
        let slot = self.store.slot(index);
        if !slot.queue.is_empty() {
            return;
        }
        match slot.sending {
            Sending::EndingWithTrailers => self.send_block(index, What::Trailers, true, out),
            Sending::Ending => {
                frame::put(out.tail_mut(), kind::DATA, flag::END_STREAM, slot.id, &[]);
            }
            _ => return,
        }
        self.end_send(index);
    }

    /// Cuts a DATA frame, if there is something and the windows allow it. Returns whether it ended the stream.
    #[inline]
    fn send_data(&mut self, index: u32, out: &mut Output) -> bool {
        let slot = self.store.slot(index);
        let windows = slot.window.available().min(self.send_window.available());
        let len = slot.queue.len().min(windows).min(MAX_FRAME);
        if len == 0 || slot.sending == Sending::Head {
            return false;
        }
        let end = slot.sending == Sending::Ending && len == slot.queue.len();
        let flags = if end { flag::END_STREAM } else { 0 };
        out.extend_from_slice(&FrameHeader { len, kind: kind::DATA, flags, stream: slot.id }.encode());
        slot.queue.take(len, out);
        slot.window.sent(len);
        self.send_window.sent(len);
        self.abuse.data_sent(len);
        if slot.wants_room && slot.queue.len() < self.limits.send_queue {
            slot.wants_room = false;
            self.note(index, notice::WRITABLE);
        }
        if end {
            self.end_send(index);
        }
        end
    }

    /// Sends a header block: a server's was encoded before, a client's is encoded now.
    fn send_block(&mut self, index: u32, what: What, end: bool, out: &mut Output) {
        let slot = self.store.slot(index);
        let stream = slot.id;
        let early = self.role == Role::Server;
        if early && !self.encoder.owes_size_updates() {
            return put_block(slot.answered(what), end, stream, out);
        }
        let block = &mut self.scratch;
        block.clear();
        block.extend_from_slice(&[0; HEADER_LEN]);
        match what {
            _ if early => {
                self.encoder.put_size_updates(block);
                block.extend_from_slice(slot.answered(what).get(HEADER_LEN..).unwrap_or_default());
            }
            What::Head => self.encoder.encode_request(&slot.outgoing().head, block),
            What::Trailers => self.encoder.encode_trailers(&slot.outgoing().trailers, block),
        }
        put_block(block, end, stream, out);
        if block.capacity() > KEEP {
            *block = Vec::new();
        }
    }

    /// The connection's window is open again: those who waited for it get their turn, in order.
    pub(super) fn wake_starved(&mut self) {
        while let Some(index) = self.starved.pop_front() {
            self.store.slot(index).place = Place::Ring;
            self.ring.push_back(index);
        }
    }
}

/// Cuts a header block, behind room for a frame header, into HEADERS and CONTINUATIONs (RFC 9113 §4.3).
#[inline]
fn put_block(block: &mut [u8], end: bool, stream: u32, out: &mut Output) {
    let end = if end { flag::END_STREAM } else { 0 };
    if block.len() <= HEADER_LEN + MAX_FRAME {
        frame::put_in_place(out.tail_mut(), kind::HEADERS, end | flag::END_HEADERS, stream, block);
    } else {
        cut_block(block.get(HEADER_LEN..).unwrap_or_default(), end, stream, out);
    }
}

#[cold]
fn cut_block(block: &[u8], end: u8, stream: u32, out: &mut Output) {
    let mut parts = block.chunks(MAX_FRAME).peekable();
    let (mut kind, mut flags) = (kind::HEADERS, end);
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            flags |= flag::END_HEADERS;
        }
        frame::put(out.tail_mut(), kind, flags, stream, part);
        (kind, flags) = (kind::CONTINUATION, 0);
    }
}
