//! The codings of messages: what every one keeps to, and what other implementations wrote.

use antiphon::rpc::{Brotli, Coding, Codings, DecompressError, Deflate, Gzip};
use antiphon_tests::hex::unhex;

/// In order of preference. What is zstd's alone is in `codings_zstd.rs`.
const NAMES: &[&str] = if cfg!(feature = "zstd") {
    &["zstd", "br", "gzip", "deflate", "snappy"]
} else {
    &["br", "gzip", "deflate", "snappy"]
};

/// What the foreign vectors hold.
fn text() -> Vec<u8> {
    let verse = "An antiphon is sung by two choirs that answer each other. ";
    format!("{verse}{verse}{verse}Te Deum laudamus; te Dominum confitemur.").into_bytes()
}

fn compress(coding: &dyn Coding, message: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    coding.compress(message, &mut out);
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

fn decompress(coding: &dyn Coding, data: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = b"before".to_vec();
    let result = coding.decompress(data, max, &mut out);
    assert!(out.starts_with(b"before"));
    let made = out.split_off(6);
    assert!(made.len() <= max + 1, "{} of {max}", made.len());
    result.map(|()| made)
}

fn by_name(name: &str, data: &[u8], max: usize) -> Result<Vec<u8>, DecompressError> {
    let codings = Codings::all();
    decompress(&**codings.find(name).unwrap(), data, max)
}

/// Bytes of every kind: runs, text, and some that cannot be compressed.
fn message(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(length + 4096);
    while out.len() < length {
        match noise() % 4 {
            0 => out.extend((0..noise() % 2000).map(|_| noise() as u8)),
            1 => out.extend(vec![noise() as u8; noise() as usize % 2000]),
            2 => out.extend_from_slice(&text()),
            _ => {
                let start = noise() as usize % (out.len() + 1);
                let end = (start + 500).min(out.len());
                out.extend_from_within(start..end);
            }
        }
    }
    out.truncate(length);
    out
}

#[test]
fn all_are_offered_in_order() {
    assert_eq!(Codings::all().names(), NAMES.join(","));
}

// At the limit a message is good, one byte above it is too large.
#[test]
fn messages_round_trip_and_limits_are_exact() {
    for coding in Codings::all().iter() {
        for length in [0, 1, 2, 1000, 1023, 1024, 1025, 65_535, 65_536, 65_537, 200_000, 1 << 20] {
            let message = message(length);
            let compressed = compress(&**coding, &message);
            for max in [length, length + 1, 4 << 20, usize::MAX - 7] {
                assert!(
                    decompress(&**coding, &compressed, max).as_deref() == Ok(&message),
                    "{coding:?} {length}"
                );
            }
            for max in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|max| *max < length) {
                let result = decompress(&**coding, &compressed, max);
                assert_eq!(result, Err(DecompressError::TooLarge), "{coding:?} {length}");
            }
        }
    }
}

#[test]
fn every_level_makes_what_everybody_reads() {
    let mut codings: Vec<Box<dyn Coding>> = Vec::new();
    for level in [0, 1, 2, 3, 4, 6, 9, 10, 11, 19, 22] {
        codings.push(Box::new(Gzip::with_level(level)));
        codings.push(Box::new(Deflate::with_level(level)));
        codings.push(Box::new(Brotli::with_level(level)));
        #[cfg(feature = "zstd")]
        codings.push(Box::new(antiphon::rpc::Zstd::with_level(level)));
    }
    for length in [0, 1, 20_000] {
        let message = message(length);
        for coding in &codings {
            let compressed = compress(&**coding, &message);
            assert!(
                by_name(coding.name(), &compressed, length).as_deref() == Ok(&message),
                "{coding:?} {length}"
            );
        }
    }
}

