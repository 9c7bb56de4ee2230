//! Integers with a prefix (RFC 7541 §5.1), and the reader that every part of a block is taken from.

/// The largest integer that is accepted: no table or string that a limit allows is larger.
const LARGEST: u32 = 1 << 28;

/// The most bytes of one integer, the one with the prefix included.
const MOST_BYTES: usize = 5;

/// A block and how far it was read.
pub(super) struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { block, at: 0 }
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.block.get(self.at).copied()
    }

    /// Takes an integer whose first byte has `prefix` bits for it (1 to 8).
    #[inline]
    pub(super) fn integer(&mut self, prefix: u32) -> Result<usize, &'static str> {
        let Some(&first) = self.block.get(self.at) else { return Err("a header block ends early") };
        let mask = (0xff_u16 >> (8 - prefix)) as u8;
        self.at += 1;
        if first & mask < mask { Ok(usize::from(first & mask)) } else { self.rest_of_integer(mask) }
    }

    fn rest_of_integer(&mut self, mask: u8) -> Result<usize, &'static str> {
        let more = self.block.get(self.at..).unwrap_or_default();
        let mut value = u32::from(mask);
        // Four bytes of seven bits each: the sum stays far below 2^32.
        for (index, &byte) in more.iter().take(MOST_BYTES - 1).enumerate() {
            value += u32::from(byte & 0x7f) << (7 * index);
            self.at += 1;
            if byte & 0x80 == 0 {
                return if value <= LARGEST { Ok(value as usize) } else { Err("an integer is too large") };
            }
        }
        Err(if more.len() < MOST_BYTES - 1 { "a header block ends early" } else { "an integer is too long" })
    }

    /// Takes `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let rest = self.block.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or("a string is longer than its header block")?;
        self.at += len;
        Ok(bytes)
    }
}

/// Appends `value`, its first byte sharing `pattern`, which leaves `prefix` bits (1 to 8).
#[inline]
pub(super) fn encode(value: usize, prefix: u32, pattern: u8, out: &mut Vec<u8>) {
    let mask = (0xff_u16 >> (8 - prefix)) as usize;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut left = value - mask;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], prefix: u32) -> Result<usize, &'static str> {
        Reader::new(bytes).integer(prefix)
    }

    /// RFC 7541 §C.1
    #[test]
    fn examples_of_the_rfc() {
        for (value, prefix, wire) in [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a])]
        {
            let mut out = Vec::new();
            encode(value, prefix, 0, &mut out);
            assert_eq!(out, wire);
            assert_eq!(decode(wire, prefix), Ok(value));
        }
    }

    #[test]
    fn integers_round_trip_with_every_prefix() {
        for prefix in 1..=8 {
            for value in (0..=1000).chain([65_535, 1 << 20, (1 << 28) - 1]) {
                let mut out = Vec::new();
                encode(value, prefix, 0, &mut out);
                assert_eq!(decode(&out, prefix), Ok(value), "{prefix} bits");
                assert!(decode(&out[..out.len() - 1], prefix).is_err());
            }
        }
    }

    /// RFC 7541 §5.1: an integer above the limits of an implementation is an error.
    #[test]
    fn long_and_large_integers_are_refused() {
        let long = [0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert_eq!(decode(&long, 7), Err("an integer is too long"));
        assert_eq!(decode(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f], 7), Err("an integer is too long"));
        assert_eq!(decode(&[0x7f, 0xff, 0xff, 0xff, 0x7f], 7), Err("an integer is too large"));
        assert_eq!(decode(&[0x7f, 0xff, 0xff, 0xff], 7), Err("a header block ends early"));
        assert_eq!(decode(&[], 7), Err("a header block ends early"));
        // Not the shortest form, but legal.
        assert_eq!(decode(&[0x1f, 0x80, 0x80, 0x00], 5), Ok(31));
    }
}
