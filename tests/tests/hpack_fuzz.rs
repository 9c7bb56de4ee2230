//! The fuzz bodies of header compression over fixed seeds, and every block of one and two bytes.

use antiphon::Head;
use antiphon::http2::hpack::{DecodeError, Decoder, DecoderLimits, Verdict};
use antiphon_tests::fuzz::hpack::{hpack_decode, hpack_round_trip};
use antiphon_tests::hex::unhex;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next()).collect()
    }
}

#[test]
fn random_bytes() {
    for seed in 0..3000 {
        let mut random = Random(seed);
        let len = usize::from(random.next()) * 4;
        let data = random.bytes(len);
        hpack_decode(&data);
        hpack_round_trip(&data);
    }
}

/// Pieces of legal blocks in random order: much deeper than random bytes go.
#[test]
fn random_pieces() {
    let pieces = [
        "82",
        "83",
        "84",
        "86",
        "87",
        "88",
        "8d",
        "be",
        "bf",
        "c0",
        "c1",
        "c4",
        "20",
        "3f00",
        "3fe11f",
        "3e",
        "4003783a790131",
        "400161 0162",
        "000161 00",
        "100161 0173",
        "4401 2f",
        "4403 2f6123",
        "4101 68",
        "6601 68",
        "6601 48",
        "6603613a62",
        "60 03613d31",
        "60 03613d32",
        "0f21 0120",
        "5f 8294e7",
        "00 00 00",
        "40 00 00",
        "7e 0131",
        "7f00 0131",
        "0f2f 0132",
        "1f2f 0133",
        "4803 313031",
        "4803 323030",
        "4803 303939",
        "400274650874 7261696c657273",
        "4002 7465 0161",
        "0a636f6e6e656374696f6e00",
        "4207 434f4e4e454354",
        "4207 4f5054494f4e53",
        "4401 2a",
        "7e7f00",
        "400161 7f9101",
        "5787 f1e3c2e5f23a6b",
        "578161",
        "4109 7540686f73742e636f",
    ];
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| unhex(piece)).collect();
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut data = vec![random.next()];
        for _ in 0..random.next() % 8 {
            if random.next() % 16 == 0 {
                data.extend([0xfe, random.next()]);
                continue;
            }
            let mut block = Vec::new();
            if random.next() % 2 == 0 {
                block.extend(unhex(["828684", "838784", "88"][usize::from(random.next() % 3)]));
            }
            for _ in 0..random.next() % 8 {
                block.extend(&pieces[usize::from(random.next()) % pieces.len()]);
            }
            data.push(block.len().min(0xfd) as u8);
            data.extend(&block[..block.len().min(0xfd)]);
        }
        hpack_decode(&data);
    }
}

/// Attack A12: every block of up to two bytes, on a table with two entries; and what follows finds the table in step.
#[test]
fn every_short_block() {
    let mut head = Head::default();
    let mut counts = [0; 3];
    for block in (0..=255_u8).map(|a| vec![a]).chain((0..=u16::MAX).map(|both| both.to_be_bytes().to_vec())) {
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        assert_eq!(decoder.decode(&unhex("82 84 86 4001610131 4001620132"), &mut head), Ok(Verdict::Good));
        match decoder.decode(&block, &mut head) {
            Ok(Verdict::Good) => counts[0] += 1,
            Ok(_) => counts[1] += 1,
            Err(DecodeError::TooLarge) => panic!("{block:?} is not large"),
            Err(DecodeError::Compression(_)) => {
                assert_eq!(head, Head::default());
                counts[2] += 1;
                continue;
            }
        }
        // Back to the full size, in case that the block was an update.
        assert_eq!(decoder.decode(&unhex("3fe11f 4001630133 be"), &mut head), Ok(Verdict::Good));
        let fields: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(fields, [("c", &b"3"[..]), ("c", b"3")], "{block:?}");
    }
    // Pinned: a change of these counts is a change of what is accepted.
    assert_eq!(counts.iter().sum::<usize>(), 256 + 65_536);
    assert_eq!(counts, [5551, 1672, 58_569]);
}

#[test]
fn seeds_of_the_fuzz_targets() {
    for seed in [
        "00 05 8286844161 05 be8286 be 04 40016100 ff be be be",
        "01 08 4001617f009f 00 ff 00000000",
        "00 fe 00 03 828684 04 20 828684",
        "01 20 40 01 61 7f bd 1d",
    ] {
        hpack_decode(&unhex(seed));
        hpack_round_trip(&unhex(seed));
    }
}
