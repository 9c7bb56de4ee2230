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

/// Frames that want answers which cannot be sent any more, found by libFuzzer.
#[test]
fn answers_that_cannot_be_sent_hold_nothing_up() {
    let found = "d4ec2c2c602c24742f00c941ec2c2c2cff052c602c24742f0041ec2c2c2cff05ff8a8a8afe00ff00869f1000006767650001e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e80a0d0d0d15dc6767676767676767650001e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e82e00a52f00a956563a6d65e8e8e8e834e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e8e1e8e82e00a52f004141414141414141414141414141414141414141414141414141a956563a6d6574686f640a4141c0414141417e0dfe0041410000ff8a8a8a5ffe00ff00869f103b0000002e242f0041";
    h2_client(&antiphon_tests::hex::unhex(found));
}
