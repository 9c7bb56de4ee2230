//! Errors that are too large for the peer: the code is told, whatever becomes of the rest.

use crate::codec::{connect_error, end_stream, grpc_status, web_trailers};
use crate::{Fields, Metadata, Status};

/// The largest error that is sent, in bytes as it travels, to a peer that has not said what it takes: as much as this
/// crate's own client reads.
pub(super) const LARGEST: usize = 64 << 10;

/// What stands at the end of a message that was cut.
const CUT: char = '\u{2026}';

/// How an error travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Fields, of this limit.
    Fields(usize),
    /// A block of lines in the body (gRPC-Web).
    Lines,
    /// JSON, and the metadata in fields of this limit (Connect unary).
    Json(usize),
    /// JSON with the metadata in it (Connect "EndStreamResponse").
    EndStream,
}

impl Form {
    fn fits(self, status: &Status, trailers: &Metadata) -> bool {
        let mut fields = Fields::new();
        let mut text = Vec::new();
        match self {
            Self::Fields(limit) => {
                grpc_status::encode_status(Some(status), trailers, &mut fields);
                fields.list_size() <= limit.min(LARGEST)
            }
            Self::Lines => {
                grpc_status::encode_status(Some(status), trailers, &mut fields);
                web_trailers::encode(&fields, &mut text);
                text.len() <= web_trailers::LENGTH_LIMIT
            }
            Self::Json(limit) => {
                connect_error::encode(status, &mut text);
                let metadata = [trailers, status.metadata()].map(|more| more.as_fields().list_size());
                // Each name has a prefix there.
                let prefixes = (trailers.len() + status.metadata().len()) * "trailer-".len();
                text.len() <= LARGEST && metadata.iter().sum::<usize>() + prefixes <= limit.min(LARGEST)
            }
            Self::EndStream => {
                end_stream::encode(Some(status), trailers, &mut text);
                text.len() <= LARGEST
            }
        }
    }
}

/// The error and its trailers in a size that the peer takes; `None` when they have it. Its details go first, then the
/// end of its message. Metadata goes only when there would be no room for the code beside it.
pub(super) fn shorten(status: &Status, trailers: &Metadata, form: Form) -> Option<(Status, Metadata)> {
    // Nearly all are far from every limit, and that is seen without encoding them.
    let details: usize =
        status.details().iter().map(|detail| detail.type_name.len() + detail.value.len()).sum();
    let metadata = trailers.as_fields().list_size() + status.metadata().as_fields().list_size();
    let tight = matches!(form, Form::Fields(limit) | Form::Json(limit) if limit < 4096);
    if !tight && status.message().len() + details + metadata < 512 || form.fits(status, trailers) {
        return None;
    }
    let bare = |message: &str| Status::new(status.code(), message);
    let with = |message: &str| bare(message).with_metadata(status.metadata().clone());
    if form.fits(&with(""), trailers) {
        let short = cut(status.message(), |message| form.fits(&with(message), trailers));
        return Some((with(&short), trailers.clone()));
    }
    let none = Metadata::new();
    let short = cut(status.message(), |message| form.fits(&bare(message), &none));
    Some((bare(&short), none))
}

/// As much of the beginning of a message as fits, with a mark where it was cut.
fn cut(message: &str, fits: impl Fn(&str) -> bool) -> String {
    if message.len() <= LARGEST && fits(message) {
        return message.to_owned();
    }
    let shortened = |length: usize| {
        let mut end = length.min(message.len());
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let mut text = message.get(..end).unwrap_or_default().to_owned();
        text.push(CUT);
        text
    };
    // What fits is at most so long, since no byte gets shorter on its way.
    let (mut fitting, mut beyond) = (0, message.len().min(LARGEST) + 1);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(&shortened(middle)) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    if fitting == 0 { String::new() } else { shortened(fitting) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Detail};

    fn forms() -> [Form; 6] {
        [
            Form::Fields(256),
            Form::Fields(usize::MAX),
            Form::Lines,
            Form::Json(256),
            Form::Json(usize::MAX),
            Form::EndStream,
        ]
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let status =
            Status::aborted("no").with_detail(Detail { type_name: "a.B".into(), value: vec![1].into() });
        for form in forms() {
            assert!(shorten(&status, &Metadata::new(), form).is_none(), "{form:?}");
        }
    }

    // RFC 9113 §6.5.2 is a limit for the whole list; the messages here grow by 3 and by 6 on their way.
    #[test]
    fn a_message_is_cut_and_the_details_go() {
        for text in ["\u{e9}".repeat(100_000), "\u{1}\"".repeat(100_000), "x".repeat(1 << 20)] {
            let detail = Detail { type_name: "a.B".into(), value: vec![1].into() };
            let mut status = Status::aborted(&*text).with_detail(detail);
            status.metadata_mut().append("kept", "1").unwrap();
            for form in forms() {
                let (short, trailers) = shorten(&status, &Metadata::new(), form).unwrap();
                assert!(form.fits(&short, &trailers), "{form:?}");
                assert_eq!((short.code(), short.metadata().get("kept")), (Code::Aborted, Some("1")));
                let head = short.message().strip_suffix(CUT).unwrap();
                assert!(!head.is_empty() && text.starts_with(head) && short.details().is_empty());
                // One character more would not have fitted.
                let next = text[head.len()..].chars().next().unwrap();
                assert!(
                    head.len() >= LARGEST - 4 || {
                        let longer = Status::aborted(format!("{head}{next}{CUT}"))
                            .with_metadata(short.metadata().clone());
                        !form.fits(&longer, &trailers)
                    }
                );
            }
        }
    }

    #[test]
    fn large_details_go_and_the_message_stays() {
        let detail = Detail { type_name: "a.B".into(), value: vec![1; 100_000].into() };
        let status = Status::aborted("why").with_detail(detail);
        for form in forms() {
            let (short, _) = shorten(&status, &Metadata::new(), form).unwrap();
            assert_eq!((short.message(), short.details().len()), ("why", 0), "{form:?}");
        }
    }

    #[test]
    fn metadata_goes_before_the_code_does() {
        let mut trailers = Metadata::new();
        trailers.append("large", "x".repeat(100_000)).unwrap();
        let status = Status::aborted("why");
        for form in forms() {
            let (short, left) = shorten(&status, &trailers, form).unwrap();
            assert_eq!((short.code(), short.message(), left.len()), (Code::Aborted, "why", 0), "{form:?}");
        }
    }
}
