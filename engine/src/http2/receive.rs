//! Frames in: cut, checked and acted upon, each whole.

use crate::http2::Fault;
use crate::http2::connection::{Connection, Life};
use crate::http2::frame::{FrameHeader, HEADER_LEN, MAX_FRAME, MAX_ID, PREFACE, flag, kind, number, unpad};
use crate::http2::heads::CONTENT_LENGTH;
use crate::http2::lifecycle::By;
use crate::http2::settings::{self, Change, DEFAULT_WINDOW, Role};
use crate::http2::store::{Closed, Known};
use crate::http2::stream::{Receiving, Sending, notice};
use crate::{Http2Code, ReceiveEnd};

/// What somebody is told who has connected to something else.
const FOREIGN: &str = "the first frame is not SETTINGS: the peer does not speak HTTP/2 in the clear, but HTTP/1.1, TLS or something else";

impl Connection {
    /// Acts upon all whole frames of `input`, and returns how many bytes they were.
    pub(super) fn consume(&mut self, input: &[u8]) -> usize {
        let mut used = 0;
        let result = self.consume_frames(input, &mut used);
        if let Err(fault) = result {
            self.fail(fault);
        }
        if self.life == Life::Open {
            self.watch_block(input.get(used..).unwrap_or_default());
        }
        used
    }

    fn consume_frames(&mut self, input: &[u8], used: &mut usize) -> Result<(), Fault> {
        if self.preface_left > 0 {
            *used = self.consume_preface(input)?;
        }
        if self.preface_left > 0 {
            return Ok(());
        }
        while self.life == Life::Open && self.may_answer() {
            let rest = input.get(*used..).unwrap_or_default();
            let Some(header) = FrameHeader::decode(rest) else {
                self.check_start(rest)?;
                break;
            };
            self.check_header(header)?;
            let Some(payload) = rest.get(HEADER_LEN..HEADER_LEN + header.len) else { break };
            *used += HEADER_LEN + header.len;
            self.frame(header, payload)?;
        }
        Ok(())
    }

    /// The client's preface (RFC 9113 §3.4), checked byte by byte.
    fn consume_preface(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let wanted = PREFACE.get(PREFACE.len() - self.preface_left..).unwrap_or_default();
        let common = wanted.iter().zip(input).take_while(|(wanted, got)| wanted == got).count();
        if common < wanted.len().min(input.len()) {
            return Err(Fault::protocol("the preface is not HTTP/2's"));
        }
        self.preface_left -= common;
        Ok(common)
    }

    /// What can be said of a connection whose first frame is shorter than a frame's header: a server that wants TLS says
    /// no more than an alert of 7 bytes, and closes.
    #[cold]
    fn check_start(&self, bytes: &[u8]) -> Result<(), Fault> {
        let foreign = bytes.get(3).is_some_and(|&kind| kind != kind::SETTINGS);
        if foreign && !self.timers.settings_received { Err(Fault::protocol(FOREIGN)) } else { Ok(()) }
    }

    /// What can be said of a frame before its payload is there. Asked again for a frame that comes in pieces.
    #[inline]
    fn check_header(&self, header: FrameHeader) -> Result<(), Fault> {
        // First of all: the bytes of another protocol look like a frame that is too large.
        let starts = header.kind == kind::SETTINGS && !header.has(flag::ACK);
        if !self.timers.settings_received && !starts {
            return Err(Fault::protocol(FOREIGN));
        }
        if header.len > MAX_FRAME {
            return Err(Fault::size("the frame is larger than we allow"));
        }
        if self.block.is_open()
            && !(header.kind == kind::CONTINUATION && header.stream == self.block.stream())
        {
            return Err(Fault::protocol("a header block is interrupted"));
        }
        Ok(())
    }

    fn frame(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        match header.kind {
            kind::DATA => self.data(header, payload),
            kind::HEADERS => self.headers(header, payload),
            kind::PRIORITY => self.priority(header, payload),
            kind::RST_STREAM => self.rst_stream(header, payload),
            kind::SETTINGS => self.settings(header, payload),
            // Our SETTINGS forbid it, and a client may not send it at all (RFC 9113 §6.6).
            kind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE although push is off")),
            kind::PING => self.ping_frame(header, payload),
            kind::GOAWAY => self.goaway_frame(header, payload),
            kind::WINDOW_UPDATE => self.window_update(header, payload),
            kind::CONTINUATION => self.continuation(header, payload),
            // Unknown types are ignored (RFC 9113 §4.1).
            _ => self.abuse.glitch(self.now, 1),
        }
    }

