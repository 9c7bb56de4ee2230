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

/// The shortest and the longest code.
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// Bits of the look-up table: enough for two letters of most strings, and for every byte but a few signs and the
/// controls that a field value may not have.
const PEEK: u32 = 12;

struct Tables {
    /// The code of each byte, right-aligned.
    codes: [u32; 257],
    /// What the next bits begin with.
    short: [Short; 1 << PEEK],
    /// The bytes (256 is EOS) in the order of their codes.
    order: [u16; 257],
    /// For each length: the end of its codes, left-aligned in 32 bits.
    end: [u64; LONGEST + 1],
    /// For each length: its first code, left-aligned in 32 bits.
    start: [u32; LONGEST + 1],
    /// For each length: where its bytes begin in `order`.
    first: [u16; LONGEST + 1],
}

/// One or two bytes whose codes stand at the front of a look-up.
#[derive(Clone, Copy)]
struct Short {
    bytes: [u8; 2],
    /// The length of all their codes together.
    bits: u8,
    /// How many bytes; 0 means a longer code.
    count: u8,
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        codes: [0; 257],
        short: [Short { bytes: [0; 2], bits: 0, count: 0 }; 1 << PEEK],
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
    join(&mut tables.short);
    tables
}

const fn fill(short: &mut [Short; 1 << PEEK], code: u32, length: u32, symbol: u8) {
    let first = code << (PEEK - length);
    let mut index = first;
    while index < first + (1 << (PEEK - length)) {
        short[index as usize] = Short { bytes: [symbol, 0], bits: length as u8, count: 1 };
        index += 1;
    }
}

/// Adds a second byte where its code fits as well.
const fn join(short: &mut [Short; 1 << PEEK]) {
    let ones = *short;
    let mut index = 0;
    while index < 1 << PEEK {
        let first = ones[index];
        let second = ones[index << first.bits & ((1 << PEEK) - 1)];
        if first.count > 0 && second.count > 0 && (first.bits + second.bits) as u32 <= PEEK {
            short[index].bytes[1] = second.bytes[0];
            short[index].bits += second.bits;
            short[index].count = 2;
        }
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

/// The room that is needed for what `len` encoded bytes decode to: at most 8/5 of them, and one byte, since two are
/// written at once.
pub(super) fn room_for(len: usize) -> usize {
    len * 8 / 5 + 1
}

/// Decodes into `room`, which must be as large as [`room_for`] says. Returns the length, and whether the text is plain:
/// codes of more than 12 bits have not been met, so that there are no control characters.
///
/// # Errors
/// For EOS in the string, and for padding of more than 7 bits or that is not all ones (RFC 7541 §5.2).
pub(super) fn decode(coded: &[u8], room: &mut [u8]) -> Result<(usize, bool), &'static str> {
    let mut rest = coded;
    let (mut len, mut plain) = (0, true);
    // The bits not yet decoded, left-aligned, and their number. Behind them stand bits of `rest`, or zeros.
    let (mut bits, mut count): (u64, u32) = (0, 0);
    loop {
        if let Some(word) = rest.first_chunk::<8>() {
            bits |= u64::from_be_bytes(*word) >> count;
            let taken = (63 - count) / 8;
            rest = rest.get(taken as usize..).unwrap_or_default();
            count += taken * 8;
        } else {
            let (part, after) = rest.split_at(rest.len().min((64 - count as usize) / 8));
            let word = part.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            count += part.len() as u32 * 8;
            // At 0 there is nothing, in `word` neither.
            bits |= word.checked_shl(64 - count).unwrap_or(0);
            rest = after;
        }
        // No code is longer than what is left in each round.
        while count >= LONGEST as u32 {
            let mut short = look_up(bits);
            if short.count == 0 {
                short = any_length(bits)?;
                plain = false;
            }
            put(room, len, short.bytes);
            len += usize::from(short.count);
            bits <<= short.bits;
            count -= u32::from(short.bits);
        }
        if rest.is_empty() {
            break;
        }
    }
    // The last bits, inverted: what is shifted in behind the end goes on as EOS, as the padding must.
    let mut bits = !(bits | u64::MAX >> count);
    while count > 0 && !(bits == 0 && count < 8) {
        let mut short = look_up(!bits);
        if short.count == 0 || u32::from(short.bits) > count {
            // A longer code, or two of which the second is made of padding.
            short = any_length(!bits)?;
            plain &= u32::from(short.bits) <= PEEK;
        }
        put(room, len, short.bytes);
        len += usize::from(short.count);
        bits <<= short.bits;
        count = count.checked_sub(short.bits.into()).ok_or("the padding of a Huffman string is wrong")?;
    }
    Ok((len, plain))
}

#[inline(always)]
fn put(room: &mut [u8], len: usize, bytes: [u8; 2]) {
    if let Some(room) = room.get_mut(len..).and_then(|room| room.first_chunk_mut()) {
        *room = bytes;
    }
}

#[inline(always)]
fn look_up(bits: u64) -> Short {
    TABLES.short[(bits >> (64 - PEEK)) as usize]
}

/// The one byte that `bits` begin with.
#[cold]
fn any_length(bits: u64) -> Result<Short, &'static str> {
    const NOT_A_BYTE: &str = "a Huffman string holds EOS or has padding of more than 7 bits";
    let code = (bits >> 32) as u32;
    for length in SHORTEST..=LONGEST {
        if u64::from(code) < TABLES.end[length] {
            let offset = (code - TABLES.start[length]) >> (32 - length);
            let place = usize::from(TABLES.first[length]) + offset as usize;
            let symbol = TABLES.order.get(place).and_then(|&symbol| u8::try_from(symbol).ok());
            let symbol = symbol.ok_or(NOT_A_BYTE)?;
            return Ok(Short { bytes: [symbol, 0], bits: length as u8, count: 1 });
        }
    }
    Err(NOT_A_BYTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = vec![0; room_for(coded.len())];
        let (len, _) = decode(coded, &mut out)?;
        out.truncate(len);
        Ok(out)
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

    /// What is called plain has no byte that a field value may not have (RFC 9113 §8.2.1).
    #[test]
    fn controls_are_never_plain() {
        for byte in 0..=255_u8 {
            let (mut coded, mut out) = (Vec::new(), [0; 16]);
            encode(&[b'a', byte], &mut coded);
            let (len, plain) = decode(&coded, &mut out).unwrap();
            assert_eq!(out[..len], [b'a', byte]);
            assert!(!plain || byte >= b' ', "{byte}");
        }
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