// A message that is cut anywhere is corrupt, and so is one that goes on. Snappy has no mark at its end: what is left when
// it is cut behind its identifier is an empty stream (framing_format.txt §4.1).
#[test]
fn cuts_and_trailing_bytes_are_corrupt() {
    for coding in Codings::all().iter() {
        for message in [text(), message(3000), vec![0; 100_000]] {
            let compressed = compress(&**coding, &message);
            for cut in 0..compressed.len() {
                let result = decompress(&**coding, &compressed[..cut], message.len());
                match result {
                    Ok(short) if coding.name() == "snappy" => {
                        assert!(cut == 10 || cut > 65 && short.len() == 65_536, "{cut}");
                        assert!(message.starts_with(&short));
                    }
                    _ => assert_eq!(result, Err(DecompressError::Corrupt), "{coding:?} {cut}"),
                }
            }
            for garbage in [&b"\0"[..], b"\xff", b"garbage", &[0; 9], &compressed[..7]] {
                let long = [&compressed[..], garbage].concat();
                let result = decompress(&**coding, &long, message.len());
                assert_eq!(result, Err(DecompressError::Corrupt), "{coding:?} {garbage:?}");
            }
        }
    }
}

// Each format has at least a header.
#[test]
fn nothing_is_not_a_stream() {
    for coding in Codings::all().iter() {
        assert_eq!(decompress(&**coding, b"", 100), Err(DecompressError::Corrupt), "{coding:?}");
        let empty = compress(&**coding, b"");
        assert!(!empty.is_empty());
        assert_eq!(decompress(&**coding, &empty, 0), Ok(Vec::new()), "{coding:?}");
    }
}

// Where there is a checksum, it is checked: zlib's Adler-32, gzip's and snappy's CRC.
#[test]
fn a_wrong_checksum_is_corrupt() {
    for (name, data, place) in [
        ("deflate", compress(&Deflate::default(), &text()), None),
        ("gzip", compress(&Gzip::default(), &text()), Some(5)),
        ("snappy", unhex(SNAPPY), Some(130 - 14)),
    ] {
        let mut wrong = data.clone();
        let at = wrong.len() - place.unwrap_or(1);
        wrong[at] ^= 1;
        assert!(by_name(name, &data, 1000).is_ok());
        assert_eq!(by_name(name, &wrong, 1000), Err(DecompressError::Corrupt), "{name}");
    }
}

// Nobody has agreed on one. Those of zstd are in `codings_zstd.rs`.
#[test]
fn dictionaries_are_not_taken() {
    // RFC 1950 §2.2, FDICT; by zlib 1.2.13.
    let zlib = "78f90f1b0362c58bd10980300c055779137401bf0447708158a32d98069a04717bfbe10efe1dc7dddc401fa21a2cda89ed81df8a5c
        b4768317f2d1d8cd1d4cb940bd704ff8e35c190b87e0a2d849c226f8302ab50d99b51dd559a2a71772294d50";
    assert_eq!(by_name("deflate", &unhex(zlib), 1000), Err(DecompressError::Corrupt));
}

// RFC 9110 §8.4.1.2: deflate is a zlib stream, and bare DEFLATE is a mistake. By zlib 1.2.13, with and without its header.
#[test]
fn deflate_is_zlib() {
    let bare = DEFLATED;
    assert_eq!(by_name("deflate", &unhex(bare), 1000), Err(DecompressError::Corrupt));
    let zlib = format!("78da {bare} 72294d50");
    assert_eq!(by_name("deflate", &unhex(&zlib), 1000), Ok(text()));
    let twice = [unhex(&zlib), unhex(&zlib)].concat();
    assert_eq!(by_name("deflate", &twice, 1000), Err(DecompressError::Corrupt), "one stream only");
}

// RFC 7932 §9.1: windows end at 24 bits; "large window" is an extension of other documents, announced by 0x11.
#[test]
fn large_windows_of_brotli_are_not_taken() {
    // By brotli 1.2.0 (Python) with lgwin 24.
    assert_eq!(by_name("br", &unhex("8f0080686903"), 2), Ok(b"hi".to_vec()));
    for bits in 10..=30 {
        let large = [&[0x11, bits][..], &unhex("00806869 03")].concat();
        assert_eq!(by_name("br", &large, 1000), Err(DecompressError::Corrupt), "{bits}");
    }
}

