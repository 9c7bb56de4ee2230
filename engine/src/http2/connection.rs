//! The connection: its state, and how it is driven.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use crate::credit::Assembly;
use crate::http2::abuse::{Abuse, Stats};
use crate::http2::control::Control;
use crate::http2::flow::{ReceiveWindow, SendWindow};
use crate::http2::goaway::Goaway;
use crate::http2::heads::Block;
use crate::http2::hpack::{Decoder, DecoderLimits, Encoder};
use crate::http2::reply::Templates;
use crate::http2::settings::{DEFAULT_TABLE, PeerSettings, Role};
use crate::http2::store::Store;
use crate::http2::stream::notice;
use crate::http2::timers::Timers;
use crate::{
    Closing, ConnectionError, Head, InputEnd, Instant, Limits, Machine, Output, StreamEvent, StreamKey,
};

/// The connection's receive window, in bytes: credit returns on receipt, so it bounds no memory.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The largest table that our encoder uses, in bytes. A server's answers repeat too little to pay for one.
const ENCODER_TABLE: usize = 4096;

/// How far the connection has got to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    /// Nothing more is done; the last bytes are sent, and the peer's are read and dropped.
    Closing,
    Closed,
}

/// One HTTP/2 connection, in either role.
///
/// It starts at once: the preface and SETTINGS go out with the first
/// [`poll_transmit`](Machine::poll_transmit), and a client's first requests with them, without a wait for the
/// server's SETTINGS (RFC 9113 §3.4).
///
/// Memory: a slot for each stream, kept until the application drops the stream; a body buffer that grows with what
/// is received; nothing for an idle connection but this struct and the header tables.
pub struct Connection {
    pub(super) role: Role,
    pub(super) limits: Limits,
    /// The largest time seen.
    pub(super) now: Instant,
    pub(super) life: Life,
    pub(super) error: Option<ConnectionError>,
    pub(super) output_lost: bool,
    /// Bytes of the client's preface that a server still waits for.
    pub(super) preface_left: usize,
    pub(super) timers: Timers,
    pub(super) goaway: Goaway,
    pub(super) peer: PeerSettings,

    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    /// A server's last answers.
    pub(super) templates: Templates,
    /// Where heads go that nobody will see.
    pub(super) scratch_head: Head,
    /// Where blocks are encoded.
    pub(super) scratch: Vec<u8>,
    pub(super) block: Block,

    pub(super) store: Store,
    /// Streams that are open on the wire.
    pub(super) active: u32,
    /// The highest id of the peer that reached the application.
    pub(super) last_processed: u32,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    pub(super) assembly: Assembly,
    pub(super) control: Control,
    /// Streams with something to send, in turn.
    pub(super) ring: VecDeque<u32>,
    /// Streams that wait for the connection's window.
    pub(super) starved: VecDeque<u32>,
    /// Streams with notices.
    pub(super) ready: VecDeque<u32>,
    pub(super) available: bool,
    pub(super) draining: bool,
    /// `Available` is owed.
    pub(super) wants_open: bool,
    pub(super) abuse: Abuse,
}

impl Connection {
    /// The side that connected. `limits` are [checked](Limits::checked) here.
    pub fn client(limits: Limits) -> Self {
        Self::new(Role::Client, limits)
    }

    /// The side that accepted. `limits` are [checked](Limits::checked) here.
    pub fn server(limits: Limits) -> Self {
        Self::new(Role::Server, limits)
    }

