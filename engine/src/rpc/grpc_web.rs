//! What is gRPC-Web's own: trailers in the body, and the text form (gRPC PROTOCOL-WEB).

use bytes::BytesMut;

use super::{Payload, Sink};
use crate::codec::base64_stream::Encoder;
use crate::codec::envelope::{self, COMPRESSED, PREFIX, TRAILERS};
use crate::codec::{grpc_status, web_trailers};
use crate::{Fields, Metadata, Status};

/// The last envelope of a call that ended well and has no trailers of its own.
pub(crate) const GOOD_END: &[u8] = b"\x80\0\0\0\x10grpc-status: 0\r\n";

/// Sends an envelope, in base64 if `text`: one padded piece, so that the peer can decode it without waiting.
#[inline]
pub(crate) fn put_envelope(
    flags: u8,
    payload: Payload<'_>,
    text: Option<&mut BytesMut>,
    out: &mut impl Sink,
) {
    let prefix = prefix_of(flags, payload);
    match (text, payload) {
        (None, Payload::Shared(bytes)) if !bytes.is_empty() => {
            out.data(&prefix);
            out.data_bytes(bytes);
        }
        (None, payload) => out.message(&prefix, payload.bytes()),
        (Some(text), payload) => put_text(&prefix, payload.bytes(), text, out),
    }
}

/// The prefix of an envelope around `payload`.
#[inline]
pub(crate) fn prefix_of(flags: u8, payload: Payload<'_>) -> [u8; PREFIX] {
    let flags = if payload.is_compressed() { flags | COMPRESSED } else { flags };
    // Whoever sends has checked the length.
    let length = u32::try_from(payload.bytes().len()).unwrap_or(u32::MAX);
    envelope::encode(flags, length)
}

fn put_text(prefix: &[u8; PREFIX], payload: &[u8], text: &mut BytesMut, out: &mut impl Sink) {
    text.clear();
    let mut encoder = Encoder::new();
    encoder.push(prefix, text);
    encoder.push(payload, text);
    encoder.flush(text);
    out.data(text);
}

/// Sends the last envelope of an answer: its status and trailers.
pub(crate) fn put_trailers(
    status: Option<&Status>,
    trailers: &Metadata,
    fields: &mut Fields,
    block: &mut Vec<u8>,
    text: Option<&mut BytesMut>,
    out: &mut impl Sink,
) {
    if status.is_none() && trailers.is_empty() {
        return put_envelope(TRAILERS, Payload::Plain(web_trailers::GOOD_END), text, out);
    }
    fields.clear();
    grpc_status::encode_status(status, trailers, fields);
    block.clear();
    web_trailers::encode(fields, block);
    put_envelope(TRAILERS, Payload::Plain(block), text, out);
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::*;

    // PROTOCOL-WEB "Message framing": flag 0x80, lower-case lines, no empty line at the end.
    #[test]
    fn trailers_are_an_envelope() {
        let mut trailers = Metadata::new();
        trailers.append("x-tag", "1").unwrap();
        let mut out: Vec<Part> = Vec::new();
        put_trailers(None, &trailers, &mut Fields::new(), &mut Vec::new(), None, &mut out);
        let body: Vec<u8> = out
            .iter()
            .flat_map(|part| if let Part::Data(data) = part { data.to_vec() } else { vec![] })
            .collect();
        assert_eq!(body, b"\x80\0\0\0\x1agrpc-status: 0\r\nx-tag: 1\r\n");
    }

    #[test]
    fn the_good_end_is_what_would_be_written() {
        let mut fields = Fields::new();
        grpc_status::encode_status(None, &Metadata::new(), &mut fields);
        let mut block = Vec::new();
        web_trailers::encode(&fields, &mut block);
        assert_eq!(block, web_trailers::GOOD_END);
        let mut out: Vec<Part> = Vec::new();
        put_trailers(None, &Metadata::new(), &mut fields, &mut block, None, &mut out);
        let Some(Part::Data(prefix)) = out.first() else { panic!("{out:?}") };
        assert_eq!(GOOD_END, [prefix, web_trailers::GOOD_END].concat());
    }

    #[test]
    fn text_is_padded_piece_by_piece() {
        let mut out: Vec<Part> = Vec::new();
        let mut text = BytesMut::new();
        put_envelope(0, Payload::Plain(b"hi"), Some(&mut text), &mut out);
        assert_eq!(out, [Part::Data("AAAAAAJoaQ==".into())]);
    }
}
