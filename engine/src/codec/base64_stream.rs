//! The base64 of gRPC-Web text: a stream of base64 that a sender may pad at any flush (gRPC PROTOCOL-WEB, "Message
//! framing … text-encoded").

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::base64::BadBase64;

const INVALID: u8 = 0xff;

/// The value of each character of the standard alphabet.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [INVALID; 256];
    let mut index = 0;
    while index < alphabet.len() {
        values[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    values
};

/// Decodes a stream of base64, cut anywhere, with padding legal at the end of every group of four characters.
///
/// Bytes come out when their group is complete, so that the output depends on the characters alone and never on
/// where the input was cut.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The bits of the characters of the group under way.
    bits: u32,
    /// How many characters of the group under way have been seen.
    filled: u8,
    /// How many of them were padding.
    padding: u8,
    failed: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        Self { bits: 0, filled: 0, padding: 0, failed: false }
    }

    /// Decodes `text` and appends the bytes of all complete groups to `out`.
    ///
    /// # Errors
    /// On a character outside the standard alphabet (white space included) and on misplaced padding. The error is
    /// sticky; what was decoded before it has been appended.
    pub fn feed(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), BadBase64> {
        if self.failed {
            return Err(BadBase64);
        }
        out.reserve((text.len() / 4 + 1) * 3);
        let mut rest = text;
        while let [first, after @ ..] = rest {
            if self.filled == 0 {
                let quads = decode_quads(rest, out);
                if quads > 0 {
                    rest = rest.get(quads..).unwrap_or_default();
                    continue;
                }
            }
            self.step(*first, out)?;
            rest = after;
        }
        Ok(())
    }

    fn step(&mut self, character: u8, out: &mut BytesMut) -> Result<(), BadBase64> {
        let value = match character {
            b'=' if self.filled >= 2 => {
                self.padding += 1;
                0
            }
            _ if self.padding > 0 => INVALID,
            _ => VALUES[usize::from(character)],
        };
        if value == INVALID {
            self.failed = true;
            return Err(BadBase64);
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.filled += 1;
        if self.filled == 4 {
            let [_, group @ ..] = self.bits.to_be_bytes();
            out.extend_from_slice(group.get(..3 - usize::from(self.padding)).unwrap_or_default());
            *self = Self::new();
        }
        Ok(())
    }

    /// Whether the stream may end here: no group is under way, and nothing was wrong.
    pub const fn is_complete(&self) -> bool {
        self.filled == 0 && !self.failed
    }
}

/// Decodes whole groups without padding, up to the first that is not one; says how many characters that were.
fn decode_quads(text: &[u8], out: &mut BytesMut) -> usize {
    let mut used = 0;
    let mut block = [0; 192];
    for quads in text.chunks(256) {
        let mut filled = 0;
        for (quad, slot) in quads.chunks_exact(4).zip(block.chunks_exact_mut(3)) {
            let &[a, b, c, d] = quad else { break };
            let [a, b, c, d] = [a, b, c, d].map(|character| VALUES[usize::from(character)]);
            if (a | b | c | d) & 0xc0 != 0 {
                break;
            }
            slot.copy_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
            filled += 1;
        }
        out.extend_from_slice(block.get(..filled * 3).unwrap_or_default());
        used += filled * 4;
        if filled < 64 {
            break;
        }
    }
    used
}

/// Encodes a stream of bytes. What does not fill a group waits for more bytes, or for [`Encoder::flush`].
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    carry: [u8; 3],
    carried: u8,
}

impl Encoder {
    /// An encoder at the start of a stream.
    pub const fn new() -> Self {
        Self { carry: [0; 3], carried: 0 }
    }

    /// Appends the groups that `bytes` completes to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) {
        let mut rest = bytes;
        while self.carried > 0 {
            let [first, after @ ..] = rest else { return };
            if let Some(slot) = self.carry.get_mut(usize::from(self.carried)) {
                *slot = *first;
            }
            self.carried += 1;
            rest = after;
            if self.carried == 3 {
                encode(&self.carry, out);
                self.carried = 0;
            }
        }
        let (whole, tail) = rest.split_at(rest.len() - rest.len() % 3);
        encode(whole, out);
        for (slot, byte) in self.carry.iter_mut().zip(tail) {
            *slot = *byte;
            self.carried += 1;
        }
    }

    /// Appends what was waiting, with padding: from here the peer can decode everything that was pushed.
    pub fn flush(&mut self, out: &mut BytesMut) {
        encode(self.carry.get(..usize::from(self.carried)).unwrap_or_default(), out);
        self.carried = 0;
    }
}

fn encode(bytes: &[u8], out: &mut BytesMut) {
    let mut text = [0; 1024];
    out.reserve(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(768) {
        // 768 bytes make 1,024 characters exactly: it cannot fail.
        let written = STANDARD.encode_slice(chunk, &mut text).unwrap_or_default();
        out.extend_from_slice(text.get(..written).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut decoder, mut out) = (Decoder::new(), BytesMut::new());
        let fed = pieces.iter().try_for_each(|piece| decoder.feed(piece, &mut out));
        assert_eq!(fed.is_err(), decoder.failed);
        (out.to_vec(), decoder.is_complete())
    }

    // gRPC PROTOCOL-WEB: the stream may be base64 in several padded pieces; clients must decode it all the same.
    #[test]
    fn padding_inside_the_stream_is_legal_at_every_cut() {
        let text = b"Zg==Zm8=Zm9vYg==AAAA";
        let expected = (b"ffofoob\0\0\0".to_vec(), true);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert_eq!(decode(&[&text[..first], &text[first..second], &text[second..]]), expected);
            }
        }
    }

    #[test]
    fn an_open_group_is_incomplete() {
        for text in ["Z", "Zg", "Zg=", "Zm9vY"] {
            assert!(!decode(&[text.as_bytes()]).1, "{text}");
        }
        assert!(decode(&[]).1);
    }

    #[test]
    fn errors_are_sticky_and_keep_what_came_before() {
        for text in
            ["Zm9v=", "Zm9vZ===", "Zm9vZg=Z", "Zm9vZg=\n", "Zm9v\r\n", "Zm9v Zm9v", "Zm9vZ-==", "Zm9v\u{ff}"]
        {
            for cut in 0..=text.len() {
                let (decoded, complete) =
                    decode(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..], b"AAAA"]);
                assert_eq!((&decoded[..], complete), (&b"foo"[..], false), "{text:?}");
            }
        }
    }

    #[test]
    fn every_flush_leaves_a_decodable_stream() {
        let bytes: Vec<u8> = (0..2500_u32).map(|index| (index * 7) as u8).collect();
        for step in [1, 2, 3, 4, 5, 700, 2500] {
            for flush_every in [1, 2, 3, usize::MAX] {
                let (mut encoder, mut text) = (Encoder::new(), BytesMut::new());
                for (index, piece) in bytes.chunks(step).enumerate() {
                    encoder.push(piece, &mut text);
                    if (index + 1) % flush_every == 0 {
                        encoder.flush(&mut text);
                        assert_eq!(text.len() % 4, 0);
                    }
                }
                encoder.flush(&mut text);
                assert_eq!(decode(&[&text]), (bytes.clone(), true));
            }
        }
    }
}
