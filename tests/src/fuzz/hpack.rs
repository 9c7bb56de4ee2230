//! Header compression under any bytes.

use antiphon::http2::hpack::{DecodeError, Decoder, DecoderLimits, Encoder, Verdict};
use antiphon::{Fields, Head};

/// A list of raw fields: name, value, never to be indexed.
type Pairs = Vec<(Vec<u8>, Vec<u8>, bool)>;

/// Blocks for one decoder that lives on, cut from the input by length bytes.
///
/// Laws: no panic; heads agree with a plain model of RFC 9113 §8 over the raw fields that a second decoder yields; all
/// that is good can be encoded and decoded again; memory stays within its bounds.
pub fn hpack_decode(data: &[u8]) {
    let mut input = Input(data);
    let limits = match input.byte() {
        Some(first) if first % 2 == 1 => {
            DecoderLimits { header_list: 300, hard_header_list: 600, header_fields: 6 }
        }
        _ => DecoderLimits::default(),
    };
    let mut twins = Twins::new(limits);
    while let Some(op) = input.byte() {
        match op {
            0xfe => twins = twins.resized(input.byte().unwrap_or(0)),
            0xff => {
                let rest = input.take(usize::MAX);
                twins.block(rest);
            }
            len => {
                let block = input.take(usize::from(len));
                twins.block(block);
                // Again: the second time may be answered from memory.
                twins.block(block);
            }
        }
    }
}

/// Two decoders that see the same blocks: one checks, one does not.
struct Twins {
    limits: DecoderLimits,
    checked: Decoder,
    raw: Decoder,
    head: Head,
}

impl Twins {
    fn new(limits: DecoderLimits) -> Self {
        let (checked, raw) = (Decoder::new(4096, limits), Decoder::new(4096, limits));
        Self { limits, checked, raw, head: Head::default() }
    }

    fn resized(mut self, size: u8) -> Self {
        self.checked.set_max_table(usize::from(size) * 32);
        self.raw.set_max_table(usize::from(size) * 32);
        self
    }

    fn block(&mut self, block: &[u8]) {
        let mut pairs = Pairs::new();
        let raw = self.raw.decode_fields(block, &mut |name, value, secret| {
            pairs.push((name.to_vec(), value.to_vec(), secret));
        });
        let checked = self.checked.decode(block, &mut self.head);
        assert_eq!(raw.err(), checked.err());
        match checked {
            Err(_) => {
                assert_eq!(self.head, Head::default());
                *self = Self::new(self.limits);
            }
            Ok(verdict) => {
                self.verdict(verdict, &pairs);
                assert_eq!(probe(&mut self.raw), probe(&mut self.checked), "the tables differ");
            }
        }
        assert!(self.checked.capacity_bytes() <= 40 << 10);
        assert!(
            self.head.capacity_bytes() <= 2 * (self.limits.header_list + 16 * self.limits.header_fields) + 64
        );
    }

    fn verdict(&self, verdict: Verdict, pairs: &Pairs) {
        let over = pairs.len() > self.limits.header_fields
            || pairs.iter().map(|(name, value, _)| name.len() + value.len() + 32).sum::<usize>()
                > self.limits.header_list;
        match (model(pairs), verdict) {
            (None, Verdict::Malformed(_)) => assert_eq!(self.head, Head::default()),
            (Some(_), Verdict::TooLarge) => assert!(over && self.head.fields.is_empty()),
            (Some(expected), Verdict::Good) => {
                assert!(!over);
                assert_eq!(self.head, expected);
                survives(&mut Encoder::new(4096), &self.head);
                survives(&mut Encoder::new(0), &self.head);
            }
            (expected, verdict) => panic!("{verdict:?}, but the model says {expected:?} of {pairs:?}"),
        }
    }
}

/// What the first entries of the table are.
fn probe(decoder: &mut Decoder) -> Vec<Result<Pairs, DecodeError>> {
    [0xbe, 0xbf, 0xc4, 0xf0]
        .map(|index| {
            let mut pairs = Pairs::new();
            decoder
                .decode_fields(&[index], &mut |name, value, secret| {
                    pairs.push((name.to_vec(), value.to_vec(), secret))
                })
                .map(|()| pairs)
        })
        .into()
}

