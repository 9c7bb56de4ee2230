//! What an application does with streams.

use bytes::{Bytes, BytesMut};

use crate::codec::envelope::PREFIX;
use crate::http2::connection::{Connection, Life};
use crate::http2::frame::{HEADER_LEN, MAX_FRAME};
use crate::http2::goaway::Drain;
use crate::http2::heads::LAST_IDS;
use crate::http2::reply::Templates;
use crate::http2::settings::{DEFAULT_WINDOW, Role};
use crate::http2::stream::{Place, Receiving, Sending, Slot, notice};
use crate::{
    ConnectionError, Fields, Head, Http2Code, HttpConnection, Instant, Misuse, Output, ReceiveEnd, Reply,
    SendError, StartError, StreamKey,
};

/// Streams that a client opens before it knows the server's limit.
const BEFORE_SETTINGS: u32 = 100;

impl Connection {
    /// Whether the peer's limit leaves room for one more stream.
    pub(super) fn has_room(&self) -> bool {
        let limit = if self.timers.settings_received {
            self.peer.max_concurrent_streams.unwrap_or(u32::MAX)
        } else {
            BEFORE_SETTINGS
        };
        self.takes_streams() && self.active < limit
    }

    fn takes_streams(&self) -> bool {
        self.role == Role::Client
            && self.life == Life::Open
            && !self.output_lost
            && self.goaway.drain == Drain::No
            && self.goaway.received.is_none()
            && self.ids_left()
    }

    /// Ids are given when requests are sent: those that wait need one each.
    pub(super) fn ids_left(&self) -> bool {
        self.store.next_id() < LAST_IDS
    }

    fn sender(&mut self, key: StreamKey) -> Option<(u32, &mut Slot)> {
        let index = self.store.index(key)?;
        let slot = self.store.slot(index);
        matches!(slot.sending, Sending::Head | Sending::Open).then_some((index, slot))
    }

    fn queue(&mut self, key: StreamKey, put: impl FnOnce(&mut Slot)) {
        if let Some((index, slot)) = self.sender(key) {
            put(slot);
            // A stream that waits for the transmitter already has its place.
            if slot.place == Place::Nowhere {
                self.schedule(index);
            }
        }
    }

    fn end_sending(&mut self, key: StreamKey, trailers: Option<&Fields>) {
        let Some(index) = self.store.index(key) else { return };
        let slot = self.store.slot(index);
        if slot.sending != Sending::Open {
            return;
        }
        slot.sending = Sending::Ending;
        if let Some(trailers) = trailers {
            match self.role {
                Role::Server => self.encoder.encode_trailers_early(trailers, slot.answer()),
                Role::Client => slot.outgoing().trailers.assign(trailers),
            }
            slot.sending = Sending::EndingWithTrailers;
        }
        slot.progress = self.now;
        self.timers.watch_stall();
        if slot.place == Place::Nowhere {
            self.schedule(index);
        }
    }

    /// Gives credit back on a stream whose peer may send more.
    #[inline(never)]
    fn release_more(&mut self, index: u32, bytes: usize) -> Result<(), Misuse> {
        let slot = self.store.slot(index);
        if !slot.credit.released(bytes, index, &mut self.assembly) {
            return Err(Misuse::OverRelease);
        }
        self.serve_assembly();
        self.update(index);
        Ok(())
    }

    /// The application lets go of a stream that is open on the wire.
    #[inline(never)]
    fn let_go(&mut self, index: u32) {
        let slot = self.store.slot(index);
        let unfinished = matches!(slot.sending, Sending::Head | Sending::Open);
        let unanswered = self.role == Role::Client && slot.receiving != Receiving::Ended;
        if unfinished || unanswered {
            self.reset_stream(index, Http2Code::CANCEL.0, ReceiveEnd::Local);
        } else {
            self.discard(index, ReceiveEnd::Local);
        }
    }

    /// The most bytes that one stream can be made to hold.
    fn worst_case_stream(&self) -> usize {
        let limits = &self.limits;
        let body = limits.window.max(DEFAULT_WINDOW) as usize;
        // A vector that grows holds up to twice its content; a head has an index beside its bytes.
        let head = 3 * limits.header_list;
        size_of::<Slot>() + 2 * body + 2 * (limits.send_queue + limits.max_message + 5) + 3 * head
    }
}

