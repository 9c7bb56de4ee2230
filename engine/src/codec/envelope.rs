//! The five bytes in front of every message of a stream (gRPC "Length-Prefixed-Message"; Connect "Streaming RPCs").

/// The length of an envelope's prefix in bytes.
pub const PREFIX: usize = 5;

/// The message is compressed (all three protocols).
pub const COMPRESSED: u8 = 0x01;

/// The message is the end of the stream (Connect).
pub const END_STREAM: u8 = 0x02;

/// The message is the block of trailers (gRPC-Web).
pub const TRAILERS: u8 = 0x80;

/// What stands in front of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// The flags as they arrived: which bits are legal depends on the protocol and the direction.
    pub flags: u8,
    /// How many bytes the peer claims will follow. Check it against the limit before anything is kept, and never
    /// allocate it in advance.
    pub length: u32,
}

impl Prefix {
    /// Reads a prefix from the first [`PREFIX`] bytes; `None` when there are fewer.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [flags, a, b, c, d, ..] => Some(Self { flags, length: u32::from_be_bytes([a, b, c, d]) }),
            _ => None,
        }
    }

    /// Whether the message is compressed.
    pub const fn is_compressed(self) -> bool {
        self.flags & COMPRESSED != 0
    }
}

/// The prefix of a message of `length` bytes.
pub const fn encode(flags: u8, length: u32) -> [u8; PREFIX] {
    let [a, b, c, d] = length.to_be_bytes();
    [flags, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Length-Prefixed-Message"; Connect "Streaming RPCs": flags, then a big-endian length.
    #[test]
    fn a_prefix_is_flags_and_a_big_endian_length() {
        assert_eq!(encode(COMPRESSED, 0x0102_0304), [1, 1, 2, 3, 4]);
        for flags in 0..=255 {
            for length in [0, 1, 255, 256, u32::MAX] {
                assert_eq!(Prefix::parse(&encode(flags, length)), Some(Prefix { flags, length }));
            }
        }
    }

    #[test]
    fn fewer_than_five_bytes_are_no_prefix() {
        for length in 0..PREFIX {
            assert_eq!(Prefix::parse(&[0; PREFIX][..length]), None);
        }
        assert_eq!(Prefix::parse(b"\0\0\0\0\x07seven b").map(|prefix| prefix.length), Some(7));
    }
}
