//! A strict reader of what a connection sends: it panics when a rule of RFC 9113 is broken.
//!
//! It sees the bytes that the connection was given as well, for what its peer has allowed: windows, table sizes,
//! streams. What a peer allowed is counted when it was fed, so the bounds on windows are upper ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon::Head;
use antiphon::http2::Role;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Verdict};

use crate::h2kit::{
    CONTINUATION, DATA, EH, ES, Frame, GOAWAY, HEADERS, PING, PREFACE, RST, SETTINGS, UPDATE, parse,
};

/// What one stream has sent.
#[derive(Default)]
struct Sent {
    head: bool,
    ended: bool,
    reset: bool,
    data: i64,
}

/// The reader of one connection.
pub struct Strict {
    role: Role,
    fed: Vec<u8>,
    output: Vec<u8>,
    preface_due: bool,
    peer_preface_due: bool,
    settings_seen: bool,
    block: Option<(u32, bool, Vec<u8>)>,
    decoder: Decoder,
    streams: BTreeMap<u32, Sent>,
    last_goaway: u32,
    closed: bool,
    acks: usize,
    /// Table sizes of the peer's SETTINGS that are not acknowledged yet.
    tables: VecDeque<Vec<u32>>,
    peer_opened: BTreeSet<u32>,
    largest_initial: i64,
    granted: BTreeMap<u32, i64>,
    connection_sent: i64,
    /// The sum of WINDOW_UPDATEs that were sent for the connection.
    pub connection_raised: i64,
}

impl Strict {
    /// The reader of a connection in this role.
    pub fn new(role: Role) -> Self {
        let limits =
            DecoderLimits { header_list: 1 << 24, hard_header_list: 1 << 24, header_fields: 1 << 16 };
        Self {
            role,
            fed: Vec::new(),
            output: Vec::new(),
            preface_due: role == Role::Client,
            peer_preface_due: role == Role::Server,
            settings_seen: false,
            block: None,
            decoder: Decoder::new(4096, limits),
            streams: BTreeMap::new(),
            last_goaway: u32::MAX,
            closed: false,
            acks: 0,
            tables: VecDeque::new(),
            peer_opened: BTreeSet::new(),
            largest_initial: 65_535,
            granted: BTreeMap::new(),
            connection_sent: 0,
            connection_raised: 0,
        }
    }

    /// Bytes that the connection was given.
    pub fn fed(&mut self, bytes: &[u8]) {
        self.fed.extend_from_slice(bytes);
        if self.peer_preface_due {
            if self.fed.len() < PREFACE.len() {
                return;
            }
            self.fed.drain(..PREFACE.len());
            self.peer_preface_due = false;
        }
        let (frames, used) = parse(&self.fed);
        self.fed.drain(..used);
        for frame in frames {
            self.peer_frame(&frame);
        }
    }

    fn peer_frame(&mut self, frame: &Frame) {
        match frame.kind {
            HEADERS => _ = self.peer_opened.insert(frame.stream),
            UPDATE if frame.payload.len() == 4 => {
                *self.granted.entry(frame.stream).or_default() += i64::from(frame.number() & 0x7fff_ffff);
            }
            SETTINGS if frame.flags & ES == 0 => {
                let mut tables = Vec::new();
                for entry in frame.payload.chunks_exact(6) {
                    let value = u32::from_be_bytes(entry[2..].try_into().expect("four bytes"));
                    match entry[1] {
                        1 if entry[0] == 0 => tables.push(value),
                        4 if entry[0] == 0 => self.largest_initial = self.largest_initial.max(value.into()),
                        _ => {}
                    }
                }
                self.tables.push_back(tables);
            }
            _ => {}
        }
    }

