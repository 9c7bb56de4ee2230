//! A server's whole answer, when it is small: its frames are made at once, out of those of an answer like it.
//!
//! A server's answers are mostly alike but for the stream and the message, and its encoder keeps no table: what a head
//! was encoded to once it can be encoded to again, whatever came between. Should the windows not let an answer pass when
//! its turn comes, it is taken apart, and goes the way of all others.

use crate::http2::connection::Connection;
use crate::http2::frame::{FrameHeader, HEADER_LEN, flag, kind};
use crate::http2::hpack::Encoder;
use crate::http2::settings::Role;
use crate::http2::stream::{Place, Sending, Slot};
use crate::{Fields, HttpConnection, Instant, Misuse, Output, Reply, SendError, StreamKey};

/// The longest body of an answer that is made in one piece, in bytes.
const LONGEST: usize = 4096;
/// The longest frames that are remembered of an answer, in bytes.
const LONGEST_FRAMES: usize = 1024;

/// The frames of the last answers, without their bodies.
#[derive(Default)]
pub(super) struct Templates {
    /// Only while there are answers.
    list: Option<Box<[Template; 2]>>,
    /// The one that was not used last.
    oldest: usize,
}

/// The frames of an answer, without its body and its stream: HEADERS, the header of DATA, and HEADERS again if there are
/// trailers.
#[derive(Default)]
struct Template {
    /// Of the head; 0: no answer is remembered here.
    status: u16,
    fields: Fields,
    trailers: Fields,
    has_trailers: bool,
    frames: Vec<u8>,
    /// Where the body comes.
    middle: usize,
}

impl Templates {
    /// The most heap bytes held.
    pub(super) const WORST_CASE: usize = 8 * LONGEST_FRAMES;

    #[inline]
    fn get(&mut self, reply: &Reply<'_>, encoder: &mut Encoder) -> Option<&Template> {
        let list = &mut **self.list.get_or_insert_default();
        let [first, second] = list;
        let (template, other) = if first.is_of(reply) {
            (first, 1)
        } else if second.is_of(reply) {
            (second, 0)
        } else if !Template::can_be_of(reply) {
            return None;
        } else if self.oldest == 0 {
            (first.made(reply, encoder), 1)
        } else {
            (second.made(reply, encoder), 0)
        };
        self.oldest = other;
        Some(template)
    }
}

impl Template {
    #[inline]
    fn is_of(&self, reply: &Reply<'_>) -> bool {
        self.status == reply.head.status()
            && self.has_trailers == reply.trailers.is_some()
            && self.fields == reply.head.fields
            && reply.trailers.is_none_or(|trailers| self.trailers == *trailers)
    }

    /// Whether an answer is small enough to be remembered.
    #[cold]
    fn can_be_of(reply: &Reply<'_>) -> bool {
        let size = reply.head.fields.list_size() + reply.trailers.map_or(0, Fields::list_size);
        size <= LONGEST_FRAMES
    }

    /// Forgets its answer and takes another.
    #[inline(never)]
    fn made(&mut self, reply: &Reply<'_>, encoder: &mut Encoder) -> &mut Self {
        self.status = reply.head.status();
        self.fields.assign(&reply.head.fields);
        self.has_trailers = reply.trailers.is_some();
        let frames = &mut self.frames;
        frames.clear();
        frames.extend_from_slice(&[0; HEADER_LEN]);
        encoder.encode_response_early(reply.head, frames);
        close_block(frames, 0, flag::END_HEADERS);
        let flags = if self.has_trailers { 0 } else { flag::END_STREAM };
        frames.extend_from_slice(&FrameHeader { len: 0, kind: kind::DATA, flags, stream: 0 }.encode());
        self.middle = frames.len();
        if let Some(trailers) = reply.trailers {
            self.trailers.assign(trailers);
            frames.extend_from_slice(&[0; HEADER_LEN]);
            encoder.encode_trailers_early(trailers, frames);
            close_block(frames, self.middle, flag::END_HEADERS | flag::END_STREAM);
        }
        self
    }

