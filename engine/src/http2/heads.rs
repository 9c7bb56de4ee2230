//! Header blocks: HEADERS with its CONTINUATIONs, and what a head means where it arrives (RFC 9113 §8).

use crate::credit::Credit;
use crate::http2::connection::Connection;
use crate::http2::frame::{FrameHeader, MAX_ID, flag, unpad};
use crate::http2::goaway::Drain;
use crate::http2::hpack::{DecodeError, Decoder, Verdict};
use crate::http2::settings::{DEFAULT_WINDOW, Role};
use crate::http2::store::{Closed, Known};
use crate::http2::stream::{Receiving, Sending, notice};
use crate::http2::{Fault, frame};
use crate::{Fields, Http2Code, ReceiveEnd};

/// Spare memory of a block that is kept.
const KEEP: usize = 4096;
/// A server ends the connection in good time before its peer's ids are used up, and a client opens none from here on.
pub(super) const LAST_IDS: u32 = MAX_ID - (1 << 20);

/// A header block of which not all frames have come.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The stream it is for; 0 when no block is open.
    stream: u32,
    end_stream: bool,
    frames: u32,
    bytes: Vec<u8>,
}

impl Block {
    pub(super) fn is_open(&self) -> bool {
        self.stream != 0
    }

    /// The stream whose block is open, or 0.
    pub(super) fn stream(&self) -> u32 {
        self.stream
    }

    pub(super) fn shrink(&mut self) {
        if !self.is_open() {
            self.bytes = Vec::new();
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Compression(reason) => Self { code: Http2Code::COMPRESSION_ERROR, reason },
            DecodeError::TooLarge => Self::calm("header list far too large"),
        }
    }
}

