//! Frames out: cut when the transport is ready, control first, then the streams in turn.

use crate::Output;
use crate::http2::connection::{Connection, Life};
use crate::http2::frame::{self, FrameHeader, HEADER_LEN, MAX_FRAME, PREFACE, flag, kind};
use crate::http2::settings::{self, Role};
use crate::http2::stream::{Place, Ready, Receiving, Sending, notice};

/// Spare memory for encoding that is kept.
const KEEP: usize = 16 * 1024;

/// What a header block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Interim,
    Head,
    Trailers,
}

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
        if slot.ready(connection_open) == Ready::Yes {
            self.send_heads(index, out);
            let sent_end = self.send_data(index, out);
            self.send_end(index, sent_end, out);
        }
        self.schedule(index);
    }

    fn send_heads(&mut self, index: u32, out: &mut Output) {
        let slot = self.store.slot(index);
        if slot.id == 0 {
            let id = self.store.next_id();
            self.store.slot(index).id = id;
            self.store.open(id, index);
            self.draining |= !self.ids_left();
            self.update(index);
        }
        if !self.store.slot(index).interim.is_empty() {
            for head in std::mem::take(&mut self.store.slot(index).interim) {
                self.scratch_head = head;
                self.send_block(index, What::Interim, false, out);
            }
        }
        let slot = self.store.slot(index);
        if slot.head_pending {
            slot.head_pending = false;
            let end = slot.sending == Sending::Ending && slot.queue.is_empty();
            self.send_block(index, What::Head, end, out);
        }
    }

    /// Cuts a DATA frame, if there is something and the windows allow it. Returns whether it ended the stream.
    fn send_data(&mut self, index: u32, out: &mut Output) -> bool {
        let slot = self.store.slot(index);
        if slot.queue.is_empty() || slot.sending == Sending::Head || slot.sending.is_over() {
            return false;
        }
        let windows = slot.window.available().min(self.send_window.available());
        let len = slot.queue.len().min(windows).min(MAX_FRAME);
        if len == 0 {
            return false;
        }
        let end = slot.sending == Sending::Ending && len == slot.queue.len();
        let flags = if end { flag::END_STREAM } else { 0 };
        out.extend_from_slice(&FrameHeader { len, kind: kind::DATA, flags, stream: slot.id }.encode());
        slot.queue.take(len, out);
        slot.window.sent(len);
        slot.progress = self.now;
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

    /// Sends the trailers or an empty END_STREAM, which may go at a window of 0 (RFC 9113 §6.9.1).
    fn send_end(&mut self, index: u32, sent_end: bool, out: &mut Output) {
        let slot = self.store.slot(index);
        if sent_end || !slot.open || slot.head_pending || !slot.queue.is_empty() {
            return;
        }
        match slot.sending {
            Sending::EndingWithTrailers => self.send_block(index, What::Trailers, true, out),
            Sending::Ending => {
                let (kind, flags) = (kind::DATA, flag::END_STREAM);
                let header = FrameHeader { len: 0, kind, flags, stream: slot.id };
                out.extend_from_slice(&header.encode());
                self.end_send(index);
            }
            _ => {}
        }
    }

    /// Encodes a header block and cuts it into HEADERS and CONTINUATIONs (RFC 9113 §4.3).
    fn send_block(&mut self, index: u32, what: What, end: bool, out: &mut Output) {
        let slot = self.store.slot(index);
        let stream = slot.id;
        let block = &mut self.scratch;
        block.clear();
        // Room for the header of the first frame, so that a block which fits is copied once.
        block.extend_from_slice(&[0; HEADER_LEN]);
        match what {
            What::Interim => self.encoder.encode_response(&self.scratch_head, block),
            What::Trailers => self.encoder.encode_trailers(&slot.out_trailers, block),
            What::Head if self.role == Role::Client => self.encoder.encode_request(&slot.out_head, block),
            What::Head => self.encoder.encode_response(&slot.out_head, block),
        }
        slot.progress = self.now;
        let first = (block.len() - HEADER_LEN).min(MAX_FRAME);
        let whole = first == block.len() - HEADER_LEN;
        let flags = if end { flag::END_STREAM } else { 0 } | if whole { flag::END_HEADERS } else { 0 };
        let header = FrameHeader { len: first, kind: kind::HEADERS, flags, stream }.encode();
        block[..HEADER_LEN].copy_from_slice(&header);
        let (head, mut rest) = block.split_at(HEADER_LEN + first);
        out.extend_from_slice(head);
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(MAX_FRAME));
            let flags = if after.is_empty() { flag::END_HEADERS } else { 0 };
            frame::put(out.tail_mut(), kind::CONTINUATION, flags, stream, part);
            rest = after;
        }
        if block.capacity() > KEEP {
            *block = Vec::new();
        }
        if end {
            self.end_send(index);
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
