//! The string code (RFC 7541 §5.2): its tables are computed by the compiler from the lengths of Appendix B.

/// The length in bits of the code of each byte, and of EOS (RFC 7541 Appendix B). The code is canonical: shorter codes
/// come first, equally long ones in the order of their bytes; so the lengths say it all.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The longest code.
const LONGEST: usize = 30;

/// Bits of the look-up table: three of four letters of a header field have a code of at most 8 bits.
const PEEK: u32 = 8;

struct Tables {
    /// The code of each byte, right-aligned.
    codes: [u32; 257],
    /// What the next 8 bits begin with: a byte and the length of its code; length 0 means a longer code.
    short: [(u8, u8); 1 << PEEK],
    /// The bytes (256 is EOS) in the order of their codes.
    order: [u16; 257],
    /// For each length: the end of its codes, left-aligned in 32 bits.
    end: [u64; LONGEST + 1],
    /// For each length: its first code, left-aligned in 32 bits.
    start: [u32; LONGEST + 1],
    /// For each length: where its bytes begin in `order`.
    first: [u16; LONGEST + 1],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        codes: [0; 257],
        short: [(0, 0); 1 << PEEK],
        order: [0; 257],
        end: [0; LONGEST + 1],
        start: [0; LONGEST + 1],
        first: [0; LONGEST + 1],
    };
    let mut code: u32 = 0;
    let mut placed = 0;
    let mut length = 1;
    while length <= LONGEST {
        code <<= 1;
        tables.start[length] = code << (32 - length);
        tables.first[length] = placed as u16;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                tables.codes[symbol] = code;
                tables.order[placed] = symbol as u16;
                if length <= PEEK as usize {
                    fill(&mut tables.short, code, length as u32, symbol as u8);
                }
                placed += 1;
                code += 1;
            }
            symbol += 1;
        }
        tables.end[length] = (code as u64) << (32 - length);
        length += 1;
    }
    assert!(placed == 257 && code == 1 << LONGEST, "the lengths are those of a complete code");
    tables
}

const fn fill(short: &mut [(u8, u8); 1 << PEEK], code: u32, length: u32, symbol: u8) {
    let first = code << (PEEK - length);
    let mut index = first;
    while index < first + (1 << (PEEK - length)) {
        short[index as usize] = (symbol, length as u8);
        index += 1;
    }
}

/// The encoded length of `text` in bytes.
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(LENGTHS[usize::from(byte)])).sum();
    bits.div_ceil(8)
}

/// A lower bound of what `len` encoded bytes decode to.
pub(super) fn least_decoded_len(len: usize) -> usize {
    (len * 8).saturating_sub(7) / LONGEST
}

/// Appends `text`, encoded.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut bits: u64 = 0;
    let mut count = 0;
    for &byte in text {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(TABLES.codes[usize::from(byte)]);
        count += length;
        if count >= 32 {
            count -= 32;
            out.extend_from_slice(&((bits >> count) as u32).to_be_bytes());
        }
    }
    while count >= 8 {
        count -= 8;
        out.push((bits >> count) as u8);
    }
    if count > 0 {
        // Padding is the beginning of EOS: ones.
        out.push((bits << (8 - count)) as u8 | 0xff >> count);
    }
}

/// Appends what `coded` decodes to: at most 8/5 of its length.
///
/// # Errors
/// For EOS in the string, and for padding of more than 7 bits or that is not all ones (RFC 7541 §5.2).
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.reserve(coded.len() * 8 / 5);
    let mut words = coded.chunks_exact(4);
    // The bits not yet decoded, left-aligned, and their number.
    let (mut bits, mut count): (u64, u32) = (0, 0);
    for word in words.by_ref() {
        let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        bits |= word << (32 - count);
        count += 32;
        // No code is longer than what is left in each round of this loop.
        while count >= LONGEST as u32 {
            let (symbol, length) = next(bits)?;
            out.push(symbol);
            bits <<= length;
            count -= length;
        }
    }
    for &byte in words.remainder() {
        bits |= u64::from(byte) << (56 - count);
        count += 8;
    }
    finish(bits, count, out)
}

