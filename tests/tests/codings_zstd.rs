//! Zstandard: its frames, windows and sizes, and what other implementations wrote. What all codings keep to is in
//! `codings.rs`.

use antiphon::rpc::{Coding, DecompressError, Zstd};
use antiphon_tests::hex::unhex;

fn compress(coding: &dyn Coding, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    coding.compress(message, &mut out);
    out
}

fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = b"before".to_vec();
    let result = Zstd::default().decompress(data, max, &mut out);
    assert!(out.starts_with(b"before"));
    let made = out.split_off(6);
    assert!(made.len() <= max + 1, "{} of {max}", made.len());
    result.map(|()| made)
}

// RFC 8878 §3: one frame or more, one after the other; §3.1.2: frames to be skipped.
#[test]
fn frames_of_zstd_follow_each_other() {
    let one = compress(&Zstd::default(), b"ab");
    let skippable = unhex("502a4d18 03000000 787878");
    let join = |frames: &[&[u8]]| decompress(&frames.concat(), 1000);
    assert_eq!(join(&[&one, &one, &skippable, &one]), Ok(b"ababab".to_vec()));
    assert_eq!(join(&[&skippable, &one]), Ok(b"ab".to_vec()));
    assert_eq!(join(&[&skippable]), Ok(Vec::new()));
    assert_eq!(join(&[&skippable[..9]]), Err(DecompressError::Corrupt));
    assert_eq!(join(&[&one, &skippable[..4]]), Err(DecompressError::Corrupt));
    assert_eq!(join(&[&one.repeat(16)]), Ok(b"ab".repeat(16)));
    assert_eq!(join(&[&one.repeat(17)]), Err(DecompressError::Corrupt), "endless frames");
    assert_eq!(decompress(&one.repeat(2), 3), Err(DecompressError::TooLarge));
}

// RFC 9659 §3: a window of 8 MiB at most. Written by python-zstandard 0.25.0 (libzstd 1.5.7) with window_log 23 and 24.
#[test]
fn windows_of_zstd_are_bounded() {
    assert_eq!(decompress(&unhex("28b52ffd 00681100006869"), 2), Ok(b"hi".to_vec()));
    assert_eq!(decompress(&unhex("28b52ffd 00701100006869"), 2), Err(DecompressError::Corrupt));
    // Also where the message is so small that no window is needed.
    assert_eq!(decompress(&unhex("28b52ffd 80680200 0000 110000 6869"), 2), Ok(b"hi".to_vec()));
    assert_eq!(decompress(&unhex("28b52ffd 80690200 0000 110000 6869"), 2), Err(DecompressError::Corrupt));
    // The window descriptor's largest: 3.75 TiB (RFC 8878 §3.1.1.1.2).
    assert_eq!(decompress(&unhex("28b52ffd 00ff1100006869"), 2), Err(DecompressError::Corrupt));
    // A single segment that announces 4 EiB.
    let huge = unhex("28b52ffd e0 0000000000000040 110000 6869");
    assert_eq!(decompress(&huge, 2), Err(DecompressError::Corrupt));
}

// RFC 8878 §3.1.1.1.4: a content size is exact, also when the last block is empty.
#[test]
fn content_sizes_of_zstd_are_exact() {
    assert_eq!(decompress(&unhex("28b52ffd 2002 110000 6869"), 9), Ok(b"hi".to_vec()));
    for size in ["00", "01", "03", "ff"] {
        for blocks in ["110000 6869", "100000 6869 010000"] {
            let frame = unhex(&format!("28b52ffd 20{size} {blocks}"));
            for max in [2, 9, 4000] {
                assert_eq!(decompress(&frame, max), Err(DecompressError::Corrupt), "{size} {blocks}");
            }
        }
    }
    assert_eq!(decompress(&unhex("28b52ffd 200f 010000"), 15), Err(DecompressError::Corrupt));
}

// The highest level keeps to windows of 8 MiB (RFC 9659 §3), also for messages above them.
#[test]
fn the_highest_level_makes_what_everybody_reads() {
    let large = [vec![7; 5 << 20], b"between".to_vec(), vec![8; 5 << 20]].concat();
    let compressed = compress(&Zstd::with_level(19), &large);
    assert!(decompress(&compressed, large.len()).as_deref() == Ok(&large));
}

// A frame that names a dictionary, by python-zstandard 0.25.0 with a raw one: without it the offsets reach nothing.
#[test]
fn dictionaries_are_not_taken() {
    let zstd = "28b52ffd20d6a50200a2051217a0272d068d22978b5c0e91d97e4abfce1c050b43d5a801c4592b358443b2ed1943e3d28b5ca3c192
        61db32aec0c4a9a27821549f3af268a5a2e73158c878e807c185db3ccd1f2002008f5da562ef7403";
    assert_eq!(decompress(&unhex(zstd), 1000), Err(DecompressError::Corrupt));
}

/// By klauspost/compress 1.18.1 (Go), zstd with a checksum.
const ZSTD: &str =
    "28b52ffd0400ad020022c6121590070cafec34452a334992bc16dd008b854a4d2a1d43fb88ad80597e8d76494e7cc0f60da1e7f0
    6b2227c1875271becad0958ac5394ff1572dab3c0b7e627003f67eed988530c6390602015418052a1a7b63b7d10b";

// A checksum is checked when the sender added one.
#[test]
fn a_foreign_vector() {
    let verse = "An antiphon is sung by two choirs that answer each other. ";
    let text = format!("{verse}{verse}{verse}Te Deum laudamus; te Dominum confitemur.").into_bytes();
    let data = unhex(ZSTD);
    assert_eq!(decompress(&data, 214), Ok(text));
    assert_eq!(decompress(&data, 213), Err(DecompressError::TooLarge));
    for cut in 0..data.len() {
        assert_eq!(decompress(&data[..cut], 214), Err(DecompressError::Corrupt), "{cut}");
    }
    let mut wrong = data.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(decompress(&wrong, 1000), Err(DecompressError::Corrupt));
}
