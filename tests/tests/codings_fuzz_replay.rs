//! Replays the fuzz bodies of the codings over streams, cut and changed, and over noise.

use antiphon::rpc::Codings;
use antiphon_tests::fuzz::codings::TARGETS;
use antiphon_tests::hex::unhex;

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

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    let shown = input[..input.len().min(200)].escape_ascii();
    assert!(std::panic::catch_unwind(|| target(input)).is_ok(), "{name} fails on \"{shown}\"");
}

/// Streams of every coding, and beginnings of streams by their format's document.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let codings = Codings::all();
    let coding = codings.find(name.trim_start_matches("codings_")).unwrap();
    let mut noise = Noise(3);
    let random: Vec<u8> = (0..600).map(|_| noise.next() as u8).collect();
    let letters: Vec<u8> = (0..900).map(|_| b'a' + noise.below(6) as u8).collect();
    let mut seeds = vec![
        Vec::new(),
        unhex("28b52ffd 0068 020010 00 030010 00"),
        unhex("502a4d18 03000000 787878"),
        unhex("cbffff3f002400e2b14072effff8ffff078004401c1680eefd9f01 03"),
        unhex("1f8b08 1e 00000000 00ff 0300 78797a 6e00 6300 1234 0300 00000000 00000000"),
        unhex("789c 0300 00000001"),
        unhex("ff060000734e61507059 01120000 1c354b72 696e636f6d707265737369626c65 fe020000 7878"),
    ];
    for message in
        [&b""[..], b"a", &random, &letters, &[5; 40_000], &[&letters[..], &random, &letters].concat()]
    {
        let mut stream = Vec::new();
        coding.compress(message, &mut stream);
        seeds.push(stream);
    }
    seeds
}

#[test]
fn changed_streams() {
    for (name, target) in TARGETS {
        let (seeds, mut noise) = (seeds(name), Noise(0x9e37_79b9_7f4a_7c15));
        for seed in &seeds {
            run(name, *target, seed);
            for _ in 0..60 {
                let mut input = seed.clone();
                for _ in 0..=noise.below(4) {
                    // Headers are in front: change those more often.
                    let end = if noise.below(2) == 0 { input.len().min(40) } else { input.len() };
                    let at = noise.below(end);
                    match noise.below(6) {
                        0 | 1 if at < input.len() => input[at] = noise.next() as u8,
                        2 if at < input.len() => input[at] ^= 1 << noise.below(8),
                        3 if at < input.len() => drop(input.remove(at)),
                        4 => input.truncate(at),
                        _ => {
                            let other = &seeds[noise.below(seeds.len())];
                            input.splice(at..at, other.iter().copied()).for_each(drop);
                        }
                    }
                }
                run(name, *target, &input);
            }
        }
    }
}

#[test]
fn noise() {
    for (name, target) in TARGETS {
        let mut noise = Noise(42);
        for _ in 0..300 {
            let length = noise.below(120);
            let input: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
            run(name, *target, &input);
        }
    }
}
