//! Replays the fuzz bodies of whole connections over noise and over noise that begins well.

use antiphon_tests::fuzz::conn::TARGETS;
use antiphon_tests::pair::next_random;

/// How many inputs each body gets; the environment may ask for more.
fn rounds() -> u64 {
    std::env::var("ANTIPHON_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1500)
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length).map(|_| (next_random(&mut state) >> 24) as u8).collect()
}

fn replay(name: &str) {
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let first = std::env::var("ANTIPHON_FUZZ_FIRST").ok().and_then(|first| first.parse().ok()).unwrap_or(0);
    for seed in first..first + rounds() {
        let mut data = vec![seed as u8];
        if seed % 2 == 0 && name == "server_connection" {
            // The preface of HTTP/2, and a request.
            data.extend_from_slice(&[0, 0, 0, 0, 0, 2, 1, (seed >> 3) as u8, (seed >> 5) as u8, 0, 0, 0]);
        } else if seed % 2 == 0 && name == "client_connection" {
            // A call, and the server's SETTINGS.
            data.extend_from_slice(&[6, (seed >> 1) as u8 | 2, 0, 9, 0, 4, 0, 0, 0]);
        }
        data.extend(noise(seed, 40 + (seed as usize * 7) % 400));
        let result = std::panic::catch_unwind(|| body(&data));
        if result.is_err() {
            panic!("{name} fails for seed {seed}: {data:02x?}");
        }
    }
}

#[test]
fn server_connection() {
    replay("server_connection");
}

#[test]
fn client_connection() {
    replay("client_connection");
}

#[test]
fn pair() {
    replay("pair");
}