    /// RFC 9113 §6.1. Every byte returns to the connection's window, whatever becomes of it.
    fn data(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream == 0 {
            return Err(Fault::protocol("DATA on stream 0"));
        }
        let known = self.store.find(header.stream);
        if known == Known::Idle {
            return Err(Fault::protocol("DATA on an idle stream"));
        }
        let Some(data) = unpad(header, payload) else {
            return Err(Fault::protocol("padding of DATA does not fit"));
        };
        if self.receive_window.received(payload.len()).is_err() {
            return Err(Fault::flow("DATA beyond the connection's window"));
        }
        self.abuse.data(payload.len());
        let end_stream = header.has(flag::END_STREAM);
        if data.is_empty() && !end_stream {
            self.abuse.glitch(self.now, 1)?;
        }
        match known {
            Known::Open(index) => self.stream_data(index, data, payload.len() - data.len(), end_stream),
            Known::Closed(Closed::ByPeer) => self.reset_closed(header.stream),
            Known::Closed(Closed::ByUs) | Known::Idle => Ok(()),
            Known::Closed(_) => Err(Fault::closed("DATA on a closed stream")),
        }
    }

    fn stream_data(&mut self, index: u32, data: &[u8], padding: usize, end: bool) -> Result<(), Fault> {
        let slot = self.store.slot(index);
        let wanted = match slot.receiving {
            Receiving::Body => data.len(),
            Receiving::Discarding => 0,
            Receiving::Head => return self.stream_error(index, Fault::protocol("DATA before the head")),
            Receiving::Ended => {
                return self.stream_error(index, Fault::closed("DATA after the end of the stream"));
            }
        };
        let unwanted = data.len() - wanted + padding;
        if slot.credit.padding(unwanted).is_err() || slot.credit.received(wanted).is_err() {
            return self.stream_error(index, Fault::flow("DATA beyond the stream's window"));
        }
        if wanted > 0 {
            if let Some(left) = &mut slot.expected {
                let Some(rest) = left.checked_sub(wanted as u64) else {
                    return self.stream_error(index, Fault::protocol(CONTENT_LENGTH));
                };
                *left = rest;
            }
            slot.body.extend_from_slice(data);
        }
        if end {
            return self.end_stream(index);
        }
        if wanted > 0 {
            self.note(index, notice::READABLE);
        }
        self.update(index);
        Ok(())
    }

    /// Ignored (RFC 9113 §5.3.2), besides its form (§6.3).
    fn priority(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream == 0 {
            return Err(Fault::protocol("PRIORITY on stream 0"));
        }
        if payload.len() != 5 {
            return match self.store.find(header.stream) {
                Known::Open(index) => self.stream_error(index, Fault::size("PRIORITY of a wrong length")),
                _ => Err(Fault::size("PRIORITY of a wrong length")),
            };
        }
        self.abuse.glitch(self.now, 1)
    }

    /// RFC 9113 §6.4
    fn rst_stream(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let Some(code) = number(payload) else {
            return Err(Fault::size("RST_STREAM of a wrong length"));
        };
        match self.store.find(header.stream) {
            Known::Idle => Err(Fault::protocol("RST_STREAM on an idle stream")),
            Known::Open(index) => self.peer_reset(index, code),
            Known::Closed(Closed::ByUs) => {
                // It raced ours. After it nothing may come that would have to be forgiven.
                self.store.close(header.stream, Closed::Clean);
                Ok(())
            }
            Known::Closed(_) => self.abuse.glitch(self.now, 1),
        }
    }

    fn peer_reset(&mut self, index: u32, code: u32) -> Result<(), Fault> {
        let answered = self.store.slot(index).sending == Sending::Done;
        let end = match (self.role, Http2Code(code)) {
            // RFC 9113 §8.7: the server did nothing with it.
            (Role::Client, Http2Code::REFUSED_STREAM) => ReceiveEnd::Unprocessed,
            _ => ReceiveEnd::Reset(code),
        };
        self.kill(index, end, By::Peer, code);
        if self.role == Role::Server && !answered {
            self.abuse.reset(self.now)?;
        }
        Ok(())
    }