/// RFC 9113 §8.2 and §8.3 as plainly as can be; `None` is malformed.
fn model(pairs: &Pairs) -> Option<Head> {
    let mut pseudo: Vec<(&str, &str)> = Vec::new();
    let mut regular: Vec<(&str, &[u8], bool)> = Vec::new();
    for (name, value, secret) in pairs {
        let name = core::str::from_utf8(name).ok()?;
        if name.starts_with(':') {
            let value = core::str::from_utf8(value).ok().filter(|value| value.is_ascii())?;
            let known = [":method", ":scheme", ":authority", ":path", ":status"].contains(&name);
            if !known || !regular.is_empty() || pseudo.iter().any(|(other, _)| *other == name) {
                return None;
            }
            pseudo.push((name, value));
        } else {
            model_field(name, value)?;
            regular.push((name, value, *secret));
        }
    }
    let find = |name: &str| pseudo.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    let hosts: Vec<&[u8]> = regular.iter().filter(|field| field.0 == "host").map(|field| field.1).collect();
    if hosts.len() > 1 {
        return None;
    }
    let host = hosts.first().and_then(|host| core::str::from_utf8(host).ok());
    let mut head = Head::default();
    match find(":status") {
        Some(status) if pseudo.len() == 1 => {
            let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
            head = Head::response(status.parse().ok().filter(|s| digits && *s >= 100 && *s != 101)?);
        }
        Some(_) => return None,
        None if pseudo.is_empty() => {}
        None => head = model_request(find, host)?,
    }
    let in_request = head.is_request();
    model_fields(&mut head.fields, &regular, in_request);
    Some(head)
}

fn model_fields(fields: &mut Fields, regular: &[(&str, &[u8], bool)], in_request: bool) {
    for (name, value, secret) in regular.iter().filter(|field| !["host", "cookie"].contains(&field.0)) {
        if *secret || ["authorization", "proxy-authorization", "set-cookie"].contains(name) {
            fields.push_sensitive(name, value);
        } else {
            fields.push(name, value);
        }
    }
    for (name, value, _) in regular.iter().filter(|field| field.0 == "host" && !in_request) {
        fields.push(name, value);
    }
    let crumbs: Vec<&[u8]> =
        regular.iter().filter(|field| field.0 == "cookie").map(|field| field.1).collect();
    if !crumbs.is_empty() {
        let crumbs: Vec<&[u8]> = crumbs.into_iter().filter(|crumb| !crumb.is_empty()).collect();
        fields.push_sensitive("cookie", &crumbs.join(&b"; "[..]));
    }
}

fn model_field(name: &str, value: &[u8]) -> Option<()> {
    let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$%&'*+-.^_`|~".contains(c);
    let connection = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];
    let space = |byte: Option<&u8>| byte.is_some_and(|byte| b" \t".contains(byte));
    let good = !name.is_empty()
        && name.chars().all(token)
        && !connection.contains(&name)
        && !value.iter().any(|byte| b"\0\r\n".contains(byte))
        && !space(value.first())
        && !space(value.last())
        && (name != "te" || value == b"trailers")
        && (name != "host" || model_authority(core::str::from_utf8(value).ok()?));
    good.then_some(())
}

fn model_authority(text: &str) -> bool {
    text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b"@/?#\\".contains(&byte))
}

fn model_request<'a>(find: impl Fn(&str) -> Option<&'a str>, host: Option<&str>) -> Option<Head> {
    let method = find(":method")?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if method.is_empty() || !method.chars().all(token) {
        return None;
    }
    let authority = match (find(":authority"), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => return None,
        (Some(authority), _) => authority.to_owned(),
        (None, host) => host.unwrap_or("").to_owned(),
    };
    if !model_authority(&authority) {
        return None;
    }
    if method == "CONNECT" {
        let alone = find(":scheme").is_none() && find(":path").is_none();
        return (alone && find(":authority").is_some_and(|authority| !authority.is_empty()))
            .then(|| Head::request(method, "", &authority, ""));
    }
    let (scheme, path) = (find(":scheme")?, find(":path")?);
    let good_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let good_path =
        path.starts_with('/') && path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#');
    (good_scheme && (good_path || path == "*" && method == "OPTIONS"))
        .then(|| Head::request(method, scheme, &authority, path))
}

/// A good head, encoded twice and decoded, is the same head.
fn survives(encoder: &mut Encoder, head: &Head) {
    let mut decoder = Decoder::new(4096, large());
    for _ in 0..2 {
        let mut block = Vec::new();
        encode(encoder, head, &mut block);
        let mut again = Head::default();
        assert_eq!(decoder.decode(&block, &mut again), Ok(Verdict::Good));
        assert_eq!(again, *head);
    }
}

fn large() -> DecoderLimits {
    DecoderLimits { header_list: 1 << 20, hard_header_list: 1 << 20, header_fields: 4096 }
}

