//! The codec floor: no decoder panics, and what is encoded comes back.

use std::time::Duration;

use antiphon::codec::{
    base64, base64_stream, connect_error, end_stream, envelope, grpc_status, metadata, percent, timeout,
    web_trailers,
};
use antiphon::{Code, Fields, Metadata, Status};
use bytes::BytesMut;

/// The body of a fuzz target.
pub type Target = fn(&[u8]);

/// All targets of this area by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("codec_envelope", envelope),
    ("codec_timeout", timeout),
    ("codec_percent", percent),
    ("codec_base64", base64),
    ("codec_base64_stream", base64_stream),
    ("codec_metadata", metadata),
    ("codec_connect_error", connect_error),
    ("codec_end_stream", end_stream),
    ("codec_web_trailers", web_trailers),
    ("codec_grpc_status", grpc_status),
];

/// Prefixes of messages.
pub fn envelope(data: &[u8]) {
    match envelope::Prefix::parse(data) {
        Some(prefix) => assert_eq!(envelope::encode(prefix.flags, prefix.length), data[..envelope::PREFIX]),
        None => assert!(data.len() < envelope::PREFIX),
    }
}

/// Timeouts: what is written is never shorter than what was meant, and stable.
pub fn timeout(data: &[u8]) {
    if let Ok(timeout) = timeout::parse_grpc(data) {
        assert!(data.len() <= 9);
        check_timeout(timeout);
    }
    if let Ok(timeout) = timeout::parse_connect(data) {
        assert!(data.len() <= 10);
        assert_eq!(timeout::parse_connect(timeout::encode_connect(timeout).as_bytes()), Ok(timeout));
        check_timeout(timeout);
    }
    if let Some((seconds, rest)) = data.split_first_chunk::<8>() {
        let nanos = rest.first_chunk::<4>().map_or(0, |nanos| u32::from_le_bytes(*nanos) % 1_000_000_000);
        check_timeout(Duration::new(u64::from_le_bytes(*seconds), nanos));
        check_timeout(Duration::from_nanos(u64::from_le_bytes(*seconds)));
    }
}

fn check_timeout(timeout: Duration) {
    let text = timeout::encode_grpc(timeout);
    assert!(text.len() <= 9);
    let back = timeout::parse_grpc(text.as_bytes()).expect("our own text");
    assert!(back >= timeout.min(Duration::from_secs(99_999_999 * 3600)));
    assert_eq!(timeout::encode_grpc(back).as_str(), text.as_str());
    let text = timeout::encode_connect(timeout);
    assert!(text.len() <= 10);
    let back = timeout::parse_connect(text.as_bytes()).expect("our own text");
    assert!(back >= timeout.min(Duration::from_millis(9_999_999_999)));
}

/// Messages of a status, and queries.
pub fn percent(data: &[u8]) {
    let message = percent::decode_message(data);
    let encoded = percent::encode_message(&message);
    assert!(metadata::is_valid_ascii_value(encoded.as_bytes()));
    assert_eq!(encoded.trim(), encoded, "no field value starts or ends with a space");
    assert_eq!(percent::decode_message(encoded.as_bytes()), message);

    let mut query = b"k=".to_vec();
    percent::encode_query(data, &mut query);
    let query = String::from_utf8(query).expect("ASCII");
    let mut pairs = percent::decode_query(&query);
    let (key, value) = pairs.next().expect("one parameter").expect("our own text");
    assert_eq!((&*key, &*value), ("k", data));
    assert!(pairs.next().is_none());

    let query = String::from_utf8_lossy(data);
    for (key, value) in percent::decode_query(&query).flatten() {
        assert!(key.len() <= 3 * query.len() && value.len() <= query.len());
    }
}

/// Whole values in base64.
pub fn base64(data: &[u8]) {
    let (mut standard, mut url_safe) = (Vec::new(), Vec::new());
    base64::encode_into(data, &mut standard);
    base64::encode_url_safe(data, &mut url_safe);
    assert_eq!(base64::decode(&standard).as_deref(), Ok(data));
    assert_eq!(base64::decode_url_safe(&url_safe).as_deref(), Ok(data));
    for decoded in [base64::decode(data), base64::decode_url_safe(data)].into_iter().flatten() {
        let mut text = Vec::new();
        base64::encode_into(&decoded, &mut text);
        assert_eq!(base64::decode(&text), Ok(decoded));
    }
}

/// Base64 in a stream: the cuts change nothing, and every flush can be decoded. The first byte says where to cut.
pub fn base64_stream(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else { return };
    let step = usize::from(step % 17) + 1;
    let decode = |text: &[u8], step: usize| {
        let (mut decoder, mut out) = (base64_stream::Decoder::new(), BytesMut::new());
        let fed = text.chunks(step).try_for_each(|piece| decoder.feed(piece, &mut out));
        if fed.is_err() {
            assert!(decoder.feed(b"AAAA", &mut out).is_err() && !decoder.is_complete());
        }
        (out, fed, decoder.is_complete())
    };
    let whole = decode(data, data.len().max(1));
    assert_eq!(decode(data, step), whole);
    assert_eq!(decode(data, 1), whole);
    if whole.2 && !data.contains(&b'=') {
        assert_eq!(base64::decode(data).as_deref(), Ok(&whole.0[..]));
    }

    let (mut encoder, mut text) = (base64_stream::Encoder::new(), BytesMut::new());
    for (index, piece) in data.chunks(step).enumerate() {
        encoder.push(piece, &mut text);
        if index % 3 == 2 {
            encoder.flush(&mut text);
            assert!(text.len() > 256 || decode(&text, step).2);
        }
    }
    encoder.flush(&mut text);
    assert_eq!(decode(&text, step), (data.into(), Ok(()), true));
}