    /// Appends the frames of an answer to nothing.
    #[inline]
    fn put(&self, stream: u32, reply: &Reply<'_>, len: usize, out: &mut Vec<u8>) {
        let (before, behind) = self.frames.split_at_checked(self.middle).unwrap_or_default();
        out.reserve(self.frames.len() + len);
        out.extend_from_slice(before);
        for part in reply.body.into_iter().filter(|part| !part.is_empty()) {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(behind);
        let [_, length @ ..] = (len as u32).to_be_bytes();
        let data = self.middle.saturating_sub(HEADER_LEN);
        set(out, data, length);
        let trailers = if behind.is_empty() { data } else { self.middle + len };
        for frame in [0, data, trailers] {
            set(out, frame + 5, stream.to_be_bytes());
        }
    }
}

/// Writes the header of a block that was encoded behind room for it at `start`.
fn close_block(frames: &mut [u8], start: usize, flags: u8) {
    let len = frames.len().saturating_sub(start + HEADER_LEN);
    set(frames, start, FrameHeader { len, kind: kind::HEADERS, flags, stream: 0 }.encode());
}

#[inline]
fn set<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = value;
    }
}

impl Connection {
    /// See [`HttpConnection::reply`].
    #[inline]
    pub(super) fn answer(
        &mut self,
        now: Instant,
        key: StreamKey,
        reply: &Reply<'_>,
    ) -> Result<(), SendError> {
        self.tick(now);
        let len = reply.len();
        let slot = self.store.get_mut(key).ok_or(Misuse::UnknownCall)?;
        let whole = self.role == Role::Server
            && slot.sending == Sending::Head
            && (1..=LONGEST).contains(&len)
            && (200..=999).contains(&reply.head.status())
            && !slot.has_interim
            && slot.queue.is_empty();
        let template = if whole { self.templates.get(reply, &mut self.encoder) } else { None };
        let Some(template) = template else { return self.reply_in_parts(now, key, reply) };
        template.put(slot.id, reply, len, &mut slot.answer);
        slot.answer_head = (template.middle - HEADER_LEN) as u32;
        slot.whole = len as u32;
        slot.head_pending = true;
        slot.sending = if template.has_trailers { Sending::EndingWithTrailers } else { Sending::Ending };
        slot.progress = self.now;
        self.timers.watch_stall();
        if slot.place == Place::Nowhere {
            slot.place = Place::Ring;
            self.ring.push_back(key.index);
        }
        Ok(())
    }

    /// Sends an answer that was made in one piece, if the windows let it pass.
    #[inline]
    pub(super) fn send_whole(&mut self, index: u32, out: &mut Output) -> bool {
        let slot = self.store.slot(index);
        let len = slot.whole as usize;
        let windows = slot.window.available().min(self.send_window.available());
        if len > windows || self.encoder.owes_size_updates() {
            slot.take_apart();
            return false;
        }
        out.extend_from_slice(&slot.answer);
        slot.clear_answer();
        slot.progress = self.now;
        slot.window.sent(len);
        self.send_window.sent(len);
        self.abuse.data_sent(len);
        self.end_send(index);
        true
    }
}

impl Slot {
    /// Makes an answer in one piece one like any other: blocks, and a queue.
    #[cold]
    fn take_apart(&mut self) {
        let head = self.answer_head as usize;
        let data = head + HEADER_LEN;
        let end = data + std::mem::take(&mut self.whole) as usize;
        if let Some(body) = self.answer.get(data..end) {
            self.queue.push(body);
            self.answer.drain(head..end);
        }
    }

    #[inline]
    fn clear_answer(&mut self) {
        self.head_pending = false;
        self.answer.clear();
        self.answer_head = 0;
        self.whole = 0;
    }
}