impl Connection {
    /// A HEADERS frame (RFC 9113 §6.2).
    pub(super) fn headers(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let Some(mut fragment) = unpad(header, payload) else {
            return Err(Fault::protocol("padding of HEADERS does not fit"));
        };
        if header.has(flag::PRIORITY) {
            // Ignored (RFC 9113 §5.3.2), a dependency of a stream on itself as well.
            fragment = fragment.get(5..).ok_or(Fault::size("HEADERS is too short for its priority"))?;
        }
        let known = self.check_id(header.stream)?;
        let end_stream = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.block_done(known, header.stream, end_stream, fragment);
        }
        self.block.stream = header.stream;
        self.block.end_stream = end_stream;
        self.block.frames = 0;
        self.block.bytes.clear();
        self.append_fragment(fragment)
    }

    /// A CONTINUATION frame (RFC 9113 §6.10), of the stream whose block is open.
    pub(super) fn continuation(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if !self.block.is_open() {
            return Err(Fault::protocol("CONTINUATION without a header block"));
        }
        self.block.frames += 1;
        if self.block.frames > self.limits.continuations {
            return Err(Fault::calm("too_many_continuations"));
        }
        if payload.is_empty() {
            self.abuse.glitch(self.now, 1)?;
        }
        self.append_fragment(payload)?;
        if !header.has(flag::END_HEADERS) {
            return Ok(());
        }
        let stream = std::mem::take(&mut self.block.stream);
        let bytes = std::mem::take(&mut self.block.bytes);
        let result = self.block_done(self.store.find(stream), stream, self.block.end_stream, &bytes);
        if bytes.capacity() <= KEEP {
            self.block.bytes = bytes;
        }
        result
    }

    fn append_fragment(&mut self, fragment: &[u8]) -> Result<(), Fault> {
        if self.block.bytes.len() + fragment.len() > self.limits.header_wire {
            return Err(Fault::calm("header_block_too_large"));
        }
        self.block.bytes.extend_from_slice(fragment);
        Ok(())
    }

    /// Whether HEADERS may come for this id at all, and what is known of it.
    #[inline]
    fn check_id(&self, id: u32) -> Result<Known, Fault> {
        if id == 0 {
            return Err(Fault::protocol("HEADERS on stream 0"));
        }
        if id % 2 == 0 {
            return Err(Fault::protocol("HEADERS on a stream of the server's"));
        }
        match self.store.find(id) {
            Known::Idle if self.role == Role::Client => {
                Err(Fault::protocol("HEADERS on a stream that was not opened"))
            }
            // RFC 9113 §5.1.1: ids rise.
            Known::Closed(Closed::Skipped) => {
                Err(Fault::protocol("the stream id is lower than an earlier one"))
            }
            Known::Closed(Closed::Clean) => Err(Fault::closed("HEADERS on a closed stream")),
            known => Ok(known),
        }
    }

    /// A whole header block: it passes the decoder whatever becomes of it, since the tables belong to the connection.
    fn block_done(&mut self, known: Known, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Fault> {
        match known {
            Known::Idle => self.open_remote(id, end_stream, block),
            Known::Open(index) => self.more_headers(index, end_stream, block),
            Known::Closed(Closed::ByPeer) => {
                self.skip_block(block)?;
                self.reset_closed(id)
            }
            Known::Closed(_) => self.skip_block(block),
        }
    }

    fn skip_block(&mut self, block: &[u8]) -> Result<(), Fault> {
        self.decoder.decode(block, &mut self.scratch_head)?;
        self.scratch_head.clear();
        Ok(())
    }

    /// Answers a frame on a stream that the peer itself has reset (RFC 9113 §5.1).
    pub(super) fn reset_closed(&mut self, id: u32) -> Result<(), Fault> {
        self.control.resets.push((id, Http2Code::STREAM_CLOSED.0));
        self.store.close(id, Closed::ByUs);
        self.abuse.provoked(self.now)
    }

    /// A request opens a stream at a server.
    fn open_remote(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Fault> {
        if self.goaway.drain == Drain::Final {
            // Above the last id that we told: not seen (RFC 9113 §6.8).
            self.store.open_closed(id, Closed::ByUs);
            return self.skip_block(block);
        }
        let held = (self.limits.streams as usize).saturating_add(self.limits.zombies as usize);
        if self.active >= self.limits.streams || self.store.in_use() >= held {
            return self.refuse(id, block);
        }
        let index = self.store.allocate();
        let slot = self.store.slot(index);
        let verdict = match self.decoder.decode_again(block, &mut slot.head) {
            Ok(verdict) => verdict,
            Err(error) => {
                self.store.release(index);
                return Err(error.into());
            }
        };
        let (end, length) = match verdict {
            Verdict::Good if slot.head.is_request() => match expected(&self.decoder, &slot.head.fields) {
                Ok(length) => (None, length),
                Err(_) => return self.refuse_malformed(id, index),
            },
            Verdict::TooLarge if slot.head.is_request() => (Some(ReceiveEnd::TooLarge), None),

            // Malformed, or without the pseudo-fields of a request.
            _ => return self.refuse_malformed(id, index),
        };
        if end_stream && length.is_some_and(|length| length > 0) {
            return self.refuse_malformed(id, index);
        }
        self.start_remote(id, index, end, length);
        if end_stream {
            self.end_receive(index, ReceiveEnd::Clean);
        }
        Ok(())
    }

    #[inline(always)]
    fn start_remote(&mut self, id: u32, index: u32, end: Option<ReceiveEnd>, length: Option<u64>) {
        let credit = self.new_credit();
        let window = self.peer.initial_window_size;
        let slot = self.store.slot(index);
        let receiving = if end.is_some() { Receiving::Discarding } else { Receiving::Body };
        slot.start(id, receiving, Sending::Head, credit, window);
        slot.end = end;
        slot.expected = length;
        slot.has_head = true;
        self.store.open(id, index);
        self.active += 1;
        self.last_processed = id;
        self.abuse.counted.opened += 1;
        self.timers.idle(self.now, false);
        self.note(index, notice::OPENED);
        if id >= LAST_IDS {
            self.begin_drain();
        }
    }

    /// The credit of a new stream. Until the peer has acknowledged our SETTINGS it may use the default window.
    pub(super) fn new_credit(&self) -> Credit {
        let window = self.limits.window;
        let told = if self.timers.settings_acked { window } else { window.max(DEFAULT_WINDOW) };
        Credit::new(window, told)
    }

    /// Too many streams: safe to try again (RFC 9113 §8.7). Before the peer can know the limit, that is no fault.
    fn refuse(&mut self, id: u32, block: &[u8]) -> Result<(), Fault> {
        self.abuse.counted.refused += 1;
        self.store.open_closed(id, Closed::ByUs);
        self.control.resets.push((id, Http2Code::REFUSED_STREAM.0));
        self.skip_block(block)?;
        if self.timers.settings_acked && self.active >= self.limits.streams {
            self.abuse.provoked(self.now)?;
        }
        Ok(())
    }

    /// A malformed request: a stream error that touches nobody else (RFC 9113 §8.1.1).
    fn refuse_malformed(&mut self, id: u32, index: u32) -> Result<(), Fault> {
        self.store.release(index);
        self.store.open_closed(id, Closed::ByUs);
        self.control.resets.push((id, Http2Code::PROTOCOL_ERROR.0));
        self.abuse.provoked(self.now)
    }

    /// HEADERS on an open stream: a response, or trailers.
    fn more_headers(&mut self, index: u32, end_stream: bool, block: &[u8]) -> Result<(), Fault> {
        match self.store.slot(index).receiving {
            Receiving::Ended => {
                self.skip_block(block)?;
                self.stream_error(index, Fault::closed("HEADERS after the end of the stream"))
            }
            Receiving::Discarding => {
                self.skip_block(block)?;
                if end_stream {
                    self.end_receive(index, ReceiveEnd::Local);
                }
                Ok(())
            }
            Receiving::Head => self.response(index, end_stream, block),
            Receiving::Body => self.trailing(index, end_stream, block),
        }
    }

    /// A response head at a client, informational ones included (RFC 9113 §8.1).
    fn response(&mut self, index: u32, end_stream: bool, block: &[u8]) -> Result<(), Fault> {
        let slot = self.store.slot(index);
        match self.decoder.decode_again(block, &mut slot.head)? {
            Verdict::Good => {}
            Verdict::TooLarge => return self.too_large(index),
            Verdict::Malformed(reason) => return self.stream_error(index, Fault::protocol(reason)),
        }
        let slot = self.store.slot(index);
        let malformed = match slot.head.status() {
            0 => Some("a response without its status"),
            101 => Some("101 does not exist in HTTP/2"),
            100..200 if end_stream => Some("an informational response ends the stream"),
            _ => None,
        };
        if let Some(reason) = malformed {
            slot.head.clear();
            return self.stream_error(index, Fault::protocol(reason));
        }
        if slot.head.is_informational() {
            slot.head.clear();
            return self.abuse.glitch(self.now, 1);
        }
        let bodiless = slot.head_request || matches!(slot.head.status(), 204 | 304);
        let length = match expected(&self.decoder, &slot.head.fields) {
            Ok(length) => length,
            Err(reason) => return self.stream_error(index, Fault::protocol(reason)),
        };
        slot.has_head = true;
        // What would have been the length (RFC 9110 §8.6) is no promise here.
        slot.expected = if bodiless { Some(0) } else { length };
        slot.receiving = Receiving::Body;
        self.note(index, notice::READABLE);
        if end_stream { self.end_stream(index) } else { Ok(()) }
    }

    /// Trailers: the second HEADERS, which ends the stream and has no pseudo-fields (RFC 9113 §8.1).
    fn trailing(&mut self, index: u32, end_stream: bool, block: &[u8]) -> Result<(), Fault> {
        let trailers = &mut self.scratch_head;
        let verdict = self.decoder.decode(block, trailers)?;
        let pseudo = trailers.is_request() || trailers.status() != 0;
        match verdict {
            _ if !end_stream => self.stream_error(index, Fault::protocol("trailers do not end the stream")),
            Verdict::Malformed(reason) => self.stream_error(index, Fault::protocol(reason)),
            _ if pseudo => self.stream_error(index, Fault::protocol("a pseudo-field in trailers")),
            Verdict::TooLarge => self.too_large(index),
            Verdict::Good => {
                let slot = self.store.slot(index);
                std::mem::swap(&mut slot.trailers, &mut trailers.fields);
                slot.has_trailers = true;
                self.end_stream(index)
            }
        }
    }

    /// A head of the peer that is over the limits. A server may still answer.
    fn too_large(&mut self, index: u32) -> Result<(), Fault> {
        match self.role {
            Role::Client => self.reset_stream(index, Http2Code::CANCEL.0, ReceiveEnd::TooLarge),
            Role::Server => self.end_receive(index, ReceiveEnd::TooLarge),
        }
        Ok(())
    }

    /// END_STREAM: the body must be what content-length promised (RFC 9113 §8.1.1).
    pub(super) fn end_stream(&mut self, index: u32) -> Result<(), Fault> {
        let slot = self.store.slot(index);
        if slot.receiving == Receiving::Body && slot.expected.is_some_and(|left| left > 0) {
            return self.stream_error(index, Fault::protocol(CONTENT_LENGTH));
        }
        self.end_receive(index, ReceiveEnd::Clean);
        Ok(())
    }

    /// Notes since when a header block, or a frame of one, is on its way.
    pub(super) fn watch_block(&mut self, leftover: &[u8]) {
        let partial = matches!(leftover.get(3), Some(&(frame::kind::HEADERS | frame::kind::CONTINUATION)));
        if self.preface_left > 0 || self.is_backpressured() || !(partial || self.block.is_open()) {
            self.timers.block_since = None;
        } else if self.timers.block_since.is_none() {
            self.timers.block_since = Some(self.now);
        }
    }
}

pub(super) const CONTENT_LENGTH: &str = "the body is not of its content-length";

/// The content-length of the head that was just decoded: most have none, and the decoder knows.
#[inline]
fn expected(decoder: &Decoder, fields: &Fields) -> Result<Option<u64>, &'static str> {
    if decoder.saw_length() { content_length(fields) } else { Ok(None) }
}

/// The value of content-length: digits, once (RFC 9110 §8.6).
fn content_length(fields: &Fields) -> Result<Option<u64>, &'static str> {
    let mut values = fields.get_all("content-length");
    let Some(value) = values.next() else { return Ok(None) };
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = core::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    match number {
        Some(length) if digits && values.next().is_none() => Ok(Some(length)),
        _ => Err("content-length is not one number"),
    }
}
