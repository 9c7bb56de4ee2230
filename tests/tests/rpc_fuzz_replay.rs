//! Replays the fuzz bodies of calls over noise, and over noise in front of well-formed bodies.

use antiphon_tests::fuzz::rpc::TARGETS;

/// A generator with a fixed seed (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        // Small numbers are choices, lengths and flags: have many of them.
        let one =
            |noise: &mut Self| if noise.below(3) == 0 { noise.next() as u8 } else { noise.below(16) as u8 };
        (0..length).map(|_| one(self)).collect()
    }
}

/// Pieces of bodies.
const PIECES: &[&[u8]] = &[
    b"\0\0\0\0\0",
    b"\0\0\0\0\x03abc",
    b"\x01\0\0\0\x03abc",
    b"\x01\0\0\0\x02\x07x",
    b"\0\0\0\x01\0",
    b"\0\0\0\xff\xff",
    b"\x02\0\0\0\x02{}",
    b"\x02\0\0\0\x1c{\"error\":{\"code\":\"aborted\"}}",
    b"\x80\0\0\0\x10grpc-status: 0\r\n",
    b"\x80\0\0\0\x10grpc-status: 5\r\n",
    b"\x04\0\0\0\x01x",
    b"AAAAAANhYmM=",
    b"AAAAAANhYmMAAAAAAA==",
    b"gAAAABBncnBjLXN0YXR1czogMA0K",
    b"!",
    b"=",
    b"{\"code\":\"aborted\",\"message\":\"m\"}",
    b"{}",
];

fn for_all(input: &[u8]) {
    for (name, target) in TARGETS {
        assert!(std::panic::catch_unwind(|| target(input)).is_ok(), "{name} fails on {input:?}");
    }
}

#[test]
fn noise() {
    let mut noise = Noise(42);
    for round in 0..20_000 {
        let length = noise.below(if round % 20 == 0 { 600 } else { 80 });
        let input = noise.bytes(length);
        for_all(&input);
    }
}

#[test]
fn well_formed_pieces_behind_noise() {
    let mut noise = Noise(7);
    for _ in 0..40_000 {
        let length = 10 + noise.below(40);
        let mut input = noise.bytes(length);
        for _ in 0..noise.below(6) {
            input.extend_from_slice(PIECES[noise.below(PIECES.len())]);
        }
        for_all(&input);
    }
}
