//! The conformance service: each call is a script of steps, from the definitions that its first message carries. The
//! rules are those of the comments in the suite's `service.proto`.

use std::collections::VecDeque;
use std::time::Duration;

use antiphon::{Metadata, Status};
use prost::{Message, Name};
use prost_types::Any;

use crate::codec::Codec;
use crate::convert;
use crate::proto::conformance_payload::{ConnectGetInfo, RequestInfo};
use crate::proto::unary_response_definition::Response;
use crate::proto::*;

/// A method of the service that the server implements; `Unimplemented` is left out on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// One request, one response.
    Unary,
    /// The same without side effects, so that Connect may use GET.
    IdempotentUnary,
    /// One request, many responses.
    ServerStream,
    /// Many requests, one response.
    ClientStream,
    /// Many requests, many responses, in turns or one after the other.
    BidiStream,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 5] =
        [Self::Unary, Self::IdempotentUnary, Self::ServerStream, Self::ClientStream, Self::BidiStream];

    /// The name in the path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "Unary",
            Self::IdempotentUnary => "IdempotentUnary",
            Self::ServerStream => "ServerStream",
            Self::ClientStream => "ClientStream",
            Self::BidiStream => "BidiStream",
        }
    }

    const fn one_request(self) -> bool {
        !matches!(self, Self::ClientStream | Self::BidiStream)
    }

    const fn one_response(self) -> bool {
        !matches!(self, Self::ServerStream | Self::BidiStream)
    }

    fn decode(self, codec: Codec, data: &[u8]) -> Result<Incoming, Status> {
        match self {
            Self::Unary => {
                incoming::<UnaryRequest>(codec, data, |m| Definition::Unary(m.response_definition))
            }
            Self::IdempotentUnary => {
                incoming::<IdempotentUnaryRequest>(codec, data, |m| Definition::Unary(m.response_definition))
            }
            Self::ServerStream => incoming::<ServerStreamRequest>(codec, data, |m| {
                Definition::Stream(m.response_definition, false)
            }),
            Self::ClientStream => {
                incoming::<ClientStreamRequest>(codec, data, |m| Definition::Unary(m.response_definition))
            }
            Self::BidiStream => incoming::<BidiStreamRequest>(codec, data, |m| {
                Definition::Stream(m.response_definition, m.full_duplex)
            }),
        }
    }

    fn encode(self, codec: Codec, payload: ConformancePayload) -> Result<Vec<u8>, Status> {
        let payload = Some(payload);
        match self {
            Self::Unary => codec.encode(&UnaryResponse { payload }),
            Self::IdempotentUnary => codec.encode(&IdempotentUnaryResponse { payload }),
            Self::ServerStream => codec.encode(&ServerStreamResponse { payload }),
            Self::ClientStream => codec.encode(&ClientStreamResponse { payload }),
            Self::BidiStream => codec.encode(&BidiStreamResponse { payload }),
        }
    }
}

struct Incoming {
    any: Any,
    definition: Definition,
}

enum Definition {
    Unary(Option<UnaryResponseDefinition>),
    Stream(Option<StreamResponseDefinition>, bool),
}

fn incoming<M: Message + Name + Default>(
    codec: Codec,
    data: &[u8],
    definition: impl FnOnce(M) -> Definition,
) -> Result<Incoming, Status> {
    let message: M = codec.decode(data)?;
    Ok(Incoming { any: any(&message)?, definition: definition(message) })
}

fn any<M: Message + Name>(message: &M) -> Result<Any, Status> {
    Any::from_msg(message).map_err(|error| Status::internal(error.to_string()))
}

/// What the server saw of the request beside its messages.
#[derive(Clone, Default, Debug)]
pub struct Observed {
    /// All request headers.
    pub headers: Vec<Header>,
    /// The time that the call may take, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// The query parameters of a Connect GET.
    pub query: Option<Vec<Header>>,
}

