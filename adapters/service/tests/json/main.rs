//! The JSON of messages, rule by rule (ProtoJSON: protobuf.dev "ProtoJSON Format"; RFC 8259).
//!
//! The message is held as its wire form alone: what the codec makes of it passes through a real encoding.
#![cfg(feature = "json")]

mod hostile;

use std::sync::OnceLock;

use antiphon_service::prost::encoding::{DecodeContext, WireType};
use antiphon_service::prost::{self, DecodeError, Message};
use antiphon_service::{Bytes, Code, Codec, Json, JsonOptions, Schema};

const EVERYTHING: &str = "json.v1.Everything";

/// A message as it travels, field by field.
#[derive(Clone, Debug, Default, PartialEq)]
struct Raw(Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, buf: &mut impl prost::bytes::BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl prost::bytes::Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::encode_key(tag, wire_type, &mut self.0);
        match wire_type {
            WireType::LengthDelimited => {
                let mut value = Vec::new();
                prost::encoding::bytes::merge(wire_type, &mut value, buf, context)?;
                prost::encoding::encode_varint(value.len() as u64, &mut self.0);
                self.0.extend(value);
            }
            WireType::Varint => {
                let value = prost::encoding::decode_varint(buf)?;
                prost::encoding::encode_varint(value, &mut self.0);
            }
            WireType::SixtyFourBit => {
                let mut value = 0_u64;
                prost::encoding::fixed64::merge(wire_type, &mut value, buf, context)?;
                self.0.extend(value.to_le_bytes());
            }
            WireType::ThirtyTwoBit => {
                let mut value = 0_u32;
                prost::encoding::fixed32::merge(wire_type, &mut value, buf, context)?;
                self.0.extend(value.to_le_bytes());
            }
            WireType::StartGroup => loop {
                let (inner, wire_type) = prost::encoding::decode_key(buf)?;
                if wire_type == WireType::EndGroup {
                    prost::encoding::encode_key(inner, wire_type, &mut self.0);
                    break;
                }
                self.merge_field(inner, wire_type, buf, context.clone())?;
            },
            WireType::EndGroup => panic!("a group ends that never began"),
        }
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

fn compile(source: &str, text: &str) -> &'static Schema {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(Inline(source.to_owned(), text.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(source).unwrap();
    let set = Vec::leak(compiler.encode_file_descriptor_set());
    Box::leak(Box::new(Schema::new(set)))
}

struct Inline(String, String);

impl protox::file::FileResolver for Inline {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == self.0 {
            protox::file::File::from_source(name, &self.1)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<&Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let schema = compile("types.proto", include_str!("types.proto"));
        schema.register();
        schema
    })
}

fn codec(options: JsonOptions) -> Json {
    Json::new(schema(), EVERYTHING).options(options)
}

fn read_with(options: JsonOptions, json: &str) -> Result<Raw, String> {
    codec(options).decode(Bytes::copy_from_slice(json.as_bytes())).map_err(|status| {
        assert_eq!(status.code(), Code::InvalidArgument);
        status.message().trim_start_matches("the message cannot be read: ").to_owned()
    })
}

fn read(json: &str) -> Result<Raw, String> {
    read_with(JsonOptions::default(), json)
}

fn write_with(options: JsonOptions, message: &Raw) -> Result<String, String> {
    let mut out = Vec::new();
    codec(options).encode(message, &mut out).map_err(|status| {
        assert_eq!(status.code(), Code::Internal);
        status.message().trim_start_matches("the message has no JSON: ").to_owned()
    })?;
    Ok(String::from_utf8(out).unwrap())
}

fn write(message: &Raw) -> Result<String, String> {
    write_with(JsonOptions::default(), message)
}

