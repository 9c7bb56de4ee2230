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
