//! What a peer may write on purpose: the wire form stays what any other encoder makes of it, and errors stay short.

use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;

const KINDS: &str = r#"syntax = "proto2"; package kinds;
    enum E { ZERO = 0; MINUS = -1; }
    message M {
      optional int32 a = 1; optional sint32 b = 2; optional sfixed32 c = 3; optional uint32 d = 4;
      optional fixed32 e = 5; optional int64 f = 6; optional sint64 g = 7; optional sfixed64 h = 8;
      optional uint64 i = 9; optional fixed64 j = 10; optional bool k = 11; optional string l = 12;
      optional bytes m = 13; optional float n = 14; optional double o = 15; optional E p = 16;
      optional group Alone = 17 { optional M inner = 1; }
      repeated group Many = 18 { optional int32 x = 1; }
      repeated sint32 packed = 19 [packed = true]; repeated sint32 loose = 20; repeated E enums = 21 [packed = true];
      map<sint64, M> ms = 22; map<fixed32, E> es = 23; map<bool, bytes> bs = 24; repeated string texts = 25;
      repeated fixed64 far = 2000 [packed = true];
    }"#;

/// Every kind of field, each at an end of its range, in no order.
const EVERY_KIND: &str = r#"{"far":["18446744073709551615",0],"texts":["","x"],"bs":{"true":"AA==","false":""},
    "es":{"4294967295":"MINUS"},"ms":{"-9223372036854775808":{"a":1,"ms":{"0":{"a":1}}},"5":{"a":2}},"enums":["MINUS","ZERO",7],
    "loose":[-1,0,1],"packed":[-2147483648,2147483647,0],"many":[{"x":5},{}],"alone":{"inner":{"alone":{}}},"p":"MINUS",
    "o":-0.0,"n":"NaN","m":"","l":"","k":false,"j":"18446744073709551615","i":0,"h":"-9223372036854775808",
    "g":"-9223372036854775808","f":"-1","e":4294967295,"d":0,"c":-2147483648,"b":-2147483648,"a":-1}"#;

/// What prost-reflect makes of the bytes and writes again.
fn by_reflection(schema: &Schema, name: &str, wire: &[u8]) -> Vec<u8> {
    let pool = DescriptorPool::decode(schema.file_descriptor_set()).unwrap();
    let message = DynamicMessage::decode(pool.get_message_by_name(name).unwrap(), wire).unwrap();
    message.encode_to_vec()
}

/// The bytes in some order: those of maps come in any.
fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}