    fn new(role: Role, limits: Limits) -> Self {
        let limits = limits.checked();
        let table = if role == Role::Client { ENCODER_TABLE } else { 0 };
        let preface = if role == Role::Client { 0 } else { crate::http2::frame::PREFACE.len() };
        Self {
            role,
            now: Instant::EPOCH,
            life: Life::Open,
            error: None,
            output_lost: false,
            preface_left: preface,
            timers: Timers::default(),
            goaway: Goaway::default(),
            peer: PeerSettings::default(),
            // Until our SETTINGS are acknowledged, the peer may use the table that RFC 9113 §6.5.2 gives it.
            decoder: Decoder::new(DEFAULT_TABLE, DecoderLimits::from(&limits)),
            encoder: Encoder::new(table),
            templates: Templates::default(),
            scratch_head: Head::default(),
            scratch: Vec::new(),
            block: Block::default(),
            store: Store::new(),
            active: 0,
            last_processed: 0,
            send_window: SendWindow::new(PeerSettings::default().initial_window_size),
            receive_window: ReceiveWindow::new(CONNECTION_WINDOW.max(limits.window.saturating_mul(2))),
            assembly: Assembly::new(&limits),
            control: Control::new(),
            ring: VecDeque::new(),
            starved: VecDeque::new(),
            ready: VecDeque::new(),
            available: false,
            draining: false,
            wants_open: false,
            abuse: Abuse::new(&limits),
            limits,
        }
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the peer has told by SETTINGS so far.
    pub fn peer_settings(&self) -> &PeerSettings {
        &self.peer
    }

    /// Whether the peer's SETTINGS have arrived.
    pub fn is_ready(&self) -> bool {
        self.timers.settings_received
    }

    /// Why the connection ended, once it has, unless that was in peace.
    pub fn error(&self) -> Option<ConnectionError> {
        self.error
    }

    /// Streams that are open on the wire now.
    pub fn open_streams(&self) -> usize {
        self.active as usize
    }

    /// What the peer has done that is bounded.
    pub fn stats(&self) -> Stats {
        self.abuse.counted
    }

    /// Notes the time: it never goes back.
    #[inline]
    pub(super) fn tick(&mut self, now: Instant) {
        if now > self.now || !self.timers.is_started() {
            self.now = self.now.max(now);
            self.timers.tick(self.now, self.limits.stall);
        }
    }

    fn sticky(&self) -> Result<(), ConnectionError> {
        self.error.map_or(Ok(()), Err)
    }

    /// Whether there is room for the answer to another frame. Where no answer can leave any more, none is kept: what the
    /// peer has still to say is read all the same.
    #[inline]
    pub(super) fn may_answer(&mut self) -> bool {
        if self.control.is_full() && self.output_lost {
            self.control.forget_answers();
        }
        !self.control.is_full()
    }

    /// Whether the peer must take some of our answers before it is read on.
    pub(super) fn is_backpressured(&self) -> bool {
        self.life == Life::Open && !self.output_lost && self.control.is_full()
    }
}

/// No byte of a peer is printed.
impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("life", &self.life)
            .field("error", &self.error)
            .field("open_streams", &self.active)
            .finish_non_exhaustive()
    }
}

impl Machine for Connection {
    type Event = StreamEvent;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
        self.tick(now);
        if self.life == Life::Open {
            let used = self.consume(input);
            input.advance(used);
        }
        if self.life != Life::Open {
            input.clear();
        }
        self.sticky()
    }

    fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError> {
        self.tick(now);
        if self.life == Life::Open {
            let peer_error = self.goaway.received.filter(|goaway| goaway.1.0 != 0);
            if let Some((_, code)) = peer_error {
                self.error = Some(ConnectionError::PeerClosed(code));
            } else if self.active > 0 || self.block.is_open() || end == InputEnd::Failed {
                self.error = Some(ConnectionError::Lost);
            }
            self.lose_streams(crate::ReceiveEnd::Lost);
        }
        self.life = Life::Closed;
        self.sticky()
    }

    fn handle_output_lost(&mut self, now: Instant) {
        self.tick(now);
        self.lose_output();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        self.run_timers();
    }

    #[inline]
    fn poll_event(&mut self) -> Option<StreamEvent> {
        if self.ready.is_empty() && !self.available && !self.draining {
            return None;
        }
        self.next_event()
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool {
        self.tick(now);
        self.transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }

    fn wants_input(&self) -> bool {
        self.life != Life::Closed && !self.is_backpressured()
    }

    fn wants_output(&self) -> bool {
        !self.output_lost
            && (self.control.is_owed()
                || self.receive_window.is_due() && self.life == Life::Open
                || !self.ring.is_empty() && self.life == Life::Open)
    }

    fn closing(&self) -> Closing {
        match self.life {
            Life::Open => Closing::Open,
            Life::Closing => Closing::ShutWrite,
            Life::Closed => Closing::Closed,
        }
    }
}

impl Connection {
    fn next_event(&mut self) -> Option<StreamEvent> {
        if std::mem::take(&mut self.available) {
            return Some(StreamEvent::Available);
        }
        if std::mem::take(&mut self.draining) {
            return Some(StreamEvent::Draining);
        }
        while let Some(&index) = self.ready.front() {
            let slot = self.store.slot(index);
            let key = StreamKey { index, generation: slot.generation };
            let bit = slot.notices & slot.notices.wrapping_neg();
            slot.notices &= !bit;
            if slot.notices == 0 {
                slot.noticed = false;
                self.ready.pop_front();
            }
            match bit {
                notice::OPENED => return Some(StreamEvent::Opened(key)),
                notice::READABLE => return Some(StreamEvent::Readable(key)),
                notice::WRITABLE => return Some(StreamEvent::Writable(key)),
                notice::LOST => return Some(StreamEvent::Lost(key)),
                notice::STOPPED => return Some(StreamEvent::Stopped(key, self.store.slot(index).stop_code)),
                _ => {}
            }
        }
        None
    }
}