/// What a handler does next.
#[derive(Debug)]
pub enum Step {
    /// Receive a message or the end of the requests, and say so by [`Call::received`].
    Receive,
    /// Set response headers and trailers.
    Metadata {
        /// To go before the first message.
        headers: Metadata,
        /// To go after the last, or beside the error.
        trailers: Metadata,
    },
    /// Send the response headers now.
    SendHeaders,
    /// Wait.
    Wait(Duration),
    /// Send a message.
    Send(Vec<u8>),
    /// Return this from the handler.
    Finish(Result<(), Status>),
}

/// One call at the server: ask for the [next step](Call::next_step), carry it out, until it is to finish.
pub struct Call {
    method: Method,
    codec: Codec,
    observed: Observed,
    definition: Option<Definition>,
    received: usize,
    requests: Vec<Any>,
    sent: usize,
    steps: VecDeque<Step>,
}

impl Call {
    /// A call before its first message.
    pub fn new(method: Method, codec: Codec, observed: Observed) -> Self {
        let steps = VecDeque::new();
        Self { method, codec, observed, definition: None, received: 0, requests: Vec::new(), sent: 0, steps }
    }

    /// What to do now.
    pub fn next_step(&mut self) -> Step {
        self.steps.pop_front().unwrap_or(Step::Receive)
    }

    /// Answers [`Step::Receive`]: a message, or the end of the requests.
    pub fn received(&mut self, message: Option<&[u8]>) {
        let result = match message {
            Some(data) => self.message(data),
            None => self.end(),
        };
        if let Err(status) = result {
            self.steps.push_back(Step::Finish(Err(status)));
        }
    }

    fn message(&mut self, data: &[u8]) -> Result<(), Status> {
        let incoming = self.method.decode(self.codec, data)?;
        self.received += 1;
        if self.received > 1 && self.method.one_request() {
            return Err(Status::unimplemented("more than one request message"));
        }
        self.requests.push(incoming.any);
        if self.received == 1 {
            self.begin(incoming.definition);
        }
        match &self.definition {
            Some(Definition::Stream(definition, true)) => {
                let definition = definition.clone().unwrap_or_default();
                if self.sent < definition.response_data.len() {
                    self.stream_one(&definition)
                } else {
                    self.end()
                }
            }
            _ => Ok(()),
        }
    }

    /// Takes the definition of the first message, and sets the metadata.
    fn begin(&mut self, definition: Definition) {
        let (headers, trailers, early) = match &definition {
            Definition::Unary(Some(d)) => (&d.response_headers, &d.response_trailers, false),
            Definition::Stream(Some(d), full_duplex) => {
                (&d.response_headers, &d.response_trailers, *full_duplex && !d.response_data.is_empty())
            }
            _ => (&Vec::new(), &Vec::new(), false),
        };
        let (headers, trailers) = (convert::to_metadata(headers), convert::to_metadata(trailers));
        self.steps.push_back(Step::Metadata { headers, trailers });
        if early {
            self.steps.push_back(Step::SendHeaders);
        }
        self.definition = Some(definition);
    }

    /// All requests are there, or a full-duplex call has nothing more to answer.
    fn end(&mut self) -> Result<(), Status> {
        if self.received == 0 && self.method.one_request() {
            return Err(Status::unimplemented("no request message"));
        }
        match self.definition.take() {
            Some(Definition::Stream(definition, full_duplex)) => {
                self.stream_rest(definition.unwrap_or_default(), full_duplex)
            }
            Some(Definition::Unary(definition)) => self.answer(definition.unwrap_or_default()),
            None if self.method.one_response() => self.answer(UnaryResponseDefinition::default()),
            None => {
                self.steps.push_back(Step::Finish(Ok(())));
                Ok(())
            }
        }
    }

