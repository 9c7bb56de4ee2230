//! Readers of our own making, plain and whole, to judge what the engine reads and writes.

/// What a model makes of a chunked body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Model {
    Complete,
    Incomplete,
    Bad,
    /// The body is read; of its trailers the model knows nothing.
    Trailers,
}

/// The body that these chunks carry, and how it ends.
pub(super) fn model_chunks(mut wire: &[u8]) -> (Vec<u8>, Model) {
    let mut body = Vec::new();
    let mut extensions = 0;
    loop {
        let (size, rest) = match model_line(wire, &mut extensions) {
            Ok(line) => line,
            Err(model) => return (body, model),
        };
        if size == 0 {
            let model = match rest {
                [b'\r', b'\n', ..] => Model::Complete,
                [] | [b'\r'] => Model::Incomplete,
                _ => Model::Trailers,
            };
            return (body, model);
        }
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        body.extend_from_slice(&rest[..length]);
        if (length as u64) < size {
            return (body, Model::Incomplete);
        }
        wire = match &rest[length..] {
            [b'\r', b'\n', next @ ..] => next,
            [] | [b'\r'] => return (body, Model::Incomplete),
            _ => return (body, Model::Bad),
        };
    }
}

/// `1*15HEXDIG [";" extension] CRLF`
fn model_line<'a>(wire: &'a [u8], extensions: &mut usize) -> Result<(u64, &'a [u8]), Model> {
    let digits = wire.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > 15 {
        return Err(Model::Bad);
    }
    let (text, mut rest) = wire.split_at(digits);
    if rest.is_empty() {
        return Err(Model::Incomplete);
    }
    let size = core::str::from_utf8(text).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    let size = size.ok_or(Model::Bad)?;
    if let [b';', extension @ ..] = rest {
        let is_text = |byte: &&u8| **byte == b'\t' || (**byte >= b' ' && **byte != 0x7f);
        let length = extension.iter().take_while(is_text).count();
        if length > 256 || *extensions + length > 4096 {
            return Err(Model::Bad);
        }
        *extensions += length;
        rest = &extension[length..];
        if !rest.is_empty() && !is_balanced(&extension[..length]) {
            return Err(Model::Bad);
        }
    }
    match rest {
        [b'\r', b'\n', rest @ ..] => Ok((size, rest)),
        [] | [b'\r'] => Err(Model::Incomplete),
        _ => Err(Model::Bad),
    }
}

fn is_balanced(extension: &[u8]) -> bool {
    let mut bytes = extension.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'"' {
            continue;
        }
        loop {
            match bytes.next() {
                None => return false,
                Some(b'"') => break,
                Some(b'\\') => drop(bytes.next()),
                Some(_) => {}
            }
        }
    }
    true
}

/// How far a message reaches, read strictly.
enum Reach {
    Whole(usize),
    Cut,
}

/// Panics unless these bytes are responses one after the other, the last one possibly cut. `heads` says which of the
/// requests were HEAD.
pub(super) fn check_responses(mut sent: &[u8], heads: &[bool]) {
    let mut finals = 0;
    while !sent.is_empty() {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut slots);
        let length = match response.parse(sent) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("malformed response {other:?}: {}", sent.escape_ascii()),
        };
        check_lines(&sent[..length]);
        let status = response.code.unwrap_or(0);
        let framing = Framing::of(response.headers);
        sent = &sent[length..];
        if status < 200 {
            assert_eq!(framing, Framing::Unsaid, "an informational response with a body");
            continue;
        }
        let is_head = heads.get(finals).copied().unwrap_or(false);
        finals += 1;
        if is_head || status == 204 || status == 304 {
            assert!(status != 204 || framing == Framing::Unsaid);
            continue;
        }
        match framing.reach(sent, true) {
            Reach::Whole(length) => sent = &sent[length..],
            Reach::Cut => return,
        }
    }
}

/// Panics unless these bytes are requests one after the other, the last one possibly cut.
pub(super) fn check_requests(mut sent: &[u8]) {
    while !sent.is_empty() {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut slots);
        let length = match request.parse(sent) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("malformed request {other:?}: {}", sent.escape_ascii()),
        };
        check_lines(&sent[..length]);
        assert_eq!(request.headers.first().map(|header| header.name), Some("host"));
        let framing = Framing::of(request.headers);
        sent = &sent[length..];
        match framing.reach(sent, false) {
            Reach::Whole(length) => sent = &sent[length..],
            Reach::Cut => return,
        }
    }
}

fn check_lines(head: &[u8]) {
    for (at, byte) in head.iter().enumerate() {
        assert!(*byte != b'\n' || (at > 0 && head[at - 1] == b'\r'), "a bare LF was sent");
        assert!(*byte != b'\r' || head.get(at + 1) == Some(&b'\n'), "a bare CR was sent");
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Framing {
    Unsaid,
    Length(usize),
    Chunked,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Self {
        let mut framing = Self::Unsaid;
        for header in headers {
            let said = match header.name {
                "content-length" => {
                    let digits = core::str::from_utf8(header.value).expect("digits");
                    Self::Length(digits.parse().expect("digits"))
                }
                "transfer-encoding" => {
                    assert_eq!(header.value, b"chunked");
                    Self::Chunked
                }
                _ => continue,
            };
            assert_eq!(framing, Self::Unsaid, "framed twice");
            framing = said;
        }
        framing
    }

    fn reach(self, body: &[u8], to_close: bool) -> Reach {
        match self {
            Self::Unsaid if to_close => Reach::Cut,
            Self::Unsaid => Reach::Whole(0),
            Self::Length(length) if length <= body.len() => Reach::Whole(length),
            Self::Length(_) => Reach::Cut,
            Self::Chunked => reach_of_chunks(body),
        }
    }
}

fn reach_of_chunks(body: &[u8]) -> Reach {
    let mut at = 0;
    loop {
        let rest = &body[at..];
        if rest.is_empty() {
            return Reach::Cut;
        }
        let Ok((size, data)) = model_line(rest, &mut 0) else {
            panic!("malformed chunk {}", rest.escape_ascii())
        };
        let line = rest.len() - data.len();
        assert!(line <= 18 && !rest[..line].contains(&b';'), "we send no extensions");
        at += line;
        if size == 0 {
            let end = body[at..].windows(2).position(|two| two == b"\r\n");
            let Some(end) = end else { panic!("a last chunk without its end") };
            if end == 0 {
                return Reach::Whole(at + 2);
            }
            let end = body[at..].windows(4).position(|four| four == b"\r\n\r\n").expect("trailers end");
            return Reach::Whole(at + end + 4);
        }
        at += usize::try_from(size).expect("we send no such chunk");
        assert_eq!(&body[at..at + 2], b"\r\n", "a chunk is as long as it says");
        at += 2;
    }
}
