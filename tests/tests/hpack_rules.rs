//! RFC 9113 §8.2 and §8.3: what makes a message malformed, at the level of header blocks.

use antiphon::Head;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Verdict};

/// Literals without indexing, plain.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The verdict, which must be the same for literals, and for fields from the table.
fn decode(fields: &[(&str, &str)]) -> Result<Head, &'static str> {
    let plain = decode_block(&mut Decoder::new(4096, DecoderLimits::default()), &block(fields));
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    let mut indexing = block(fields);
    let mut at = 0;
    while at < indexing.len() {
        indexing[at] = 0x40;
        at += 2 + usize::from(indexing[at + 1]);
        at += 1 + usize::from(indexing[at]);
    }
    assert_eq!(decode_block(&mut decoder, &indexing), plain);
    let indices: Vec<u8> = (0..fields.len()).rev().map(|place| 0xbe + place as u8).collect();
    for _ in 0..2 {
        assert_eq!(decode_block(&mut decoder, &indices), plain);
    }
    plain
}

fn decode_block(decoder: &mut Decoder, block: &[u8]) -> Result<Head, &'static str> {
    let mut head = Head::request("OLD", "old", "old", "/old");
    head.fields.push("old", b"old");
    match decoder.decode(block, &mut head) {
        Ok(Verdict::Good) => Ok(head),
        Ok(Verdict::Malformed(reason)) => {
            assert_eq!(head, Head::default());
            Err(reason)
        }
        other => panic!("{other:?}"),
    }
}

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    GET.iter().chain(more).copied().collect()
}

const NAME: &str = "a field name is empty or has a byte that it may not have";
const VALUE: &str = "a field value has a byte that it may not have, or white space around it";
const PATH: &str = ":path does not begin with a slash, or has a byte that it may not have";
const MISSING: &str = "a request lacks :method, :scheme or :path";
const CONNECT: &str = "a CONNECT request has :scheme or :path, or lacks :authority";
const REPEATED: &str = "a pseudo-field is repeated";

/// RFC 9113 §8.2.1; attacks.md lines 50 and 51.
#[test]
fn names_and_values() {
    for name in ["", "X-Tag", "x tag", "x\u{7f}", "é", "x:y", "x\0", "x\t"] {
        assert_eq!(decode(&with(&[(name, "v")])), Err(NAME), "{name:?}");
    }
    for value in ["a\0", "a\rb", "a\nb", " a", "a ", "\ta", "a\t", " "] {
        assert_eq!(decode(&with(&[("x-tag", value)])), Err(VALUE), "{value:?}");
        assert_eq!(decode(&with(&[("cookie", value)])), Err(VALUE), "{value:?}");
        assert_eq!(decode(&with(&[("authorization", value)])), Err(VALUE), "{value:?}");
    }
    for value in ["", "a b", "a\tb", "é", "a\u{7f}b"] {
        let head = decode(&with(&[("x-tag", value)])).expect(value);
        assert_eq!(head.fields.get("x-tag"), Some(value.as_bytes()));
    }
}

/// RFC 9113 §8.2.2; attacks.md lines 52 and 53.
#[test]
fn connection_specific_fields() {
    for name in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
        assert_eq!(decode(&with(&[(name, "x")])), Err("a field is specific to HTTP/1.1 connections"));
        assert!(decode(&[(":status", "200"), (name, "x")]).is_err());
        assert!(decode(&[(name, "x")]).is_err(), "in trailers");
    }
    assert!(decode(&with(&[("te", "trailers")])).is_ok());
    assert!(decode(&with(&[("te", "trailers, deflate")])).is_err());
}

/// RFC 9113 §8.3; attacks.md line 55.
#[test]
fn pseudo_fields() {
    assert_eq!(decode(&with(&[(":foo", "x")])), Err("a pseudo-field is unknown"));
    assert_eq!(decode(&with(&[(":protocol", "websocket")])), Err("a pseudo-field is unknown"));
    assert_eq!(decode(&with(&[("", "")])), Err(NAME));
    for again in GET {
        assert_eq!(decode(&with(&[again])), Err(REPEATED));
    }
    let mut late = GET.to_vec();
    late.insert(3, ("x-tag", "v"));
    assert_eq!(decode(&late), Err("a pseudo-field follows a regular field"));
    let mut late = GET.to_vec();
    late.insert(3, ("cookie", "v"));
    assert_eq!(decode(&late), Err("a pseudo-field follows a regular field"));
    let mixed = Err("pseudo-fields of requests and responses are mixed");
    assert_eq!(decode(&with(&[(":status", "200")])), mixed);
    assert_eq!(decode(&[(":status", "200"), (":path", "/")]), mixed);
    assert_eq!(decode(&[(":status", "200"), (":status", "200")]), Err(REPEATED));
}