/// Decodes the last bits, of which there are at most 53.
fn finish(mut bits: u64, mut count: u32, out: &mut Vec<u8>) -> Result<(), &'static str> {
    while count > 0 {
        // Ones behind the end: the padding goes on as EOS, which is too long to be taken for a byte.
        let padded = bits | u64::MAX >> count;
        if count < 8 && padded == u64::MAX {
            return Ok(());
        }
        let (symbol, length) = next(padded)?;
        if length > count {
            return Err("the padding of a Huffman string is wrong");
        }
        out.push(symbol);
        bits <<= length;
        count -= length;
    }
    Ok(())
}

/// The byte that `bits` begin with, and the length of its code.
#[inline]
fn next(bits: u64) -> Result<(u8, u32), &'static str> {
    let (symbol, length) = TABLES.short[(bits >> (64 - PEEK)) as usize];
    if length != 0 { Ok((symbol, u32::from(length))) } else { next_long(bits) }
}

#[cold]
fn next_long(bits: u64) -> Result<(u8, u32), &'static str> {
    const NOT_A_BYTE: &str = "a Huffman string holds EOS or has padding of more than 7 bits";
    let code = (bits >> 32) as u32;
    for length in PEEK as usize + 1..=LONGEST {
        if u64::from(code) < TABLES.end[length] {
            let offset = (code - TABLES.start[length]) >> (32 - length);
            let place = usize::from(TABLES.first[length]) + offset as usize;
            let symbol = TABLES.order.get(place).and_then(|&symbol| u8::try_from(symbol).ok());
            return symbol.map(|symbol| (symbol, length as u32)).ok_or(NOT_A_BYTE);
        }
    }
    Err(NOT_A_BYTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    /// RFC 7541 Appendix B, one row of each kind.
    #[test]
    fn codes_of_the_rfc() {
        for (byte, code, length) in [
            (b'0', 0x0, 5),
            (b'a', 0x3, 5),
            (b' ', 0x14, 6),
            (b':', 0x5c, 7),
            (b'&', 0xf8, 8),
            (b'Z', 0xfd, 8),
            (b'!', 0x3f8, 10),
            (b'"', 0x3f9, 10),
            (b'$', 0x1ff9, 13),
            (b'~', 0x1ffd, 13),
            (b'\\', 0x7fff0, 19),
            (0, 0x1ff8, 13),
            (b'\n', 0x3fff_fffc, 30),
            (22, 0x3fff_fffe, 30),
            (255, 0x3ff_ffee, 26),
        ] {
            assert_eq!(
                (TABLES.codes[usize::from(byte)], LENGTHS[usize::from(byte)]),
                (code, length),
                "{byte}"
            );
        }
        assert_eq!((TABLES.codes[256], LENGTHS[256]), (0x3fff_ffff, 30));
    }

    #[test]
    fn strings_round_trip() {
        let mut seed: u32 = 7;
        for length in (0..300).chain([5000]) {
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Half of the strings are printable, as most are; the other half has codes of all lengths.
                    if length % 2 == 0 { 0x20 + (seed >> 24) as u8 % 0x5f } else { (seed >> 24) as u8 }
                })
                .collect();
            let mut coded = Vec::new();
            encode(&text, &mut coded);
            assert_eq!(coded.len(), encoded_len(&text));
            assert!(least_decoded_len(coded.len()) <= text.len());
            assert_eq!(decoded(&coded), Ok(text));
        }
    }

    /// RFC 7541 §5.2
    #[test]
    fn eos_and_wrong_padding_are_refused() {
        assert_eq!(decoded(&[0x1f]), Ok(b"a".to_vec()));
        assert!(decoded(&[0x18]).is_err(), "padding of zeros");
        assert!(decoded(&[0x1e]).is_err(), "padding that is not all ones");
        assert!(decoded(&[0x1f, 0xff]).is_err(), "padding of 11 bits");
        assert!(decoded(&[0xff]).is_err(), "padding of 8 bits");
        assert!(decoded(&[0xff; 4]).is_err(), "EOS");
        assert!(decoded(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x03]).is_err(), "EOS within");
        assert_eq!(decoded(&[]), Ok(Vec::new()));
    }

    #[test]
    fn no_three_bytes_make_it_panic() {
        for three in 0..1_u32 << 24 {
            // Every 17th is enough, and quick.
            if three % 17 == 0 {
                let _ = decoded(&three.to_be_bytes()[1..]);
            }
        }
    }
}