    fn answer(&mut self, definition: UnaryResponseDefinition) -> Result<(), Status> {
        let info = self.full_info();
        let data = match definition.response {
            Some(Response::Error(error)) => return Err(with_info(error, &info)?),
            Some(Response::ResponseData(data)) => data,
            None => Vec::new(),
        };
        self.wait(definition.response_delay_ms);
        self.send(ConformancePayload { data, request_info: Some(info) })?;
        self.steps.push_back(Step::Finish(Ok(())));
        Ok(())
    }

    /// A full-duplex answer to the requests since the last one.
    fn stream_one(&mut self, definition: &StreamResponseDefinition) -> Result<(), Status> {
        let data = definition.response_data[self.sent].clone();
        let info = match self.sent {
            0 => self.full_info(),
            _ => RequestInfo { requests: std::mem::take(&mut self.requests), ..RequestInfo::default() },
        };
        self.wait(definition.response_delay_ms);
        self.send(ConformancePayload { data, request_info: Some(info) })
    }

    fn stream_rest(&mut self, definition: StreamResponseDefinition, full_duplex: bool) -> Result<(), Status> {
        if !full_duplex && !definition.response_data.is_empty() {
            self.steps.push_back(Step::SendHeaders);
        }
        for data in definition.response_data.into_iter().skip(self.sent) {
            let request_info = (self.sent == 0).then(|| self.full_info());
            self.wait(definition.response_delay_ms);
            self.send(ConformancePayload { data, request_info })?;
        }
        match definition.error {
            Some(error) if self.sent == 0 => Err(with_info(error, &self.full_info())?),
            Some(error) => Err(convert::to_status(&error)),
            None => {
                self.steps.push_back(Step::Finish(Ok(())));
                Ok(())
            }
        }
    }

    fn full_info(&mut self) -> RequestInfo {
        RequestInfo {
            request_headers: std::mem::take(&mut self.observed.headers),
            timeout_ms: self.observed.timeout_ms,
            requests: std::mem::take(&mut self.requests),
            connect_get_info: self.observed.query.take().map(|query_params| ConnectGetInfo { query_params }),
        }
    }

    fn wait(&mut self, milliseconds: u32) {
        if milliseconds > 0 {
            self.steps.push_back(Step::Wait(Duration::from_millis(milliseconds.into())));
        }
    }

    fn send(&mut self, payload: ConformancePayload) -> Result<(), Status> {
        self.steps.push_back(Step::Send(self.method.encode(self.codec, payload)?));
        self.sent += 1;
        Ok(())
    }
}