impl HttpConnection for Connection {
    fn open(&mut self, now: Instant, head: &Head, end: bool) -> Result<StreamKey, StartError> {
        self.tick(now);
        if self.role != Role::Client {
            return Err(Misuse::WrongState.into());
        }
        check_target(head)?;
        if !self.takes_streams() {
            return Err(StartError::Closed);
        }
        if !self.has_room() {
            self.wants_open = true;
            return Err(StartError::Full);
        }
        let credit = self.new_credit();
        let window = self.peer.initial_window_size;
        let index = self.store.allocate();
        let slot = self.store.slot(index);
        let sending = if end { Sending::Ending } else { Sending::Open };
        slot.start(0, Receiving::Head, sending, credit, window);
        slot.head_request = head.control_bytes()[0] == b"HEAD";
        slot.outgoing().head.assign(head);
        slot.head_pending = true;
        let key = StreamKey { index, generation: slot.generation };
        self.active += 1;
        self.abuse.counted.opened += 1;
        self.timers.idle(self.now, false);
        self.schedule(index);
        Ok(key)
    }

    fn head(&self, key: StreamKey) -> Option<&Head> {
        self.store.get(key).filter(|slot| slot.has_head).map(|slot| &slot.head)
    }

    fn max_header_list(&self) -> usize {
        self.peer.max_header_list_size.map_or(usize::MAX, |size| size as usize)
    }

    fn trailers(&self, key: StreamKey) -> Option<&Fields> {
        self.store.get(key).filter(|slot| slot.has_trailers).map(|slot| &slot.trailers)
    }

    fn body(&mut self, key: StreamKey) -> Option<&mut BytesMut> {
        Some(&mut self.store.get_mut(key)?.body)
    }

    #[inline]
    fn poll_arrival(&mut self) -> Option<(StreamKey, Option<ReceiveEnd>)> {
        if self.available || self.draining {
            return None;
        }
        let index = *self.ready.front()?;
        let slot = self.store.slot(index);
        if slot.notices != notice::OPENED | notice::READABLE {
            return None;
        }
        slot.notices = 0;
        slot.noticed = false;
        self.ready.pop_front();
        Some((StreamKey { index, generation: slot.generation }, slot.end))
    }

    #[inline]
    fn received(&mut self, key: StreamKey) -> Option<(&mut BytesMut, Option<ReceiveEnd>)> {
        let slot = self.store.get_mut(key)?;
        Some((&mut slot.body, slot.end))
    }

    fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd> {
        self.store.get(key)?.end
    }

    #[inline]
    fn release(&mut self, now: Instant, key: StreamKey, bytes: usize) -> Result<(), Misuse> {
        self.tick(now);
        let index = key.index;
        let slot = self.store.get_mut(key).ok_or(Misuse::UnknownCall)?;
        if slot.credit.is_over() {
            return if slot.credit.released_late(bytes) { Ok(()) } else { Err(Misuse::OverRelease) };
        }
        self.release_more(index, bytes)
    }

    fn demand(&mut self, now: Instant, key: StreamKey, need: usize) -> Result<(), Misuse> {
        self.tick(now);
        let index = self.store.index(key).ok_or(Misuse::UnknownCall)?;
        let slot = self.store.slot(index);
        if slot.receiving == Receiving::Discarding {
            return Ok(());
        }
        slot.credit.demand(self.now, need, index, &mut self.assembly);
        if let Some(deadline) = slot.credit.deadline() {
            self.timers.watch(deadline);
        }
        self.serve_assembly();
        self.update(index);
        Ok(())
    }

    fn stop_reading(&mut self, now: Instant, key: StreamKey) {
        self.tick(now);
        if let Some(index) = self.store.index(key) {
            self.discard(index, ReceiveEnd::Local);
        }
    }

    fn respond(&mut self, now: Instant, key: StreamKey, head: &Head, end: bool) -> Result<(), SendError> {
        self.tick(now);
        let index = self.store.index(key).ok_or(Misuse::UnknownCall)?;
        let slot = self.store.slot(index);
        if slot.sending.is_over() {
            return Err(if slot.sending == Sending::Done {
                Misuse::HeadersSent.into()
            } else {
                SendError::Ended
            });
        }
        if slot.sending != Sending::Head {
            return Err(Misuse::HeadersSent.into());
        }
        if !(100..=999).contains(&head.status()) || head.status() == 101 || (head.is_informational() && end) {
            return Err(Misuse::WrongState.into());
        }
        if head.is_informational() {
            slot.outgoing().interim.push(head.clone());
            slot.has_interim = true;
        } else {
            self.encoder.encode_response_early(head, slot.answer());
            slot.answer_head = slot.answer.len() as u32;
            slot.head_pending = true;
            slot.sending = if end { Sending::Ending } else { Sending::Open };
            slot.progress = self.now;
            if end {
                self.timers.watch_stall();
            }
        }
        if slot.place == Place::Nowhere {
            self.schedule(index);
        }
        Ok(())
    }