// protobuf.dev "Encoding": the order of numbers, packed where that is said, groups, and no defaults without presence.
#[test]
fn the_wire_form_is_that_of_other_encoders() {
    for (rule, json, _) in ACCEPTED {
        let wire = read(json).unwrap().0;
        assert_eq!(sorted(&wire), sorted(&by_reflection(schema(), "json.v1.Everything", &wire)), "{rule}");
    }
    let kinds = compile("kinds.proto", KINDS);
    let wire = Codec::<Raw>::decode(&Json::new(kinds, "kinds.M"), Bytes::from(EVERY_KIND)).unwrap().0;
    assert_eq!(sorted(&wire), sorted(&by_reflection(kinds, "kinds.M", &wire)));
    // Read as JSON again, it is the same message.
    let mut out = Vec::new();
    Json::new(kinds, "kinds.M").encode(&Raw(wire.clone()), &mut out).unwrap();
    let again = Codec::<Raw>::decode(&Json::new(kinds, "kinds.M"), Bytes::from(out)).unwrap().0;
    assert_eq!(sorted(&wire), sorted(&again));

    let inner =
        |fields: &str| read(&format!(r#"{{"any":{{"@type":"x/json.v1.Everything",{fields}}}}}"#)).unwrap().0;
    assert_eq!(inner(r#""truth":true,"small":2"#), inner(r#""small":2,"truth":true"#), "in an Any as well");
}

// Errors travel in headers, which peers bound: names that a peer has chosen are cut short there.
#[test]
fn errors_are_short_whatever_a_peer_writes() {
    let long = "ä".repeat(1 << 20);
    let deep = format!("{}{{\"{long}\":1}}{}", format!("{{\"{}\":", "child").repeat(80), "}".repeat(80));
    let structs = |depth| format!("{}NaN{}", format!("{{\"{long}\":").repeat(depth), "}".repeat(depth));
    for json in [
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"color":"{long}"}}"#),
        format!(r#"{{"color":"{}"}}"#, "\\u0001".repeat(1 << 20)),
        format!(r#"{{"any":{{"@type":"{long}"}}}}"#),
        format!(r#"{{"any":{{"@type":"x/{long}"}}}}"#),
        format!(r#"{{"byName":{{"{long}":"x"}}}}"#),
        format!(r#"{{"object":{{"{long}":1,"{long}":2}}}}"#),
        format!(r#"{{"object":{}}}"#, structs(3)),
        format!(r#"{{"mask":"{long}"}}"#),
        format!(r#"{{"time":"{long}"}}"#),
        format!(r#"{{"small":"{long}"}}"#),
        format!(r#"{{"small":{long}}}"#),
        deep,
    ] {
        let error = read(&json).unwrap_err();
        assert!(error.len() < 2048, "{} bytes: {:.200}", error.len(), error);
    }
}

// protobuf.dev "Encoding", "Last One Wins" and "Oneofs": what stands in an Any was written by a peer, in any order.
#[test]
fn what_stands_twice_on_the_wire_is_merged() {
    let any = |value: &[u8]| {
        let type_url = "x/json.v1.Everything".to_owned();
        let mut out = Vec::new();
        let any = prost_types::Any { type_url, value: value.to_vec() };
        prost::encoding::message::encode(40, &any, &mut out);
        let written = write(&Raw(out))?;
        let inner = written.strip_prefix(r#"{"any":{"@type":"x/json.v1.Everything""#).unwrap();
        Ok::<_, String>(inner.strip_suffix("}}").unwrap().trim_start_matches(',').to_owned())
    };
    for (rule, wire, json) in [
        ("the last value counts", &b"\x10\x05\x08\x01\x10\x07"[..], r#""truth":true,"small":7"#),
        ("a default that is there is none", b"\x10\x00\x42\x00\xa2\x01\x00\xf0\x01\x00", r#""one":0"#),
        ("-0 is not the default", b"\x39\0\0\0\0\0\0\0\x80", r#""precise":-0"#),
        ("messages are merged", b"\x5a\x02\x08\x01\x5a\x02\x10\x02", r#""child":{"truth":true,"small":2}"#),
        ("the last of a oneof counts", b"\xfa\x01\x01x\xf0\x01\x05", r#""one":5"#),
        ("whatever its number", b"\xf0\x01\x05\xfa\x01\x01x", r#""other":"x""#),
        ("packed or not", b"\xa0\x01\x01\xa2\x01\x02\x02\x03\xa0\x01\x04", r#""numbers":[1,2,3,4]"#),
        (
            "the last value of a key counts",
            b"\xba\x01\x05\x0a\x01a\x10\x01\xba\x01\x05\x0a\x01a\x10\x02",
            r#""byName":{"a":2}"#,
        ),
        ("entries may be empty", b"\xba\x01\x00\xc2\x01\x00", r#""byName":{"":0},"byNumber":{"0":""}"#),
        ("int32 in ten bytes", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", r#""small":-1"#),
        ("what is unknown is left out", b"\x80\x7d\x01\x83\x7d\x84\x7d\x08\x01", r#""truth":true"#),
        ("the last kind of a Value", b"\xea\x02\x04\x20\x01\x08\x00", r#""value":null"#),
        (
            "a Struct's key twice",
            b"\xe2\x02\x12\x0a\x07\x0a\x01a\x12\x02\x20\x01\x0a\x07\x0a\x01a\x12\x02\x08\x00",
            r#""object":{"a":null}"#,
        ),
    ] {
        assert_eq!(any(wire).as_deref(), Ok(json), "{rule}");
    }
    for (rule, wire) in [
        ("a string is UTF-8", &b"\x42\x01\xff"[..]),
        ("another type", b"\x09\0\0\0\0\0\0\0\0"),
        ("a varint for a message", b"\x58\x01"),
        ("cut short", b"\x42\x05a"),
        ("a group without an end", b"\x5b"),
    ] {
        assert!(any(wire).is_err(), "{rule}");
    }
}