    /// RFC 9113 §6.5
    fn settings(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream != 0 {
            return Err(Fault::protocol("SETTINGS on a stream"));
        }
        if header.has(flag::ACK) {
            return if payload.is_empty() { self.settings_acked() } else { Err(Fault::size("SETTINGS ACK")) };
        }
        if payload.len() % 6 != 0 {
            return Err(Fault::size("SETTINGS of a wrong length"));
        }
        let count = payload.len() / 6;
        if count > self.limits.settings_entries {
            return Err(Fault::calm("too_many_settings"));
        }
        if self.timers.settings_received {
            self.abuse.glitch(self.now, 1 + count as u32)?;
        }
        for (id, value) in settings::entries(payload) {
            match self.peer.apply(self.role, id, value)? {
                Change::Window(delta) => self.shift_windows(delta)?,
                Change::Table(bytes) => self.encoder.set_peer_max_table(bytes as usize),
                Change::Nothing | Change::Concurrency => {}
            }
        }
        self.control.settings_acks += 1;
        if !std::mem::replace(&mut self.timers.settings_received, true) {
            self.available |= self.role == Role::Client && self.has_room();
        }
        self.offer();
        Ok(())
    }

    /// A changed initial window moves the windows of all streams, not the connection's (RFC 9113 §6.9.2).
    fn shift_windows(&mut self, delta: i64) -> Result<(), Fault> {
        for index in 0..self.store.len() {
            let slot = self.store.slot(index);
            if slot.open {
                if slot.window.shift(delta).is_err() {
                    return Err(Fault::flow("INITIAL_WINDOW_SIZE overflows a window"));
                }
                self.schedule(index);
            }
        }
        Ok(())
    }

    /// The peer has taken our SETTINGS over.
    fn settings_acked(&mut self) -> Result<(), Fault> {
        if self.timers.settings_acked || self.timers.settings_sent.is_none() {
            return self.abuse.glitch(self.now, 1);
        }
        self.timers.settings_acked = true;
        self.timers.settings_sent = None;
        self.decoder.set_max_table(self.limits.hpack_table);
        let excess = DEFAULT_WINDOW.saturating_sub(self.limits.window);
        if excess > 0 {
            for index in 0..self.store.len() {
                self.store.slot(index).credit.shift(-i64::from(excess));
                self.update(index);
            }
        }
        Ok(())
    }

    /// RFC 9113 §6.7
    fn ping_frame(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream != 0 {
            return Err(Fault::protocol("PING on a stream"));
        }
        let payload = <[u8; 8]>::try_from(payload).map_err(|_| Fault::size("PING of a wrong length"))?;
        if header.has(flag::ACK) {
            return self.pong(payload);
        }
        self.abuse.glitch(self.now, 1)?;
        self.control.pongs.push(payload);
        Ok(())
    }

    /// RFC 9113 §6.8
    fn goaway_frame(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream != 0 {
            return Err(Fault::protocol("GOAWAY on a stream"));
        }
        let last = payload.get(..4).and_then(number);
        let code = payload.get(4..8).and_then(number);
        let (Some(last), Some(code)) = (last, code) else {
            return Err(Fault::size("GOAWAY of a wrong length"));
        };
        self.peer_goes(last & MAX_ID, Http2Code(code))
    }

    /// RFC 9113 §6.9
    fn window_update(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let Some(increment) = number(payload) else {
            return Err(Fault::size("WINDOW_UPDATE of a wrong length"));
        };
        let increment = i64::from(increment & MAX_ID);
        self.abuse.window_update(self.now)?;
        if header.stream == 0 {
            return self.connection_update(increment);
        }
        match self.store.find(header.stream) {
            Known::Idle => Err(Fault::protocol("WINDOW_UPDATE on an idle stream")),
            Known::Open(index) => {
                if increment == 0 {
                    return self.stream_error(index, Fault::protocol("WINDOW_UPDATE of nothing"));
                }
                if self.store.slot(index).window.shift(increment).is_err() {
                    return self.stream_error(index, Fault::flow("the stream's window overflows"));
                }
                self.schedule(index);
                Ok(())
            }
            Known::Closed(_) => Ok(()),
        }
    }

    fn connection_update(&mut self, increment: i64) -> Result<(), Fault> {
        if increment == 0 {
            return Err(Fault::protocol("WINDOW_UPDATE of nothing"));
        }
        if self.send_window.shift(increment).is_err() {
            return Err(Fault::flow("the connection's window overflows"));
        }
        if self.send_window.available() > 0 {
            self.wake_starved();
        }
        Ok(())
    }
}
