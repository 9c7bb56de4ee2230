//! The stories of hpack-test-case (MIT, HTTP/2 Japan Community): blocks of other encoders, with what they mean.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use antiphon::Head;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder, Verdict};
use antiphon_tests::hex::unhex;
use serde_json::Value;

type Pair = (String, String);

/// The stories by the name of their encoder, or nothing when the archive is not there.
fn stories() -> Option<BTreeMap<String, Vec<Value>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/hpack-test-case.tar.xz");
    let Ok(packed) = std::fs::read(path) else {
        writeln!(std::io::stderr(), "NOT RUN: the vectors of hpack-test-case are not at {path}").ok();
        return None;
    };
    let mut archive = Vec::new();
    lzma_rs::xz_decompress(&mut packed.as_slice(), &mut archive).expect("an xz archive");
    let mut stories: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().expect("a tar archive") {
        let mut entry = entry.expect("a tar entry");
        let path = entry.path().expect("a path").into_owned();
        if path.extension().is_some_and(|extension| extension == "json") {
            let folder = path.parent().and_then(|folder| folder.file_name()).expect("a folder");
            let folder = folder.to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("a story in UTF-8");
            stories.entry(folder).or_default().push(serde_json::from_str(&text).expect("a story"));
        }
    }
    Some(stories)
}

fn cases(story: &Value) -> &Vec<Value> {
    story["cases"].as_array().expect("cases")
}

fn headers(case: &Value) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for header in case["headers"].as_array().expect("headers") {
        for (name, value) in header.as_object().expect("a header") {
            pairs.push((name.clone(), value.as_str().expect("a value").to_owned()));
        }
    }
    pairs
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let result = decoder.decode_fields(block, &mut |name, value, _| pairs.push((text(name), text(value))));
    assert_eq!(result, Ok(()));
    pairs
}

#[test]
fn all_stories_decode() {
    let Some(stories) = stories() else { return };
    let mut blocks = 0;
    for (encoder, stories) in &stories {
        for story in stories.iter().filter(|_| encoder != "raw-data") {
            let mut decoder = Decoder::new(4096, DecoderLimits::default());
            let mut checked = Decoder::new(4096, DecoderLimits::default());
            let mut head = Head::default();
            for case in cases(story) {
                if let Some(size) = case["header_table_size"].as_u64() {
                    decoder.set_max_table(size as usize);
                    checked.set_max_table(size as usize);
                }
                let block = unhex(case["wire"].as_str().expect("wire"));
                let expected = headers(case);
                assert_eq!(decode(&mut decoder, &block), expected, "{encoder} {}", case["seqno"]);
                // The checking decoder stays in step, whatever it says of the fields.
                let verdict = checked.decode(&block, &mut head).expect("good compression");
                if verdict == Verdict::Good {
                    agrees(&head, &expected);
                }
                blocks += 1;
            }
        }
    }
    assert!(blocks > 20_000, "{blocks} blocks");
}

/// Each field is in the head.
fn agrees(head: &Head, pairs: &[Pair]) {
    for (name, value) in pairs {
        let found = match name.as_str() {
            ":method" => head.method() == value,
            ":scheme" => head.scheme() == value,
            ":authority" => head.authority().unwrap_or("") == value,
            ":path" => head.path() == value,
            ":status" => head.status().to_string() == *value,
            "host" if head.is_request() => {
                head.authority().is_some_and(|host| host.eq_ignore_ascii_case(value))
            }
            "cookie" => head.fields.get("cookie").is_some_and(|cookie| {
                cookie.windows(value.len().max(1)).any(|part| part == value.as_bytes())
            }),
            _ => head.fields.get_all(name).any(|other| other == value.as_bytes()),
        };
        assert!(found, "{name}: {value} is not in {head:?}");
    }
}

/// The heads of all raw stories that are legal in HTTP/2, through encoders with all kinds of tables.
#[test]
fn all_stories_round_trip() {
    let Some(stories) = stories() else { return };
    let (mut heads, mut plain, mut coded) = (0, 0, 0);
    for cap in [0, 256, 4096, 16_384] {
        for story in &stories["raw-data"] {
            let mut encoder = Encoder::new(cap);
            let mut decoder = Decoder::new(4096, DecoderLimits::default());
            encoder.set_peer_max_table(16_384);
            decoder.set_max_table(16_384);
            for case in cases(story) {
                let Some(head) = legal(&headers(case)) else { continue };
                let mut block = Vec::new();
                match head.is_request() {
                    true => encoder.encode_request(&head, &mut block),
                    false => encoder.encode_response(&head, &mut block),
                }
                let mut again = Head::default();
                assert_eq!(decoder.decode(&block, &mut again), Ok(Verdict::Good));
                assert_eq!(again, head);
                heads += 1;
                if cap == 4096 {
                    plain += head.fields.list_size() - 32 * head.fields.len();
                    coded += block.len();
                }
            }
        }
    }
    assert!(heads > 4 * 2000, "{heads} heads");
    // Secrets (cookies above all) are never indexed, which costs; the rest shrinks well.
    assert!(coded * 2 < plain, "{coded} bytes for {plain}");
}

/// The head of these fields as a decoder gives it, when it is legal. Much was recorded from HTTP/1.1 and has fields of
/// its connections.
fn legal(pairs: &[Pair]) -> Option<Head> {
    let mut block = Vec::new();
    let kept = |pair: &&Pair| !["connection", "keep-alive", "transfer-encoding"].contains(&pair.0.as_str());
    for text in pairs.iter().filter(kept).flat_map(|(name, value)| [name, value]).enumerate() {
        if text.0 % 2 == 0 {
            block.push(0);
        }
        let (len, text) = (text.1.len(), text.1.as_bytes());
        if len < 127 {
            block.push(len as u8);
        } else {
            block.extend([
                0x7f,
                (len - 127) as u8 | 0x80,
                ((len - 127) >> 7) as u8 | 0x80,
                ((len - 127) >> 14) as u8,
            ]);
        }
        block.extend_from_slice(text);
    }
    let mut head = Head::default();
    let verdict = Decoder::new(0, DecoderLimits::default()).decode(&block, &mut head);
    (verdict == Ok(Verdict::Good)).then_some(head)
}