    #[inline]
    fn reply(&mut self, now: Instant, key: StreamKey, reply: &Reply<'_>) -> Result<(), SendError> {
        self.answer(now, key, reply)
    }

    fn poll_room(&mut self, key: StreamKey) -> Result<(), SendError> {
        let index = self.store.index(key).ok_or(Misuse::UnknownCall)?;
        let limit = self.limits.send_queue;
        let slot = self.store.slot(index);
        match slot.sending {
            Sending::Head | Sending::Open if slot.queue.len() < limit => Ok(()),
            Sending::Head | Sending::Open => {
                slot.wants_room = true;
                Err(SendError::Blocked)
            }
            Sending::Gone => Err(SendError::Ended),
            Sending::Ending | Sending::EndingWithTrailers | Sending::Done => {
                Err(Misuse::AlreadyClosed.into())
            }
        }
    }

    fn push(&mut self, key: StreamKey, bytes: &[u8]) {
        self.queue(key, |slot| slot.queue.push(bytes));
    }

    fn push_bytes(&mut self, key: StreamKey, bytes: &Bytes) {
        self.queue(key, |slot| slot.queue.push_bytes(bytes));
    }

    #[inline]
    fn push_message(&mut self, key: StreamKey, prefix: &[u8; PREFIX], payload: &[u8]) {
        self.queue(key, |slot| slot.queue.push_message(prefix, payload));
    }

    #[inline]
    fn try_message(
        &mut self,
        key: StreamKey,
        prefix: &[u8; PREFIX],
        payload: &[u8],
    ) -> Result<(), SendError> {
        let limit = self.limits.send_queue;
        let Some((index, slot)) = self.sender(key).filter(|(_, slot)| slot.queue.len() < limit) else {
            // Who was refused is owed a notice, or has to learn why.
            return self.poll_room(key).and(Err(SendError::Blocked));
        };
        slot.queue.push_message(prefix, payload);
        if slot.place == Place::Nowhere {
            self.schedule(index);
        }
        Ok(())
    }

    fn finish(&mut self, key: StreamKey) {
        self.end_sending(key, None);
    }

    fn finish_with_trailers(&mut self, key: StreamKey, trailers: &Fields) {
        self.end_sending(key, Some(trailers));
    }

    fn reset(&mut self, now: Instant, key: StreamKey, code: u32) {
        self.tick(now);
        if let Some(index) = self.store.index(key) {
            self.reset_stream(index, code, ReceiveEnd::Local);
        }
    }

    #[inline]
    fn drop_stream(&mut self, now: Instant, key: StreamKey) {
        self.tick(now);
        let index = key.index;
        let Some(slot) = self.store.get_mut(key) else { return };
        slot.held = false;
        slot.notices = 0;
        if !slot.open {
            return self.free(index);
        }
        if slot.sending.is_ending() && slot.credit.is_over() && slot.body.is_empty() {
            // A request that was read and answered: nothing is to be discarded.
            return;
        }
        self.let_go(index);
    }

    fn knows(&self, key: StreamKey) -> bool {
        self.store.get(key).is_some()
    }

    fn drain(&mut self, now: Instant) {
        self.tick(now);
        self.begin_drain();
    }

    fn abort(&mut self, now: Instant, code: u32) {
        self.tick(now);
        self.end_with(ConnectionError::Aborted, Http2Code(code), "", ReceiveEnd::Local);
    }

    fn can_open(&self) -> bool {
        self.has_room()
    }

    fn worst_case_bytes(&self) -> usize {
        let limits = &self.limits;
        let streams = match self.role {
            Role::Server => (limits.streams as usize).saturating_add(limits.zombies as usize),
            Role::Client => self.store.slots().len().max(1),
        };
        let header_tables = 3 * (limits.hpack_table + 4096) + 32 * 1024;
        let control = 256 * 1024;
        size_of::<Self>()
            + streams.saturating_mul(self.worst_case_stream())
            + 2 * limits.assembly
            + header_tables
            + Templates::WORST_CASE
            + control
            + 2 * limits.header_wire
            + (HEADER_LEN + MAX_FRAME)
            + Output::ENOUGH
            + MAX_FRAME
    }
}

/// What may stand in a request's pseudo-fields: visible ASCII, and a path or an asterisk.
fn check_target(head: &Head) -> Result<(), Misuse> {
    let [method, scheme, _, path] = head.control_bytes();
    let connect = method == b"CONNECT";
    let path = path.first() == Some(&b'/') || path == b"*" && method == b"OPTIONS" || connect;
    let scheme = connect || !scheme.is_empty();
    if head.is_request() && path && scheme && head.has_visible_target() {
        Ok(())
    } else {
        Err(Misuse::InvalidTarget)
    }
}