fn encode(encoder: &mut Encoder, head: &Head, block: &mut Vec<u8>) {
    if head.is_request() {
        encoder.encode_request(head, block);
    } else if head.status() != 0 {
        encoder.encode_response(head, block);
    } else {
        encoder.encode_trailers(&head.fields, block);
    }
}

/// Heads made from the input go through one encoder and one decoder, while the table's size changes.
///
/// Laws: what comes out is what went in; a copy of the encoder's input gives the same head again; nothing secret is
/// ever indexed.
pub fn hpack_round_trip(data: &[u8]) {
    let mut input = Input(data);
    let cap = [4096, 0, 100, 65_536][usize::from(input.byte().unwrap_or(0) % 4)];
    let mut encoder = Encoder::new(cap);
    let mut decoder = Decoder::new(4096, large());
    let (mut head, mut again, mut block) = (Head::default(), Head::default(), Vec::new());
    while let Some(op) = input.byte() {
        if op % 8 == 7 {
            let size = [0, 1, 50, 200, 1000, 4096, 5000, 70_000][usize::from(op / 8 % 8)];
            encoder.set_peer_max_table(size);
            decoder.set_max_table(size);
            continue;
        }
        if op % 8 != 6 {
            fill(&mut head, op, &mut input);
        }
        block.clear();
        encode(&mut encoder, &head, &mut block);
        assert_eq!(decoder.decode(&block, &mut again), Ok(Verdict::Good), "{head:?}");
        assert_eq!(again, head);
        if cap > 0 {
            secrets_stay_out(&mut decoder, &mut head, &mut encoder);
        }
    }
}

/// RFC 7541 §7.1.3: a secret is a literal each time, marked as such.
fn secrets_stay_out(decoder: &mut Decoder, head: &mut Head, encoder: &mut Encoder) {
    let mut block = Vec::new();
    encode(encoder, head, &mut block);
    let mut secrets = 0;
    let mut count = |name: &[u8], _: &[u8], secret: bool| {
        let named = [&b"authorization"[..], b"proxy-authorization", b"cookie", b"set-cookie"].contains(&name);
        assert!(secret || !named);
        secrets += usize::from(secret);
    };
    assert_eq!(decoder.decode_fields(&block, &mut count), Ok(()));
    assert_eq!(secrets, head.fields.iter().filter(|field| field.sensitive).count());
}

fn fill(head: &mut Head, op: u8, input: &mut Input<'_>) {
    head.clear();
    match op % 8 {
        0 | 1 => {
            let path = format!("/{}", input.letters());
            let authority = input.letters();
            let method = ["GET", "POST", "PUT", "OPTIONS"][usize::from(op / 8 % 4)];
            head.set_request(method, ["http", "https", "x"][usize::from(op % 3)], &authority, &path);
        }
        2 => head.set_request("CONNECT", "", "host:443", ""),
        3 | 4 => {
            let status = [200, 204, 404, 500, 503, 103, 999][usize::from(op / 8 % 7)];
            head.set_response(status);
        }
        _ => {}
    }
    for _ in 0..op / 16 {
        push(&mut head.fields, input);
    }
}

fn push(fields: &mut Fields, input: &mut Input<'_>) {
    const NAMES: [&str; 12] = [
        "content-type",
        "content-length",
        "grpc-timeout",
        "authorization",
        "set-cookie",
        "proxy-authorization",
        "user-agent",
        "grpc-trace-bin",
        "accept-encoding",
        "x-tag",
        "grpc-status",
        "date",
    ];
    let Some(op) = input.byte() else { return };
    let name = match NAMES.get(usize::from(op % 16)) {
        Some(name) => (*name).to_owned(),
        None => format!("x{}", input.letters()),
    };
    let secret =
        op % 16 > 13 || ["authorization", "set-cookie", "proxy-authorization"].contains(&name.as_str());
    let len = usize::from(op / 16) * [1, 3, 70][usize::from(op % 3)];
    let value: Vec<u8> = match op % 5 {
        0 => input
            .take(len)
            .iter()
            .map(|byte| if b"\0\r\n\t ".contains(byte) { b'_' } else { *byte })
            .collect(),
        1 => b"application/grpc".to_vec(),
        2 => vec![b'x'; len],
        _ => input.letters().into_bytes(),
    };
    if secret {
        fields.push_sensitive(&name, &value);
    } else {
        fields.push(&name, &value);
    }
}

/// Choices read from bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn letters(&mut self) -> String {
        let len = usize::from(self.byte().unwrap_or(0) % 12);
        self.take(len).iter().map(|byte| char::from(b'a' + byte % 26)).collect()
    }
}