/// (rule, what is read, what is written again)
const ACCEPTED: &[(&str, &str, &str)] = &[
    ("an empty message is an empty object", "{}", "{}"),
    ("space is free", " {\t\"truth\" :\r\n true } ", r#"{"truth":true}"#),
    ("lowerCamelCase is written", r#"{"smallUnsigned":1}"#, r#"{"smallUnsigned":1}"#),
    ("the name in the file is read", r#"{"small_unsigned":1}"#, r#"{"smallUnsigned":1}"#),
    ("json_name is the name", r#"{"@other":"x"}"#, r#"{"@other":"x"}"#),
    ("and so is the original beside it", r#"{"renamed":"x"}"#, r#"{"@other":"x"}"#),
    ("defaults are left out", r#"{"truth":false,"small":0,"text":"","numbers":[],"byName":{}}"#, "{}"),
    ("but for optional fields", r#"{"maybe":0}"#, r#"{"maybe":0}"#),
    ("and for a oneof", r#"{"one":0}"#, r#"{"one":0}"#),
    (
        "null is no value",
        r#"{"text":null,"child":null,"numbers":null,"byName":null,"maybe":null,"time":null}"#,
        "{}",
    ),
    ("null beside a field of a oneof", r#"{"one":1,"other":null}"#, r#"{"one":1}"#),
    (
        "fields are in the order of their numbers",
        r#"{"small":2,"truth":true}"#,
        r#"{"truth":true,"small":2}"#,
    ),
    // Integers.
    ("int32 as a number", r#"{"small":-2147483648}"#, r#"{"small":-2147483648}"#),
    ("int32 as a string", r#"{"small":"12"}"#, r#"{"small":12}"#),
    ("int32 with an exponent", r#"{"small":1e5}"#, r#"{"small":100000}"#),
    ("int32 with an exponent in a string", r#"{"small":"1E2"}"#, r#"{"small":100}"#),
    ("int32 with an empty fraction", r#"{"small":"100000.000"}"#, r#"{"small":100000}"#),
    ("negative zero", r#"{"small":-0}"#, "{}"),
    (
        "int64 is written as a string",
        r#"{"large":9223372036854775807}"#,
        r#"{"large":"9223372036854775807"}"#,
    ),
    ("int64 as a string", r#"{"large":"-9223372036854775808"}"#, r#"{"large":"-9223372036854775808"}"#),
    (
        "uint64 above 2^63",
        r#"{"largeUnsigned":18446744073709551615}"#,
        r#"{"largeUnsigned":"18446744073709551615"}"#,
    ),
    ("uint32 up to its end", r#"{"smallUnsigned":4294967295}"#, r#"{"smallUnsigned":4294967295}"#),
    // Floating point.
    ("double in its shortest form", r#"{"precise":1.0}"#, r#"{"precise":1}"#),
    ("double exactly", r#"{"precise":0.1}"#, r#"{"precise":0.1}"#),
    (
        "double to the last bit",
        r#"{"precise":2.2250738585072014e-308}"#,
        r#"{"precise":2.2250738585072014e-308}"#,
    ),
    ("double from a string", r#"{"precise":"1.5e300"}"#, r#"{"precise":1.5e+300}"#),
    ("float in its own shortest form", r#"{"single":0.1}"#, r#"{"single":0.1}"#),
    ("NaN", r#"{"precise":"NaN","single":"NaN"}"#, r#"{"single":"NaN","precise":"NaN"}"#),
    (
        "Infinity",
        r#"{"precise":"Infinity","single":"-Infinity"}"#,
        r#"{"single":"-Infinity","precise":"Infinity"}"#,
    ),
    // Text and bytes.
    (
        "escapes",
        r#"{"text":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00"}"#,
        "{\"text\":\"\\\"\\\\/\\b\\f\\n\\r\\tA\u{1f600}\"}",
    ),
    ("bytes in base64", r#"{"data":"+/8="}"#, r#"{"data":"+/8="}"#),
    ("bytes in the alphabet of URLs", r#"{"data":"-_8="}"#, r#"{"data":"+/8="}"#),
    ("bytes without padding", r#"{"data":"-_8"}"#, r#"{"data":"+/8="}"#),
    // Enums.
    ("an enum value by name", r#"{"color":"COLOR_BLUE"}"#, r#"{"color":"COLOR_BLUE"}"#),
    ("by number", r#"{"color":-2}"#, r#"{"color":"COLOR_BLUE"}"#),
    ("by its other name", r#"{"color":"COLOR_CRIMSON"}"#, r#"{"color":"COLOR_RED"}"#),
    ("an unknown number stays a number", r#"{"color":77}"#, r#"{"color":77}"#),
    (
        "a list of them",
        r#"{"colors":["COLOR_RED",0,77]}"#,
        r#"{"colors":["COLOR_RED","COLOR_UNSPECIFIED",77]}"#,
    ),
    // Lists and maps.
    ("messages in lists", r#"{"children":[{},{"small":1}]}"#, r#"{"children":[{},{"small":1}]}"#),
    ("maps in the order of their keys", r#"{"byName":{"b":2,"a":1}}"#, r#"{"byName":{"a":1,"b":2}}"#),
    (
        "keys that are numbers, in their order",
        r#"{"byNumber":{"10":"c","-1":"a","9":"b"}}"#,
        r#"{"byNumber":{"-1":"a","9":"b","10":"c"}}"#,
    ),
    (
        "keys that are booleans",
        r#"{"byTruth":{"true":"COLOR_RED","false":0}}"#,
        r#"{"byTruth":{"false":"COLOR_UNSPECIFIED","true":"COLOR_RED"}}"#,
    ),
    // Well-known types.
    ("Timestamp", r#"{"time":"1972-01-01T10:00:20.021+01:00"}"#, r#"{"time":"1972-01-01T09:00:20.021Z"}"#),
    ("Duration", r#"{"span":"-1.5s"}"#, r#"{"span":"-1.500s"}"#),
    ("FieldMask", r#"{"mask":"user.displayName,photo"}"#, r#"{"mask":"user.displayName,photo"}"#),
    ("an empty FieldMask", r#"{"mask":""}"#, r#"{"mask":""}"#),
    ("Empty", r#"{"empty":{}}"#, r#"{"empty":{}}"#),
    (
        "wrappers",
        r#"{"int64Box":"7","bytesBox":"AA","stringBox":"","boolBox":false,"uint64Box":1}"#,
        r#"{"int64Box":"7","bytesBox":"AA==","stringBox":"","boolBox":false,"uint64Box":"1"}"#,
    ),
    (
        "wrappers of NaN and Infinity",
        r#"{"doubleBox":"NaN","floatBox":"-Infinity"}"#,
        r#"{"doubleBox":"NaN","floatBox":"-Infinity"}"#,
    ),
    (
        "Struct",
        r#"{"object":{"b":[1,"x",null,true],"a":{}}}"#,
        r#"{"object":{"a":{},"b":[1,"x",null,true]}}"#,
    ),
    ("ListValue", r#"{"list":[[],1.5]}"#, r#"{"list":[[],1.5]}"#),
    ("Value", r#"{"value":[{"a":null}]}"#, r#"{"value":[{"a":null}]}"#),
    ("null is a Value", r#"{"value":null}"#, r#"{"value":null}"#),
    ("null in a list of Value", r#"{"values":[null,1]}"#, r#"{"values":[null,1]}"#),
    ("null for a list of Value is none", r#"{"values":null}"#, "{}"),
    ("NullValue", r#"{"nothing":null}"#, r#"{"nothing":null}"#),
    ("NullValue by name", r#"{"nothing":"NULL_VALUE"}"#, r#"{"nothing":null}"#),
    // Any.
    (
        "Any of a message",
        r#"{"any":{"@type":"type.googleapis.com/json.v1.Everything","small":1}}"#,
        r#"{"any":{"@type":"type.googleapis.com/json.v1.Everything","small":1}}"#,
    ),
    (
        "Any whose type comes last",
        r#"{"any":{"small":1,"@type":"x/json.v1.Everything"}}"#,
        r#"{"any":{"@type":"x/json.v1.Everything","small":1}}"#,
    ),
    (
        "Any of a type with its own form",
        r#"{"any":{"value":"1s","@type":"x/google.protobuf.Duration"}}"#,
        r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
    ),
    (
        "Any in Any",
        r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Int64Value","value":"3"}}}"#,
        r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Int64Value","value":"3"}}}"#,
    ),
    (
        "Any in a message in Any",
        r#"{"any":{"@type":"x/json.v1.Everything","any":{"@type":"x/json.v1.Everything","truth":true}}}"#,
        r#"{"any":{"@type":"x/json.v1.Everything","any":{"@type":"x/json.v1.Everything","truth":true}}}"#,
    ),
    ("an empty Any", r#"{"any":{}}"#, r#"{"any":{}}"#),
];

/// (rule, what is refused, what the error says)
const REFUSED: &[(&str, &str, &str)] = &[
    ("a message is an object", "[]", "expected an object, found a list"),
    ("a message is not null", "null", "expected an object, found null"),
    ("one value and nothing behind it", "{} x", "trailing characters"),
    ("nothing is no value", "", "EOF"),
    ("no comma at the end", r#"{"small":1,}"#, "trailing comma"),
    ("no single quotes", "{'small':1}", "key must be a string"),
    ("names are quoted", "{small:1}", "key must be a string"),
    ("no comments", "{} // x", "trailing characters"),
    ("fields are known", r#"{"child":{"unknown":1}}"#, "child.unknown: json.v1.Everything has no such field"),
    ("names are exact", r#"{"SmallUnsigned":1}"#, "SmallUnsigned: json.v1.Everything has no such field"),
    ("a field is there once", r#"{"small":1,"small":1}"#, "small: the field is there twice"),
    (
        "under either name",
        r#"{"smallUnsigned":1,"small_unsigned":1}"#,
        "small_unsigned: the field is there twice",
    ),
    ("even as null", r#"{"small":null,"small":1}"#, "small: the field is there twice"),
    ("one field of a oneof", r#"{"one":1,"other":""}"#, "other: another field of the oneof choice is set"),
    (
        "a oneof with null as a value",
        r#"{"nothing":null,"one":1}"#,
        "nothing: another field of the oneof choice is set",
    ),
    ("int32 has a range", r#"{"small":2147483648}"#, "small: the number is out of range"),
    ("in a string too", r#"{"small":"-2147483649"}"#, "small: the number is out of range"),
    ("uint32 is not negative", r#"{"smallUnsigned":-1}"#, "smallUnsigned: the number is out of range"),
    ("int64 has a range", r#"{"large":9223372036854775808}"#, "large: the number is out of range"),
    ("and above what 64 bits hold", r#"{"large":-9223372036854775809}"#, "large: the number is out of range"),
    (
        "uint64 has a range",
        r#"{"largeUnsigned":18446744073709551616}"#,
        "largeUnsigned: the number is out of range",
    ),
    (
        "uint64 in a string",
        r#"{"largeUnsigned":"18446744073709551616"}"#,
        "largeUnsigned: the number is out of range",
    ),
    ("integers are whole", r#"{"small":0.5}"#, "small: the number is not whole"),
    (
        "integers have no space around them",
        r#"{"small":" 1"}"#,
        "small: expected a number or a string of one",
    ),
    ("integers have no plus", r#"{"small":"+1"}"#, "small: expected a number"),
    ("integers have no zeros in front", r#"{"small":"01"}"#, "small: expected a number"),
    ("integers are not hexadecimal", r#"{"small":"0x1"}"#, "small: expected a number"),
    ("an empty string is no integer", r#"{"small":""}"#, "small: expected a number"),
    (
        "true is no integer",
        r#"{"small":true}"#,
        "small: expected a number or a string of one, found a boolean",
    ),
    ("double has a range", r#"{"precise":1e309}"#, "number out of range"),
    ("in a string too", r#"{"precise":"1e309"}"#, "precise: expected a number"),
    ("float has a range", r#"{"single":3.5e38}"#, "single: the number is out of range"),
    ("float in a string has one", r#"{"single":"-3.5e38"}"#, "single: the number is out of range"),
    ("NaN is spelled so", r#"{"precise":"nan"}"#, "precise: expected a number, NaN"),
    ("infinity is spelled so", r#"{"precise":"inf"}"#, "precise: expected a number, NaN"),
    ("NaN is a string", r#"{"precise":NaN}"#, "expected"),
    ("a boolean is no string", r#"{"truth":"true"}"#, "truth: expected true or false, found a string"),
    ("nor a number", r#"{"truth":1}"#, "truth: expected true or false, found a number"),
    ("a string is no number", r#"{"text":1}"#, "text: expected a string, found a number"),
    ("surrogates come in pairs", r#"{"text":"\ud83d"}"#, "hex escape"),
    ("no control characters in strings", "{\"text\":\"\n\"}", "control character"),
    ("base64 of one alphabet", r#"{"data":"+_8="}"#, "data: no base64"),
    ("base64 of whole bytes", r#"{"data":"A"}"#, "data: no base64"),
    ("base64 without space", r#"{"data":"+/ 8="}"#, "data: no base64"),
    ("names of enum values are known", r#"{"color":"COLOR_GREEN"}"#, "color: json.v1.Color has no value"),
    ("names of enum values are exact", r#"{"color":"color_red"}"#, "color: json.v1.Color has no value"),
    ("numbers of enum values are whole", r#"{"color":0.5}"#, "color: the number is not whole"),
    ("no null in a list", r#"{"numbers":[1,null]}"#, "numbers[1]: expected a number"),
    ("no null in a list of messages", r#"{"children":[null]}"#, "children[0]: expected an object"),
    ("no null in a map", r#"{"byName":{"a":null}}"#, "byName[\"a\"]: expected a number"),
    ("a list is a list", r#"{"numbers":1}"#, "numbers: expected a list, found a number"),
    ("a value is no list", r#"{"small":[1]}"#, "small: expected a number"),
    ("a map is an object", r#"{"byName":[]}"#, "byName: expected an object, found a list"),
    ("a key is there once", r#"{"byNumber":{"1":"","1.0":""}}"#, "byNumber[\"1.0\"]: the key is there twice"),
    ("a key that is a number", r#"{"byNumber":{"x":""}}"#, "byNumber[\"x\"]: the key is no number"),
    ("a key that is a boolean", r#"{"byTruth":{"1":0}}"#, "byTruth[\"1\"]: the key is neither"),
    ("timestamps", r#"{"time":"1972-01-01"}"#, "time: no timestamp"),
    ("timestamps are strings", r#"{"time":{"seconds":1}}"#, "time: expected a timestamp, found an object"),
    ("durations", r#"{"span":"1"}"#, "span: no duration"),
    ("field masks", r#"{"mask":"a_b"}"#, "mask: no field mask"),
    ("Empty is empty", r#"{"empty":{"a":1}}"#, "empty.a: google.protobuf.Empty has no such field"),
    ("a Struct's keys are there once", r#"{"object":{"a":1,"a":2}}"#, "object.a: the key is there twice"),
    ("ListValue is a list", r#"{"list":{}}"#, "list: expected a list"),
    ("an Any has a type", r#"{"any":{"small":1}}"#, "any: an Any needs a field @type"),
    (
        "once",
        r#"{"any":{"@type":"x/json.v1.Everything","@type":"x/json.v1.Everything"}}"#,
        "any.@type: the field is there twice",
    ),
    (
        "with a URL",
        r#"{"any":{"@type":"json.v1.Everything"}}"#,
        "any.@type: \"json.v1.Everything\" is no URL",
    ),
    (
        "that is known",
        r#"{"any":{"@type":"x/json.v1.Nothing"}}"#,
        "any.@type: no schema that is registered has the type json.v1.Nothing",
    ),
    (
        "whose fields are known",
        r#"{"any":{"@type":"x/json.v1.Everything","x":1}}"#,
        "any.x: json.v1.Everything has no such field",
    ),
    (
        "an own form has a value",
        r#"{"any":{"@type":"x/google.protobuf.Duration"}}"#,
        "any: an Any of this type needs a field value",
    ),
    (
        "and nothing else",
        r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","x":1}}"#,
        "any.x: an Any of this type has a value",
    ),
];

#[test]
fn what_is_accepted_and_written_again() {
    for (rule, json, canonical) in ACCEPTED {
        let message = read(json).unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert_eq!(write(&message).as_deref(), Ok(*canonical), "{rule}");
        let again = read(canonical).unwrap_or_else(|error| panic!("{rule}, again: {error}"));
        assert_eq!(write(&again).as_deref(), Ok(*canonical), "{rule}, again");
    }
}

#[test]
fn what_is_refused_and_why() {
    for (rule, json, error) in REFUSED {
        let said = read(json).expect_err(rule);
        assert!(said.contains(error), "{rule}: {said}");
    }
}

// ProtoJSON "JSON Options": ignore unknown fields; always emit fields without presence.
#[test]
fn options() {
    let lenient = JsonOptions::lenient();
    for (json, canonical) in [
        (r#"{"unknown":{"a":[1,2]},"small":1}"#, r#"{"small":1}"#),
        (r#"{"color":"COLOR_GREEN"}"#, "{}"),
        (
            r#"{"colors":["COLOR_GREEN","COLOR_RED"],"byTruth":{"true":"COLOR_GREEN"}}"#,
            r#"{"colors":["COLOR_RED"]}"#,
        ),
        (r#"{"empty":{"a":1}}"#, r#"{"empty":{}}"#),
        (
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","x":1}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
        ),
    ] {
        assert_eq!(write(&read_with(lenient, json).unwrap()).as_deref(), Ok(canonical));
    }
    // Unknown is not the same as wrong.
    assert!(read_with(lenient, r#"{"small":"x"}"#).is_err());

    let mut all = JsonOptions::default();
    all.write_defaults = true;
    let text = write_with(all, &Raw::default()).unwrap();
    assert!(text.starts_with(r#"{"truth":false,"small":0,"large":"0","#), "{text}");
    assert!(text.contains(r#""numbers":[],"colors":[],"children":[],"byName":{}"#), "{text}");
    assert!(!text.contains("maybe") && !text.contains("child\"") && !text.contains("one"), "{text}");
}

// What one message of a peer may cost: depth is bounded, in Any too, where each level is encoded on its own.
#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{}{{}}{}", "{\"child\":".repeat(levels), "}".repeat(levels));
    assert!(read(&nested(90)).is_ok());
    assert!(read(&nested(110)).unwrap_err().contains("too deep"));
    assert!(read(&nested(100_000)).unwrap_err().contains("recursion limit"));
    let lists = format!("{{\"value\":{}{}}}", "[".repeat(120), "]".repeat(120));
    assert!(read(&lists).is_err());
    let ignored = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_with(JsonOptions::lenient(), &ignored).is_err());

    let mut any = prost_types::Any::default();
    for level in 0..500 {
        let type_url = "x/google.protobuf.Any".to_owned();
        any = prost_types::Any { type_url, value: any.encode_to_vec() };
        let mut everything = Vec::new();
        prost::encoding::message::encode(40, &any, &mut everything);
        let written = write(&Raw(everything));
        assert_eq!(written.is_ok(), level < 98, "{level}");
    }
}

// ProtoJSON says what has no JSON; a handler's mistake must not become another message.
#[test]
fn what_has_no_json() {
    let field = |number, message: &dyn Fn(&mut Vec<u8>)| {
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        message(&mut inner);
        prost::encoding::bytes::encode(number, &inner, &mut outer);
        Raw(outer)
    };
    let late = prost_types::Timestamp { seconds: 253_402_300_800, nanos: 0 };
    let mixed = prost_types::Duration { seconds: 1, nanos: -1 };
    let mask = prost_types::FieldMask { paths: vec!["fooBar".to_owned()] };
    let nan = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::NAN)) };
    let none = prost_types::Value { kind: None };
    let strange = prost_types::Any { type_url: "x/no.Such".to_owned(), value: Vec::new() };
    for (number, message, error) in [
        (41, late.encode_to_vec(), "time: a timestamp must be in the years 1 to 9999"),
        (42, mixed.encode_to_vec(), "span: a duration's seconds and nanos must have the same sign"),
        (43, mask.encode_to_vec(), "mask: the path \"fooBar\""),
        (45, nan.encode_to_vec(), "value: a google.protobuf.Value can be no NaN"),
        (45, none.encode_to_vec(), "value: a google.protobuf.Value has no kind"),
        (40, strange.encode_to_vec(), "any: no schema that is registered has the type no.Such"),
    ] {
        let said = write(&field(number, &|out| out.extend_from_slice(&message))).unwrap_err();
        assert!(said.contains(error), "{said}");
    }
}

// A type that only stands in an Any: its schema is registered by itself.
#[test]
fn an_any_of_another_file() {
    let json = r#"{"any":{"@type":"x/elsewhere.Thing","size":3}}"#;
    assert!(read(json).is_err());
    let elsewhere = compile(
        "elsewhere.proto",
        r#"syntax = "proto3"; package elsewhere; message Thing { int32 size = 1; }"#,
    );
    elsewhere.register();
    assert_eq!(write(&read(json).unwrap()).as_deref(), Ok(json));
}

// Proto2 has extensions, whose names stand in brackets.
#[test]
fn extensions() {
    let text = r#"syntax = "proto2"; package old; message Open { optional int32 a = 1; extensions 100 to 200; }
        extend Open { optional string more = 100; repeated int32 list = 101; }"#;
    let schema = compile("old.proto", text);
    let codec = Json::new(schema, "old.Open");
    let json = r#"{"a":1,"[old.more]":"x","[old.list]":[1,2]}"#;
    let message: Raw = codec.decode(Bytes::from(json)).unwrap();
    let mut out = Vec::new();
    codec.encode(&message, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), json);
    let unknown: Result<Raw, _> = codec.decode(Bytes::from(r#"{"[old.none]":1}"#));
    assert!(unknown.is_err());
}
