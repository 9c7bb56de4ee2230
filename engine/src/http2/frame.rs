//! Frames: the nine-byte header, the types and flags of RFC 9113 §4.1 and §6, and how small frames are written.

use bytes::BytesMut;

/// Bytes of a frame header (RFC 9113 §4.1).
pub(super) const HEADER_LEN: usize = 9;
/// The payload every endpoint must accept, and the largest that we accept and send (RFC 9113 §4.2).
pub(super) const MAX_FRAME: usize = 16_384;
/// The largest stream id (RFC 9113 §5.1.1).
pub(super) const MAX_ID: u32 = (1 << 31) - 1;
/// What a client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Frame flags (RFC 9113 §6).
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// A frame header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameHeader {
    /// Length of the payload.
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The stream, without its reserved bit.
    pub(super) stream: u32,
}

impl FrameHeader {
    /// The header at the front of `bytes`, if all of it is there. The reserved bit is ignored (RFC 9113 §4.1).
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MAX_ID,
        })
    }

    /// The header as bytes.
    pub(super) fn encode(self) -> [u8; HEADER_LEN] {
        let [_, a, b, c] = (self.len as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s0, s1, s2, s3]
    }

    /// Whether `flag` is set.
    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What a payload is without its padding; `None` when the padding does not fit (RFC 9113 §6.1).
pub(super) fn unpad(header: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(flag::PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(padding.into())?)
}

/// The big-endian number that `payload` is, if it has four bytes.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// Appends a frame whose payload is one number: RST_STREAM and WINDOW_UPDATE.
pub(super) fn put_number(out: &mut BytesMut, kind: u8, stream: u32, value: u32) {
    let mut frame = [0; HEADER_LEN + 4];
    let header = FrameHeader { len: 4, kind, flags: 0, stream };
    frame[..HEADER_LEN].copy_from_slice(&header.encode());
    frame[HEADER_LEN..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&frame);
}

/// Appends a frame whose payload stands behind [`HEADER_LEN`] bytes of room for its header.
#[inline]
pub(super) fn put_in_place(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, frame: &mut [u8]) {
    let len = frame.len().saturating_sub(HEADER_LEN);
    if let Some(header) = frame.first_chunk_mut::<HEADER_LEN>() {
        *header = FrameHeader { len, kind, flags, stream }.encode();
    }
    out.extend_from_slice(frame);
}

/// Appends a frame on stream 0, or one whose payload is at hand.
pub(super) fn put(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let header = FrameHeader { len: payload.len(), kind, flags, stream };
    out.reserve(HEADER_LEN + payload.len());
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        // RFC 9113 §4.1: 24-bit length, type, flags, reserved bit, 31-bit stream.
        let header = FrameHeader { len: 0x01_0203, kind: 0x77, flags: 0xa5, stream: MAX_ID };
        let mut bytes = header.encode();
        assert_eq!(FrameHeader::decode(&bytes), Some(header));
        bytes[5] |= 0x80;
        assert_eq!(FrameHeader::decode(&bytes), Some(header), "the reserved bit is ignored");
        assert_eq!(FrameHeader::decode(&bytes[..8]), None);
    }

    #[test]
    fn padding_must_fit() {
        // RFC 9113 §6.1: padding of the length of the payload or more is an error.
        let padded = |len| FrameHeader { len, kind: kind::DATA, flags: flag::PADDED, stream: 1 };
        assert_eq!(unpad(padded(4), &[1, b'a', b'b', 0]), Some(&b"ab"[..]));
        assert_eq!(unpad(padded(3), &[2, 0, 0]), Some(&b""[..]));
        assert_eq!(unpad(padded(3), &[3, 0, 0]), None);
        assert_eq!(unpad(padded(0), &[]), None);
    }
}