/// RFC 9113 §8.3.1; attacks.md line 56.
#[test]
fn requests_are_complete() {
    let head = decode(&GET).expect("a good request");
    assert_eq!((head.method(), head.scheme(), head.path()), ("GET", "http", "/"));
    assert_eq!(head.authority(), Some("a"));
    for missing in 0..3 {
        let mut fields = GET.to_vec();
        fields.remove(missing);
        assert_eq!(decode(&fields), Err(MISSING), "without {}", GET[missing].0);
        let mut fields = GET.to_vec();
        fields[missing].1 = "";
        assert!(decode(&fields).is_err(), "with an empty {}", GET[missing].0);
    }
    assert_eq!(decode(&[(":authority", "a")]), Err(MISSING));
    assert_eq!(decode(&GET[..3]).expect("no authority is legal").authority(), None);
    for method in ["GE T", "GET\n", "G(T", "é"] {
        assert!(decode(&[(":method", method), GET[1], GET[2]]).is_err(), "{method:?}");
    }
}

/// RFC 9113 §8.3.1; attacks.md line 57.
#[test]
fn paths() {
    let path = |method, path| decode(&[(":method", method), GET[1], (":path", path), GET[3]]);
    for bad in ["a", "/#", "/a b", "/\u{7f}", "/é", "/\t", "http://a/", "/\r\n"] {
        assert_eq!(path("GET", bad), Err(PATH), "{bad:?}");
    }
    assert_eq!(path("GET", "*"), Err(PATH));
    assert!(path("OPTIONS", "*").is_ok());
    assert_eq!(path("GET", "//a/../b?c=%2f").expect("legal").path(), "//a/../b?c=%2f");
}

/// RFC 9113 §8.5
#[test]
fn connect() {
    let head = decode(&[(":method", "CONNECT"), (":authority", "a:1")]).expect("a good request");
    assert_eq!((head.method(), head.authority(), head.path()), ("CONNECT", Some("a:1"), ""));
    assert_eq!(decode(&[(":method", "CONNECT")]), Err(CONNECT));
    assert_eq!(decode(&[(":method", "CONNECT"), (":authority", "")]), Err(CONNECT));
    assert_eq!(decode(&[(":method", "CONNECT"), GET[1], GET[2], GET[3]]), Err(CONNECT));
    assert_eq!(decode(&[(":method", "CONNECT"), ("host", "a:1")]), Err(CONNECT));
}

/// RFC 9113 §8.3.1; attacks.md line 58.
#[test]
fn host_and_authority() {
    let equal = decode(&with(&[("host", "A")])).expect("equal but for case");
    assert_eq!((equal.authority(), equal.fields.len()), (Some("a"), 0));
    assert_eq!(decode(&with(&[("host", "b")])), Err("the host field differs from :authority"));
    assert_eq!(decode(&with(&[("host", "a"), ("host", "a")])), Err("the host field is repeated"));
    let alone = decode(&[GET[0], GET[1], GET[2], ("host", "b:1")]).expect("host stands in");
    assert_eq!((alone.authority(), alone.fields.len()), (Some("b:1"), 0));
    let bad = Err("the authority has user information or a byte that it may not have");
    assert_eq!(decode(&[GET[0], GET[1], GET[2], (":authority", "u:p@h")]), bad);
    assert_eq!(decode(&[GET[0], GET[1], GET[2], ("host", "u@h")]), bad);
    let response = decode(&[(":status", "200"), ("host", "a")]).expect("odd, but no error");
    assert_eq!(response.fields.get("host"), Some(&b"a"[..]));
}

/// RFC 9113 §8.3.2; attacks.md line 60.
#[test]
fn responses() {
    assert_eq!(decode(&[(":status", "204")]).expect("a good response").status(), 204);
    assert!(decode(&[(":status", "103")]).expect("a good response").is_informational());
    for bad in ["", "20", "2000", "101", "2xx", "+20", " 20", "099"] {
        assert_eq!(
            decode(&[(":status", bad)]),
            Err(":status is not three digits of a response in HTTP/2"),
            "{bad:?}"
        );
    }
}

/// RFC 9113 §8.1: the caller sees that these are trailers, and judges whether they may come.
#[test]
fn trailers() {
    let head = decode(&[("grpc-status", "0")]).expect("good trailers");
    assert!(!head.is_request() && head.status() == 0);
    assert_eq!(head.fields.get("grpc-status"), Some(&b"0"[..]));
    assert_eq!(decode(&[]), Ok(Head::default()));
}

/// RFC 9113 §8.2.3; attacks.md line 61.
#[test]
fn cookie_crumbs() {
    let head = decode(&with(&[("cookie", "a=b"), ("x", "y"), ("cookie", "c=d"), ("cookie", "e=f")]));
    let head = head.expect("good");
    let cookies: Vec<_> = head.fields.get_all("cookie").collect();
    assert_eq!(cookies, [&b"a=b; c=d; e=f"[..]]);
    assert!(head.fields.iter().all(|field| field.sensitive == (field.name == "cookie")));
    // No space may stand at an end of a value.
    for (crumbs, joined) in
        [(["", "a=b", "", ""], "a=b"), (["", "", "", ""], ""), (["a", "", "b", ""], "a; b")]
    {
        let head = decode(&with(&crumbs.map(|crumb| ("cookie", crumb)))).expect("good");
        assert_eq!(head.fields.get("cookie"), Some(joined.as_bytes()));
    }
}