    /// Bytes that the connection sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        if bytes.is_empty() {
            return;
        }
        if self.preface_due {
            assert!(self.output.starts_with(PREFACE), "a client begins with the preface");
            self.output.drain(..PREFACE.len());
            self.preface_due = false;
        }
        let (frames, used) = parse(&self.output);
        self.output.drain(..used);
        assert!(self.output.is_empty(), "whole frames only");
        for frame in frames {
            self.frame(&frame);
        }
    }

    fn frame(&mut self, frame: &Frame) {
        assert!(!self.closed, "nothing after a GOAWAY with an error: {frame:?}");
        assert!(frame.payload.len() <= 16_384);
        assert!(self.settings_seen || frame.kind == SETTINGS, "SETTINGS come first");
        if let Some((stream, ..)) = self.block {
            assert_eq!((frame.kind, frame.stream), (CONTINUATION, stream), "a header block is contiguous");
        }
        match frame.kind {
            DATA => self.data(frame),
            HEADERS => {
                assert_eq!(frame.flags & !(ES | EH), 0);
                self.block = Some((frame.stream, frame.flags & ES != 0, frame.payload.clone()));
                self.end_block(frame);
            }
            CONTINUATION => {
                assert_eq!(frame.flags & !EH, 0);
                self.block.as_mut().expect("an open block").2.extend(&frame.payload);
                self.end_block(frame);
            }
            RST => self.reset(frame),
            SETTINGS => self.settings(frame),
            PING => assert_eq!((frame.stream, frame.payload.len(), frame.flags & !ES), (0, 8, 0)),
            GOAWAY => {
                let last = u32::from_be_bytes(frame.payload[..4].try_into().expect("eight bytes"));
                assert!(frame.stream == 0 && last <= self.last_goaway, "the last id never rises");
                self.last_goaway = last;
                self.closed = frame.goaway_code() != 0;
            }
            UPDATE => self.update(frame),
            _ => panic!("never sent: {frame:?}"),
        }
    }

    fn settings(&mut self, frame: &Frame) {
        assert_eq!(frame.stream, 0);
        if frame.flags & ES == 0 {
            assert!(!self.settings_seen && frame.payload.len() % 6 == 0);
            self.settings_seen = true;
            return;
        }
        assert!(frame.payload.is_empty());
        self.acks += 1;
        for table in self.tables.pop_front().expect("an acknowledgement for each SETTINGS and no more") {
            self.decoder.set_max_table(table as usize);
        }
    }

    fn stream(&mut self, id: u32) -> &mut Sent {
        assert!(id % 2 == 1, "only a client opens streams");
        if !self.streams.contains_key(&id) {
            match self.role {
                Role::Server => assert!(self.peer_opened.contains(&id), "stream {id} was not opened"),
                Role::Client => assert!(self.streams.keys().all(|before| *before < id), "ids rise"),
            }
        }
        self.streams.entry(id).or_default()
    }

    fn data(&mut self, frame: &Frame) {
        let len = frame.payload.len() as i64;
        assert_eq!(frame.flags & !ES, 0);
        let window = self.largest_initial + self.granted.get(&frame.stream).copied().unwrap_or(0);
        let stream = self.stream(frame.stream);
        assert!(stream.head && !stream.ended && !stream.reset, "DATA in a wrong state: {}", frame.stream);
        stream.data += len;
        stream.ended = frame.flags & ES != 0;
        assert!(stream.data <= window, "beyond the stream's window");
        self.connection_sent += len;
        assert!(
            self.connection_sent <= 65_535 + self.granted.get(&0).copied().unwrap_or(0),
            "beyond the connection's window"
        );
    }

    fn end_block(&mut self, frame: &Frame) {
        if frame.flags & EH == 0 {
            return;
        }
        let (id, end, block) = self.block.take().expect("an open block");
        let mut head = Head::default();
        let verdict = self.decoder.decode(&block, &mut head).expect("blocks that can be decoded");
        assert_eq!(verdict, Verdict::Good);
        let role = self.role;
        let stream = self.stream(id);
        assert!(!stream.ended && !stream.reset, "HEADERS in a wrong state");
        let is_head = head.is_request() || head.status() != 0;
        assert_eq!(head.is_request(), role == Role::Client && is_head);
        assert!(is_head != stream.head, "one head, then trailers");
        assert!(is_head || end, "trailers end the stream");
        stream.head |= !head.is_informational();
        stream.ended = end;
    }

    fn reset(&mut self, frame: &Frame) {
        assert_eq!((frame.payload.len(), frame.flags), (4, 0));
        if self.role == Role::Client {
            assert!(self.streams.contains_key(&frame.stream), "never on an idle stream");
        }
        let stream = self.stream(frame.stream);
        assert!(!std::mem::replace(&mut stream.reset, true), "two resets of stream {}", frame.stream);
    }

    fn update(&mut self, frame: &Frame) {
        assert_eq!((frame.payload.len(), frame.flags), (4, 0));
        assert!((1..1 << 31).contains(&frame.number()));
        if frame.stream == 0 {
            self.connection_raised += i64::from(frame.number());
            return;
        }
        let known = self.role == Role::Server || self.streams.contains_key(&frame.stream);
        assert!(known && !self.stream(frame.stream).reset, "never on an idle stream, or after a reset");
    }

    /// How many SETTINGS were acknowledged.
    pub fn acks(&self) -> usize {
        self.acks
    }
}