/// Metadata: one line is one name and value, separated by a colon.
pub fn metadata(data: &[u8]) {
    let (mut received, mut sent) = (Metadata::new(), Metadata::new());
    // Names of 64 KiB are more than `http` takes.
    for line in data.split(|byte| *byte == b'\n').take(32).filter(|line| line.len() < 1 << 10) {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len()));
        let (name, value) = (String::from_utf8_lossy(name), value.get(1..).unwrap_or_default());
        if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            received.push_received(&name, value);
        }
        let before = sent.len();
        let appended = match core::str::from_utf8(value) {
            Ok(text) if !metadata::is_binary(&name) => sent.append(&name, text),
            _ => sent.append(&name, value),
        };
        assert_eq!(sent.len(), before + usize::from(appended.is_ok()));
        if appended.is_ok() && metadata::is_binary(&name) {
            assert_eq!(sent.get_bin(&name).last(), Some(Ok(value.to_vec())));
        }
    }
    for metadata in [&received, &sent] {
        assert!(metadata.iter().all(|field| !metadata::is_reserved(field.name)));
        let map = metadata.to_header_map().expect("checked when it came in");
        assert_eq!(Metadata::from_header_map(&map).len(), metadata.len());
        for field in metadata {
            assert!(metadata.get_bin(field.name).count() > 0);
        }
        same_metadata(metadata, &grpc_status::metadata_from(metadata.as_fields()));
    }
    let mut echo = Metadata::new();
    echo.extend_from(&received);
    assert_eq!(echo, received);
}

fn same_metadata(left: &Metadata, right: &Metadata) {
    let by_name = |metadata: &Metadata| {
        let mut pairs: Vec<_> =
            metadata.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        pairs
    };
    assert_eq!(by_name(left), by_name(right));
}

fn same_status(left: &Status, right: &Status) {
    assert_eq!(
        (left.code(), left.message(), left.details()),
        (right.code(), right.message(), right.details())
    );
}

/// Errors of Connect.
pub fn connect_error(data: &[u8]) {
    let Ok(status) = connect_error::decode(data, Code::Unavailable) else { return };
    assert_ne!(status.code(), Code::Ok);
    let mut text = Vec::new();
    connect_error::encode(&status, &mut text);
    // What was left out may be written out: only a text far from the limit must come back.
    if data.len() < 32 << 10 {
        same_status(&connect_error::decode(&text, Code::DataLoss).expect("our own text"), &status);
    }
}

/// Ends of Connect streams.
pub fn end_stream(data: &[u8]) {
    let Ok(end) = end_stream::decode(data) else { return };
    assert!(end.metadata.iter().all(|field| !metadata::is_reserved(field.name)));
    let mut text = Vec::new();
    end_stream::encode(end.error.as_ref(), &end.metadata, &mut text);
    if data.len() < 32 << 10 {
        let back = end_stream::decode(&text).expect("our own text");
        assert_eq!(back.error.is_some(), end.error.is_some());
        if let (Some(back), Some(error)) = (&back.error, &end.error) {
            same_status(back, error);
        }
        same_metadata(&back.metadata, &end.metadata);
    }
}

/// Trailers of gRPC-Web.
pub fn web_trailers(data: &[u8]) {
    let Ok(fields) = web_trailers::decode(data) else { return };
    assert!(fields.len() <= web_trailers::LINE_LIMIT);
    let mut block = Vec::new();
    web_trailers::encode(&fields, &mut block);
    if block.len() <= web_trailers::LENGTH_LIMIT {
        assert_eq!(web_trailers::decode(&block), Ok(fields));
    }
}

/// The status in trailers: a block of lines, and the same bytes as message and as details.
pub fn grpc_status(data: &[u8]) {
    if let Ok(fields) = web_trailers::decode(data) {
        check_status(&fields);
    }
    let mut fields = Fields::new();
    fields.push("grpc-status", data.get(..2).unwrap_or_default());
    fields.push("grpc-message", data);
    check_status(&fields);
    let mut details = Vec::new();
    base64::encode_into(data, &mut details);
    for details in [&details[..], data] {
        fields.clear();
        fields.push("grpc-status", b"5");
        fields.push("grpc-status-details-bin", details);
        check_status(&fields);
    }
}

fn check_status(fields: &Fields) {
    let Some(result) = grpc_status::decode_status(fields) else { return };
    let metadata = grpc_status::metadata_from(fields);
    let mut encoded = Fields::new();
    grpc_status::encode_status(result.as_ref().err(), &metadata, &mut encoded);
    same_metadata(&grpc_status::metadata_from(&encoded), &metadata);
    match (grpc_status::decode_status(&encoded).expect("it was written"), result) {
        (Ok(()), Ok(())) => {}
        (Err(back), Err(status)) if fields.list_size() < 32 << 10 => same_status(&back, &status),
        (Err(back), Err(status)) => assert_eq!(back.code(), status.code()),
        (back, result) => panic!("{result:?} came back as {back:?}"),
    }
}
