//! Replays the fuzz bodies of JSON over seeds, all their prefixes, and mutations of them.

use antiphon_service::prost::Message;
use antiphon_tests::fuzz::json::TARGETS;
use prost_types::Any;

const SEEDS: &[&str] = &[
    "{}",
    r#"{"@type":"x/google.protobuf.Duration","value":"-1.5s"}"#,
    r#"{"value":"1972-01-01T10:00:20.021+01:00","@type":"x/google.protobuf.Timestamp"}"#,
    r#"{"@type":"x/google.protobuf.FieldMask","value":"user.displayName,photo"}"#,
    r#"{"@type":"x/google.protobuf.Struct","value":{"a":[1,"x",null,true,{"b":-1.5e-3}],"":{}}}"#,
    r#"{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.UInt64Value","value":"18446744073709551615"}}"#,
    r#"{"@type":"x/google.protobuf.DoubleValue","value":"-Infinity"}"#,
    r#"{"@type":"x/google.protobuf.BytesValue","value":"-_8="}"#,
    r#"{"@type":"x/google.protobuf.FileDescriptorProto","name":"\ud83d\ude00","public_dependency":[1,"2",3e0],"messageType":[{"field":[{"label":"LABEL_REQUIRED","type":99}]}]}"#,
    r#"{"@type":"x/google.protobuf.UninterpretedOption","name":[{"namePart":"a","isExtension":true}],"negativeIntValue":"-7","doubleValue":1e-300,"stringValue":"AAE"}"#,
    r#"{"@type":"x/google.protobuf.Type","fields":[{"kind":"TYPE_ENUM","options":[{"name":"o","value":{"@type":"x/google.protobuf.Empty","value":{}}}]}],"syntax":1}"#,
];

struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

fn for_all(input: &[u8]) {
    for (name, target) in TARGETS {
        let shown = input[..input.len().min(300)].escape_ascii();
        assert!(std::panic::catch_unwind(|| target(input)).is_ok(), "{name} fails on \"{shown}\"");
    }
}

fn mutated(seed: &[u8], others: &[Vec<u8>], noise: &mut Noise) -> Vec<u8> {
    let interesting = b"{}[]\":,0159-+.eEZTs\\ntu/=_\0\x01\x08\x0a\x12\x1a\x7f\x80\xff";
    let mut input = seed.to_vec();
    for _ in 0..=noise.below(4) {
        let (at, byte) = (noise.below(input.len()), interesting[noise.below(interesting.len())]);
        match noise.below(4) {
            0 if !input.is_empty() => input[at] = byte,
            1 if !input.is_empty() => drop(input.remove(at)),
            2 => input.splice(at..at, others[noise.below(others.len())].iter().copied()).for_each(drop),
            _ => input.insert(at, byte),
        }
    }
    input
}

#[test]
fn text() {
    let seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let mut noise = Noise(1);
    for seed in &seeds {
        (0..=seed.len()).for_each(|end| for_all(&seed[..end]));
        (0..1500).for_each(|_| for_all(&mutated(seed, &seeds, &mut noise)));
    }
}

#[test]
fn messages() {
    let any = |name: &str, value: Vec<u8>| {
        Any { type_url: format!("x/google.protobuf.{name}"), value }.encode_to_vec()
    };
    let inner = any("Duration", prost_types::Duration { seconds: -1, nanos: -5 }.encode_to_vec());
    let mut strange =
        prost_types::FileDescriptorProto { name: Some("\u{1f600}\0".to_owned()), ..Default::default() };
    strange.message_type.push(prost_types::DescriptorProto::default());
    strange.public_dependency = vec![-1, i32::MAX];
    let option = prost_types::UninterpretedOption {
        double_value: Some(f64::NAN),
        positive_int_value: Some(u64::MAX),
        string_value: Some(vec![0, 255]),
        ..Default::default()
    };
    let seeds = [
        any("Any", inner.clone()),
        inner,
        any("Timestamp", prost_types::Timestamp { seconds: 1, nanos: 7 }.encode_to_vec()),
        any("FileDescriptorProto", strange.encode_to_vec()),
        any("UninterpretedOption", option.encode_to_vec()),
        any("FieldMask", prost_types::FieldMask { paths: vec!["a.b_c".to_owned()] }.encode_to_vec()),
        any("FloatValue", f32::INFINITY.encode_to_vec()),
    ];
    let mut noise = Noise(2);
    for seed in &seeds {
        (0..=seed.len()).for_each(|end| for_all(&seed[..end]));
        (0..1500).for_each(|_| for_all(&mutated(seed, &seeds, &mut noise)));
    }
}

// What a peer may send: much of one thing, and deep.
#[test]
fn bombs() {
    let pieces = [
        "[",
        "{\"a\":",
        "{\"@type\":\"x/google.protobuf.Any\",\"value\":",
        "0,",
        "\"\\u0000",
        "\x0a\x00",
        "1e9",
    ];
    for piece in pieces {
        for length in [1 << 10, 64 << 10] {
            for_all(piece.repeat(length / piece.len()).as_bytes());
            for_all(
                format!("{{\"@type\":\"x/google.protobuf.Value\",\"value\":{}", piece.repeat(length))
                    .as_bytes(),
            );
        }
    }
}