/// The error of a definition with what was seen of the request as its last detail.
fn with_info(mut error: Error, info: &RequestInfo) -> Result<Status, Status> {
    error.details.push(any(info)?);
    Ok(convert::to_status(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon::Code;

    fn observed() -> Observed {
        let headers = vec![Header { name: "x-h".into(), value: vec!["1".into()] }];
        Observed { headers, timeout_ms: Some(7), query: None }
    }

    fn call(method: Method) -> Call {
        Call::new(method, Codec::Proto, observed())
    }

    fn stream(data: &[&[u8]], error: Option<Error>) -> Option<StreamResponseDefinition> {
        let response_data = data.iter().map(|data| data.to_vec()).collect();
        Some(StreamResponseDefinition { response_data, response_delay_ms: 5, error, ..Default::default() })
    }

    fn payload(step: Step) -> ConformancePayload {
        let Step::Send(data) = step else { panic!("{step:?}") };
        BidiStreamResponse::decode(&data[..]).unwrap().payload.unwrap()
    }

    #[test]
    fn unary_echoes_the_request() {
        let mut call = call(Method::Unary);
        let request = UnaryRequest { request_data: vec![1], ..UnaryRequest::default() };
        assert!(matches!(call.next_step(), Step::Receive));
        call.received(Some(&request.encode_to_vec()));
        assert!(matches!(call.next_step(), Step::Metadata { .. }));
        assert!(matches!(call.next_step(), Step::Receive), "to see that there is only one");
        call.received(None);
        let info = payload(call.next_step()).request_info.unwrap();
        assert_eq!(info.timeout_ms, Some(7));
        assert_eq!(info.request_headers, observed().headers);
        assert_eq!(info.requests[0].to_msg::<UnaryRequest>().unwrap(), request);
        assert!(matches!(call.next_step(), Step::Finish(Ok(()))));
    }

    // suite: "gRPC Unexpected Requests", no request and many requests.
    #[test]
    fn one_request_means_one() {
        for (method, messages) in [(Method::Unary, 0), (Method::Unary, 2), (Method::ServerStream, 2)] {
            let mut call = call(method);
            for _ in 0..messages {
                call.received(Some(&[]));
            }
            call.received(None);
            let status = loop {
                if let Step::Finish(result) = call.next_step() {
                    break result.unwrap_err();
                }
            };
            assert_eq!(status.code(), Code::Unimplemented);
        }
    }

    #[test]
    fn an_error_carries_what_was_seen() {
        let mut call = call(Method::ServerStream);
        let error = Error { code: 9, message: Some("no".into()), details: Vec::new() };
        let request =
            ServerStreamRequest { response_definition: stream(&[], Some(error)), request_data: Vec::new() };
        call.received(Some(&request.encode_to_vec()));
        call.received(None);
        assert!(matches!(call.next_step(), Step::Metadata { .. }));
        let Step::Finish(Err(status)) = call.next_step() else { panic!("no error") };
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "no"));
        assert_eq!(status.details()[0].type_name, RequestInfo::full_name());
        let info = RequestInfo::decode(&status.details()[0].value[..]).unwrap();
        assert_eq!(info.requests.len(), 1);
    }

    #[test]
    fn full_duplex_answers_in_turns_then_flushes_the_rest() {
        let mut call = call(Method::BidiStream);
        let first = BidiStreamRequest {
            response_definition: stream(&[b"a", b"b", b"c"], Some(Error { code: 10, ..Error::default() })),
            full_duplex: true,
            request_data: Vec::new(),
        };
        call.received(Some(&first.encode_to_vec()));
        assert!(matches!(call.next_step(), Step::Metadata { .. }));
        assert!(matches!(call.next_step(), Step::SendHeaders));
        assert!(matches!(call.next_step(), Step::Wait(_)));
        assert_eq!(payload(call.next_step()).data, b"a");
        assert!(matches!(call.next_step(), Step::Receive));
        call.received(Some(&[]));
        assert!(matches!(call.next_step(), Step::Wait(_)));
        let second = payload(call.next_step());
        assert_eq!(second.data, b"b");
        let info = second.request_info.unwrap();
        assert_eq!((info.requests.len(), info.request_headers.len(), info.timeout_ms), (1, 0, None));
        call.received(None);
        assert!(matches!(call.next_step(), Step::Wait(_)));
        let third = payload(call.next_step());
        assert_eq!((third.data.as_slice(), third.request_info), (&b"c"[..], None));
        let Step::Finish(Err(status)) = call.next_step() else { panic!("no error") };
        assert_eq!((status.code(), status.details().len()), (Code::Aborted, 0));
    }

    #[test]
    fn half_duplex_waits_for_the_end() {
        let mut call = call(Method::BidiStream);
        let first =
            BidiStreamRequest { response_definition: stream(&[b"a", b"b"], None), ..Default::default() };
        call.received(Some(&first.encode_to_vec()));
        assert!(matches!(call.next_step(), Step::Metadata { .. }));
        assert!(matches!(call.next_step(), Step::Receive));
        call.received(Some(&[]));
        call.received(None);
        assert!(matches!(call.next_step(), Step::SendHeaders));
        assert!(matches!(call.next_step(), Step::Wait(_)));
        assert_eq!(payload(call.next_step()).request_info.unwrap().requests.len(), 2);
        assert!(matches!(call.next_step(), Step::Wait(_)));
        assert_eq!(payload(call.next_step()).data, b"b");
        assert!(matches!(call.next_step(), Step::Finish(Ok(()))));
    }
}
