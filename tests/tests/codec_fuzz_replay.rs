//! Replays the fuzz bodies of the codec floor over seeds, over mutations of the seeds, and over noise.

use antiphon_tests::fuzz::codec::TARGETS;

/// Texts that every decoder gets, whichever it was meant for.
const SEEDS: &[&[u8]] = &[
    b"",
    b"\x00\x00\x00\x00\x05hello",
    b"\x01\xff\xff\xff\xff",
    b"\x80\x00\x00\x00\x10grpc-status: 0\r\n",
    b"99999999H",
    b"100000000n",
    b"0m",
    b"1s",
    b"9999999999",
    b"99999999999",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc9\x9a\x3b",
    b"\xff\xc9\x9a\x3b\x00\x00\x00\x00\xff\xc9\x9a\x3b",
    b"a%0d%0aX: y",
    b"%",
    b"%zz%",
    b" %ff%fe ",
    b"connect=v1&base64=1&compression=gzip&encoding=proto&message=AAEC_-8=",
    b"message=%7B%22a%22%3A+1%7D&encoding=json&x;y=1&=&&k",
    b"Zm9vYmFy",
    b"\x03Zg==Zm8=Zm9v",
    b"\x02+/-_====",
    b"!!!!",
    b"x-tag: a\nx-bin:\xff\x00\ngrpc-status:0\nX:1\nb-bin:AAE=,AAE\ncaf\xc3\xa9: x\nv:\xc3\xa9",
    br#"{"code":"not_found","message":"m","details":[{"type":"a.B","value":"AAE="},{"type":"x/y.Z"}]}"#,
    br#"{"error":{"code":"aborted","message":"\ud83d\ude00"},"metadata":{"X-A":["1","2"],"b-bin":["AA"],"x-a":["3"]}}"#,
    br#"{"error":null,"metadata":null}"#,
    br#"{"message":"\ud800"}"#,
    br#"{"error":{}}"#,
    b"grpc-status: 5\r\ngrpc-message: %E2%98%BA\r\nx-tag: a\r\nx-tag: b\r\n",
    b"Grpc-Status :9\ngrpc-message:a: b\ngrpc-status-details-bin: CAkSAW0aBwoFeC9hLkI\n\n",
    b"grpc-status: 0\r\ngrpc-status: 0\r\n",
    b"\x08\x05\x12\x04gone\x1a\x0c\x0a\x05x/a.B\x12\x03\x01\x02\xff",
];

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
}

fn for_all(input: &[u8]) {
    for (name, target) in TARGETS {
        let shown = input[..input.len().min(200)].escape_ascii();
        assert!(std::panic::catch_unwind(|| target(input)).is_ok(), "{name} fails on \"{shown}\"");
    }
}

#[test]
fn seeds_and_all_their_prefixes() {
    for seed in SEEDS {
        for end in 0..=seed.len() {
            for_all(&seed[..end]);
        }
    }
}

#[test]
fn mutated_seeds() {
    let interesting = b"%=+&;:,\r\n \t\0\xff{}[]\"\\09Aaz/-_.";
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for seed in SEEDS {
        for _ in 0..1000 {
            let mut input = seed.to_vec();
            for _ in 0..=noise.below(4) {
                let at = noise.below(input.len());
                let byte = interesting[noise.below(interesting.len())];
                match noise.below(4) {
                    0 if !input.is_empty() => input[at] = byte,
                    1 if !input.is_empty() => drop(input.remove(at)),
                    2 => input.splice(at..at, SEEDS[noise.below(SEEDS.len())].iter().copied()).for_each(drop),
                    _ => input.insert(at, byte),
                }
            }
            for_all(&input);
        }
    }
}

#[test]
fn noise() {
    let mut noise = Noise(42);
    for round in 0..10_000 {
        let length = noise.below(if round % 50 == 0 { 2000 } else { 40 });
        let input: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
        for_all(&input);
        let text: Vec<u8> = input
            .iter()
            .map(|byte| b"0123456789AZaz+/-_=%&;:. \r\n{}[]\",\\"[usize::from(byte % 33)])
            .collect();
        for_all(&text);
    }
}

// What a peer may send at most, and more.
#[test]
fn bombs() {
    let pieces: [&[u8]; 10] =
        [b"[", b"{\"a\":", b"\"k\":0,", b"a:b\r\n", b"%", b"%41", b"=", b"AAAA", b"\x1a\x00", b"k=v&"];
    for piece in pieces {
        for length in [1 << 10, 16 << 10, 64 << 10, (64 << 10) + 1] {
            for_all(&piece.repeat(length / piece.len()));
        }
    }
}
