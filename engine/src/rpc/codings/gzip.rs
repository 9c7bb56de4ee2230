//! Gzip (RFC 1952), by flate2.

use flate2::Crc;

use super::flate::{deflate, inflate};
use crate::rpc::{Coding, DecompressError};

/// How many members one message may have (RFC 1952 §2.2). More are an attempt to make us work.
const MEMBERS: usize = 16;

/// The length of a header without optional fields, and of the trailer.
const HEADER: usize = 10;
const TRAILER: usize = 8;

/// Gzip, at the given level.
#[derive(Clone, Copy, Debug)]
pub struct Gzip {
    level: u32,
}

/// The level 6, flate2's own default.
impl Default for Gzip {
    fn default() -> Self {
        Self { level: 6 }
    }
}

impl Gzip {
    /// Gzip at a level from 0 (store) to 9 (smallest).
    pub fn with_level(level: u32) -> Self {
        Self { level: level.min(9) }
    }
}

impl Coding for Gzip {
    fn name(&self) -> &'static str {
        "gzip"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        deflate(message, self.level, false, out);
        let mut crc = Crc::new();
        crc.update(message);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
    }

    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        let start = out.len();
        let mut rest = compressed;
        let mut members = 0;
        loop {
            members += 1;
            if members > MEMBERS {
                return Err(DecompressError::Corrupt);
            }
            let member = out.len();
            rest = inflate(skip_header(rest)?, false, start.saturating_add(max), out)?;
            let (trailer, after) = rest.split_at_checked(TRAILER).ok_or(DecompressError::Corrupt)?;
            let mut crc = Crc::new();
            crc.update(out.get(member..).unwrap_or_default());
            let expected = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
            if trailer != expected {
                return Err(DecompressError::Corrupt);
            }
            rest = after;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}

/// What follows the header of a member (RFC 1952 §2.3).
fn skip_header(member: &[u8]) -> Result<&[u8], DecompressError> {
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (header, mut rest) = member.split_at_checked(HEADER).ok_or(DecompressError::Corrupt)?;
    let &[0x1f, 0x8b, 8, flags, ..] = header else { return Err(DecompressError::Corrupt) };
    if flags & 0xe0 != 0 {
        return Err(DecompressError::Corrupt);
    }
    if flags & EXTRA != 0 {
        let [a, b, after @ ..] = rest else { return Err(DecompressError::Corrupt) };
        rest = after.get(usize::from(u16::from_le_bytes([*a, *b]))..).ok_or(DecompressError::Corrupt)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(DecompressError::Corrupt)?;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    if flags & CRC != 0 {
        rest = rest.get(2..).ok_or(DecompressError::Corrupt)?;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Gzip::default().compress(message, &mut out);
        out
    }

    fn gunzip(compressed: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
        let mut out = Vec::new();
        Gzip::default().decompress(compressed, max, &mut out).map(|()| out)
    }

    #[test]
    fn messages_round_trip() {
        let random: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for message in [&b""[..], b"a", &[7; 70_000], &random] {
            assert_eq!(gunzip(&gzip(message), message.len()).as_deref(), Ok(message));
        }
    }

    #[test]
    fn optional_header_fields_are_skipped() {
        let plain = gzip(b"hello");
        let mut dressed = plain[..10].to_vec();
        dressed[3] = 2 | 4 | 8 | 16;
        dressed.extend_from_slice(b"\x03\x00xyzname\0comment\0\x12\x34");
        dressed.extend_from_slice(&plain[10..]);
        assert_eq!(gunzip(&dressed, 5).as_deref(), Ok(&b"hello"[..]));
        for cut in 0..dressed.len() {
            assert_eq!(gunzip(&dressed[..cut], 5), Err(DecompressError::Corrupt), "{cut}");
        }
    }

    // A bomb costs limit + 1 bytes, and no time beyond them.
    #[test]
    fn the_limit_is_kept() {
        let bomb = gzip(&vec![0; 1 << 20]);
        let mut out = Vec::new();
        assert_eq!(Gzip::default().decompress(&bomb, 1000, &mut out), Err(DecompressError::TooLarge));
        assert!(out.len() <= 1001 && out.capacity() < 8192);
        assert_eq!(gunzip(&gzip(&[1; 1000]), 999), Err(DecompressError::TooLarge));
    }

    // CVE-2022-30631: endless members. Bytes behind the last one are refused.
    #[test]
    fn members_are_few_and_nothing_follows() {
        let member = gzip(b"");
        assert_eq!(gunzip(&member.repeat(16), 0), Ok(Vec::new()));
        assert_eq!(gunzip(&member.repeat(17), 0), Err(DecompressError::Corrupt));
        let mut two = gzip(b"ab");
        two.extend(gzip(b"cd"));
        assert_eq!(gunzip(&two, 4).as_deref(), Ok(&b"abcd"[..]));
        two.push(0);
        assert_eq!(gunzip(&two, 4), Err(DecompressError::Corrupt));
        let mut wrong = gzip(b"ab");
        let last = wrong.len() - 5;
        wrong[last] ^= 1;
        assert_eq!(gunzip(&wrong, 4), Err(DecompressError::Corrupt));
    }
}
