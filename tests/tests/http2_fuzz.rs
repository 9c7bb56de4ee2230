//! The fuzz bodies of HTTP/2 over fixed seeds.

use antiphon_tests::fuzz::http2::{h2_client, h2_pair, h2_server};

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

/// How many seeds: `SEEDS` in the environment makes a night of it.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    0..count
}

fn replay(body: fn(&[u8]), default: u64) {
    for seed in seeds(default) {
        let mut random = Random(seed);
        let len = 20 + usize::from(random.next()) * 6;
        let data = random.bytes(len);
        let result = std::panic::catch_unwind(|| body(&data));
        if let Err(panic) = result {
            panic!("seed {seed}: {:?}", panic.downcast_ref::<String>());
        }
    }
}

#[test]
fn a_server_under_any_bytes() {
    replay(h2_server, 5000);
}

#[test]
fn a_client_under_any_bytes() {
    replay(h2_client, 5000);
}

#[test]
fn a_pair_under_any_cuts() {
    replay(h2_pair, 2000);
}

/// The end of a transport that has not taken what it had been given, found by libFuzzer.
#[test]
fn an_end_behind_a_full_output() {
    let found = "462e0000000b09c5d2000c09c5cf07d2d2000c09c5d20ce4e4e4e4e4e4e4e4e5462e000000f1aad69494e4f1aad6949428f5002c";
    h2_server(&antiphon_tests::hex::unhex(found));
}