// framing_format.txt §4: the identifier comes first and may come again; padding and what may be skipped is skipped; what
// may not is an error.
#[test]
fn chunks_of_snappy() {
    let stream = unhex(SNAPPY);
    let (identifier, data) = stream.split_at(10);
    let join = |pieces: &[&[u8]]| by_name("snappy", &pieces.concat(), 1000);
    let twice = text().repeat(2);
    assert_eq!(join(&[identifier, data, data]).as_deref(), Ok(&twice[..]));
    assert_eq!(join(&[identifier, data, identifier, data]).as_deref(), Ok(&twice[..]));
    assert_eq!(join(&[data]), Err(DecompressError::Corrupt));
    assert_eq!(join(&[identifier, b"\xfe\x02\0\0xx", data]), Ok(text()), "padding");
    assert_eq!(join(&[identifier, b"\x80\x01\0\0x", data, b"\xfd\0\0\0"]), Ok(text()), "skippable");
    assert_eq!(join(&[identifier, b"\x02\x01\0\0x", data]), Err(DecompressError::Corrupt), "unskippable");
    assert_eq!(join(&[identifier, b"\xfe\x03\0\0xx"]), Err(DecompressError::Corrupt), "cut padding");
    assert_eq!(join(&[b"\xff\x06\0\0sNaPpy", data]), Err(DecompressError::Corrupt), "another identifier");
    // Stored, by golang/snappy 1.0.0.
    let stored = unhex("ff060000734e61507059 01120000 1c354b72 696e636f6d707265737369626c65");
    assert_eq!(by_name("snappy", &stored, 14), Ok(b"incompressible".to_vec()));
}

/// By golang/snappy 1.0.0.
const SNAPPY: &str = "ff060000734e61507059007400007e51ea80d601f03c416e20616e746970686f6e2069732073756e672062792074776f206368
    6f697273207468617420616e737765722065616368206f746865722e20416e20fe3a00c23a009c5465204465756d206c617564616d75733b207465
    20446f6d696e756d20636f6e666974656d75722e";

/// By zlib 1.2.13, without header and trailer.
const DEFLATED: &str =
    "c5cbc10d83400c05d1567e053490131225d080b3186c296ba3b52d94eeb35de4fa34b31ac8526f718306a2ecc2fb8b7c1c4d5c
    4720857236f1f0005313780a8f05eb1fce9db171757ca80eea152fe414ef6a139bdba9c9bdc6f203";

#[test]
fn foreign_vectors() {
    for (name, source, data) in [
        ("snappy", "golang/snappy 1.0.0", SNAPPY),
        (
            "br",
            "brotli 1.2.0 (C), quality 11",
            "1bd500e015a1d26db6a57a217d2826374334147c51d87c700fcc091b70021ed860030ea0830f24e72101ca922ab65a0d64a9afb841
                035176e3f8919fa38beb0ca450a2264ffe8e373b63e31a78a84e1a150b72f2a19677b74b93311b",
        ),
        (
            "br",
            "andybalholm/brotli 1.2.0 (Go), quality 6",
            "1bd5000004a2b9a57a212d9425c1100de5d5c70dfc0df6ff881e7053234531e3d3896de0316ccf25e917be0d6444af0a9474c7733c
                9c3ff14dae36fb72d8240817b8de15d4dba1ec9ac62b798ba55742f9ed8a34161c24d47215",
        ),
        (
            "gzip",
            "Python 3.11, zlib 1.2.13",
            "1f8b0800000000000203c5cbc10d83400c05d1567e053490131225d080b3186c296ba3b52d94eeb35de4fa34b31ac8526f718306a2
                ecc2fb8b7c1c4d5c4720857236f1f0005313780a8f05eb1fce9db171757ca80eea152fe414ef6a139bdba9c9bdc6f20354ab52ff
                d6000000",
        ),
        (
            "gzip",
            "klauspost/compress 1.18.1 (Go)",
            "1f8b080000096e8800ffc4cb6d0d42510806e02a6f825bc05f6e378205f088c226e0f8d899ed8d6180e7ea206ffd4838b450e32fdcb
                fe81d58129a85166a90d7e604d312440be7817fc81be3e431bc691e64531734e30c531fc30a7f6ab34d1ebf010054ab52ffd6000
                000",
        ),
    ] {
        let data = unhex(data);
        assert_eq!(by_name(name, &data, 214), Ok(text()), "{source}");
        assert_eq!(by_name(name, &data, 213), Err(DecompressError::TooLarge), "{source}");
        for cut in (0..data.len()).filter(|cut| (name, *cut) != ("snappy", 10)) {
            assert_eq!(by_name(name, &data[..cut], 214), Err(DecompressError::Corrupt), "{source} {cut}");
        }
    }
}
