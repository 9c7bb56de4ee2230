//! The suite's headers and errors, to and from the engine's.

use antiphon::{Code, Detail, Metadata, Status};
use prost_types::Any;

use crate::proto::{Error, Header};

const ANY_PREFIX: &str = "type.googleapis.com/";

/// Every header with each of its values, the names in lower case.
pub fn pairs(headers: &[Header]) -> impl Iterator<Item = (String, &str)> {
    headers.iter().flat_map(|header| {
        header.value.iter().map(|value| (header.name.to_ascii_lowercase(), value.as_str()))
    })
}

/// Headers as metadata, in their order.
pub fn to_metadata(headers: &[Header]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in pairs(headers) {
        metadata.as_fields_mut().push(&name, value.as_bytes());
    }
    metadata
}

/// Metadata as headers: one for each name, at the place of its first value.
pub fn from_metadata(metadata: &Metadata) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for field in metadata.as_fields().iter() {
        let value = String::from_utf8_lossy(field.value).into_owned();
        match headers.iter_mut().find(|header| header.name == field.name) {
            Some(header) => header.value.push(value),
            None => headers.push(Header { name: field.name.to_owned(), value: vec![value] }),
        }
    }
    headers
}

/// The failure that a test case asks for.
pub fn to_status(error: &Error) -> Status {
    let code = u32::try_from(error.code).ok().and_then(Code::from_number).filter(|code| *code != Code::Ok);
    let mut status = Status::new(code.unwrap_or(Code::Unknown), error.message());
    for detail in &error.details {
        let type_name = detail.type_url.rsplit('/').next().unwrap_or_default().to_owned();
        status = status.with_detail(Detail { type_name, value: detail.value.clone().into() });
    }
    status
}

/// The failure of a call, to report.
pub fn from_status(status: &Status) -> Error {
    let details = status.details().iter();
    Error {
        code: status.code().number() as i32,
        message: Some(status.message().to_owned()),
        details: details
            .map(|detail| Any {
                type_url: format!("{ANY_PREFIX}{}", detail.type_name),
                value: detail.value.to_vec(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_values_and_their_order() {
        let header = |name: &str, values: &[&str]| Header {
            name: name.into(),
            value: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let headers =
            [header("X-A", &["1", "2"]), header("x-b", &["3"]), header("x-a", &["4"]), header("x-none", &[])];
        let back = from_metadata(&to_metadata(&headers));
        assert_eq!(back, [header("x-a", &["1", "2", "4"]), header("x-b", &["3"])]);
    }

    #[test]
    fn errors_round_trip() {
        let detail = Any { type_url: format!("{ANY_PREFIX}a.B"), value: vec![8, 1] };
        let error = Error { code: 5, message: Some("gone".into()), details: vec![detail] };
        let status = to_status(&error);
        assert_eq!((status.code(), status.message()), (Code::NotFound, "gone"));
        assert_eq!(status.details()[0].type_name, "a.B");
        assert_eq!(from_status(&status), error);
        assert_eq!(to_status(&Error::default()).code(), Code::Unknown, "no error may become a success");
    }
}
