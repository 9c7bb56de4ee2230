//! The client under test: each request of the runner becomes a script of steps, and its outcome a response to report.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use antiphon::{Metadata, Status};
use prost::{Message, Name};
use prost_types::Any;

use crate::codec::Codec;
use crate::proto::client_compat_request::cancel::CancelTiming;
use crate::proto::client_compat_response::Result as Outcome;
use crate::proto::*;
use crate::{SERVICE, convert, frame};

/// A method of the service, as a client calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// One of those that a server implements.
    Known(crate::server::Method),
    /// The one that no server implements.
    Unimplemented,
}

impl Method {
    fn of(request: &ClientCompatRequest) -> Result<Self, String> {
        if !matches!(request.service(), "" | SERVICE) {
            return Err(format!("unknown service {}", request.service()));
        }
        let known = crate::server::Method::ALL.into_iter().find(|method| method.name() == request.method());
        match (known, request.method()) {
            (Some(method), _) => Ok(Self::Known(method)),
            (None, "Unimplemented") => Ok(Self::Unimplemented),
            (None, name) => Err(format!("unknown method {name}")),
        }
    }

    /// The name in the path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Known(method) => method.name(),
            Self::Unimplemented => "Unimplemented",
        }
    }

    fn encode(self, codec: Codec, message: &Any) -> Result<Vec<u8>, String> {
        use crate::server::Method as Known;
        match self {
            Self::Known(Known::Unary) => transcode::<UnaryRequest>(codec, message),
            Self::Known(Known::IdempotentUnary) => transcode::<IdempotentUnaryRequest>(codec, message),
            Self::Known(Known::ServerStream) => transcode::<ServerStreamRequest>(codec, message),
            Self::Known(Known::ClientStream) => transcode::<ClientStreamRequest>(codec, message),
            Self::Known(Known::BidiStream) => transcode::<BidiStreamRequest>(codec, message),
            Self::Unimplemented => transcode::<UnimplementedRequest>(codec, message),
        }
    }

    fn decode(self, codec: Codec, data: &[u8]) -> Result<ConformancePayload, Status> {
        use crate::server::Method as Known;
        let payload = match self {
            Self::Known(Known::Unary) => codec.decode::<UnaryResponse>(data)?.payload,
            Self::Known(Known::IdempotentUnary) => codec.decode::<IdempotentUnaryResponse>(data)?.payload,
            Self::Known(Known::ServerStream) => codec.decode::<ServerStreamResponse>(data)?.payload,
            Self::Known(Known::ClientStream) => codec.decode::<ClientStreamResponse>(data)?.payload,
            Self::Known(Known::BidiStream) => codec.decode::<BidiStreamResponse>(data)?.payload,
            Self::Unimplemented => codec.decode::<UnimplementedResponse>(data).map(|_| None)?,
        };
        Ok(payload.unwrap_or_default())
    }
}

fn transcode<M: Message + Name + Default>(codec: Codec, message: &Any) -> Result<Vec<u8>, String> {
    let message: M = message.to_msg().map_err(|error| error.to_string())?;
    codec.encode(&message).map_err(|status| status.to_string())
}

/// What a client does next with its call.
#[derive(Debug)]
pub enum Step {
    /// Wait.
    Wait(Duration),
    /// Send a message, and say what came of it by [`Call::sent`].
    Send(Vec<u8>),
    /// End the requests.
    CloseSend,
    /// Cancel the call. Receiving goes on.
    Cancel,
    /// Receive a message or the end, and say so by [`Call::received`].
    Receive,
    /// The call is over: [`Call::finish`].
    Done,
}

/// One call at the client: ask for the [next step](Call::next_step), carry it out, until it is done.
pub struct Call {
    request: ClientCompatRequest,
    method: Method,
    codec: Codec,
    steps: VecDeque<Step>,
    after_responses: Option<usize>,
    payloads: Vec<ConformancePayload>,
    unsent: usize,
    ended: bool,
    error: Option<Status>,
}

impl Call {
    /// A call before it is opened. The error says why it cannot be made.
    pub fn new(request: ClientCompatRequest) -> Result<Self, String> {
        let method = Method::of(&request)?;
        let codec = Codec::from_config(request.codec()).ok_or("a codec must be specified")?;
        let one_request = !matches!(
            request.stream_type(),
            StreamType::ClientStream | StreamType::HalfDuplexBidiStream | StreamType::FullDuplexBidiStream
        );
        if one_request && request.request_messages.len() != 1 {
            return Err(format!("{} takes one request message", method.name()));
        }
        let mut steps = VecDeque::new();
        for message in &request.request_messages {
            wait(&mut steps, request.request_delay_ms);
            steps.push_back(Step::Send(method.encode(codec, message)?));
            if request.stream_type() == StreamType::FullDuplexBidiStream {
                steps.push_back(Step::Receive);
            }
        }
        let mut after_responses = None;
        match request.cancel.as_ref().map(|cancel| cancel.cancel_timing) {
            None => steps.push_back(Step::CloseSend),
            Some(Some(CancelTiming::BeforeCloseSend(()))) => steps.push_back(Step::Cancel),
            Some(Some(CancelTiming::AfterNumResponses(count))) => {
                after_responses = Some(count as usize);
                steps.push_back(Step::CloseSend);
            }
            Some(timing) => {
                steps.push_back(Step::CloseSend);
                wait(
                    &mut steps,
                    if let Some(CancelTiming::AfterCloseSendMs(delay)) = timing { delay } else { 0 },
                );
                steps.push_back(Step::Cancel);
            }
        }
        let unsent = request.request_messages.len();
        Ok(Self {
            request,
            method,
            codec,
            steps,
            after_responses,
            payloads: Vec::new(),
            unsent,
            ended: false,
            error: None,
        })
    }

    /// What the runner asked for: where to connect, how to encode, what limits.
    pub fn request(&self) -> &ClientCompatRequest {
        &self.request
    }

    /// The method to call.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The codec of both directions.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The request headers.
    pub fn headers(&self) -> Metadata {
        convert::to_metadata(&self.request.request_headers)
    }

    /// How long the call may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.request.timeout_ms.map(|milliseconds| Duration::from_millis(milliseconds.into()))
    }

    /// What to do now.
    pub fn next_step(&mut self) -> Step {
        match self.steps.pop_front() {
            Some(step) => step,
            None if self.ended => Step::Done,
            None => Step::Receive,
        }
    }

    /// Answers [`Step::Send`]. After a failure nothing more is sent; receiving will tell why.
    pub fn sent(&mut self, good: bool) {
        if good {
            self.unsent -= 1;
        } else {
            self.steps.clear();
        }
    }

    /// Answers [`Step::Receive`]: a message, the end, or the failure of the call.
    pub fn received(&mut self, result: Result<Option<&[u8]>, Status>) {
        match result {
            Ok(Some(data)) => match self.method.decode(self.codec, data) {
                Ok(payload) => self.payload(payload),
                Err(status) => self.give_up(Status::internal(status.message())),
            },
            Ok(None) => {
                self.end();
                if self.one_response() && self.payloads.is_empty() {
                    self.error = Some(Status::unimplemented("no response message"));
                }
            }
            Err(status) => {
                self.end();
                self.error = Some(status);
            }
        }
    }

    fn payload(&mut self, payload: ConformancePayload) {
        self.payloads.push(payload);
        if self.one_response() && self.payloads.len() > 1 {
            self.give_up(Status::unimplemented("more than one response message"));
        } else if self.after_responses == Some(self.payloads.len()) {
            self.steps.clear();
            self.steps.push_back(Step::Cancel);
        }
    }

    fn give_up(&mut self, status: Status) {
        self.end();
        self.error = Some(status);
        self.steps.push_back(Step::Cancel);
    }

    fn end(&mut self) {
        self.ended = true;
        self.steps.clear();
    }

    fn one_response(&self) -> bool {
        matches!(self.request.stream_type(), StreamType::Unary | StreamType::ClientStream)
    }

    /// The report, with the headers and trailers of the response as far as there are any. The metadata of a failure
    /// comes first.
    pub fn finish(self, headers: &Metadata, trailers: &Metadata) -> ClientCompatResponse {
        let error = self.error.as_ref();
        let beside_error = error.map(Status::metadata).filter(|metadata| !metadata.as_fields().is_empty());
        let payloads = if self.one_response() && error.is_some() { Vec::new() } else { self.payloads };
        let response = ClientResponseResult {
            response_headers: convert::from_metadata(headers),
            payloads,
            error: error.map(convert::from_status),
            response_trailers: convert::from_metadata(beside_error.unwrap_or(trailers)),
            num_unsent_requests: i32::try_from(self.unsent).unwrap_or(i32::MAX),
            ..ClientResponseResult::default()
        };
        ClientCompatResponse { test_name: self.request.test_name, result: Some(Outcome::Response(response)) }
    }
}

fn wait(steps: &mut VecDeque<Step>, milliseconds: u32) {
    if milliseconds > 0 {
        steps.push_back(Step::Wait(Duration::from_millis(milliseconds.into())));
    }
}

/// The report of a call that could not be made.
pub fn failure(test_name: String, message: impl Into<String>) -> ClientCompatResponse {
    let error = ClientErrorResult { message: message.into() };
    ClientCompatResponse { test_name, result: Some(Outcome::Error(error)) }
}

/// Reads requests until the input ends, makes up to `workers` calls at a time by `call`, and writes each report when
/// it is there. A panic of `call` is reported as a call that could not be made.
pub fn run(
    input: &mut impl Read,
    output: impl Write + Send,
    workers: usize,
    call: impl Fn(ClientCompatRequest) -> ClientCompatResponse + Sync,
) -> io::Result<()> {
    let (requests, queue) = mpsc::channel::<ClientCompatRequest>();
    let (queue, output) = (Mutex::new(queue), Mutex::new(output));
    let work = || -> io::Result<()> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(request) = next else { return Ok(()) };
            let name = request.test_name.clone();
            let report = catch_unwind(AssertUnwindSafe(|| call(request)));
            let report = report.unwrap_or_else(|_| failure(name, "the client panicked"));
            frame::write(&mut *output.lock().unwrap_or_else(PoisonError::into_inner), &report)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let read = (|| {
            while let Some(request) = frame::read(input)? {
                requests.send(request).map_err(io::Error::other)?;
            }
            Ok(())
        })();
        drop(requests);
        workers.into_iter().fold(read, |result, worker| {
            result.and(worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked"))))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::client_compat_request::Cancel;
    use antiphon::Code;

    fn request(
        stream_type: StreamType,
        messages: usize,
        cancel: Option<Option<CancelTiming>>,
    ) -> ClientCompatRequest {
        let (method, message) = match stream_type {
            StreamType::ClientStream => ("ClientStream", Any::from_msg(&ClientStreamRequest::default())),
            StreamType::ServerStream => ("ServerStream", Any::from_msg(&ServerStreamRequest::default())),
            StreamType::Unary => ("Unary", Any::from_msg(&UnaryRequest::default())),
            _ => ("BidiStream", Any::from_msg(&BidiStreamRequest::default())),
        };
        ClientCompatRequest {
            test_name: "t".into(),
            codec: Codec::Proto.into(),
            stream_type: stream_type.into(),
            method: Some(method.into()),
            request_messages: vec![message.unwrap(); messages],
            cancel: cancel.map(|cancel_timing| Cancel { cancel_timing }),
            ..ClientCompatRequest::default()
        }
    }

    use crate::proto::Codec;

    /// The steps, as letters, with every send good and `answers` received, then the end.
    fn drive(call: &mut Call, answers: &[&[u8]]) -> String {
        let mut answers = answers.iter();
        let mut trace = String::new();
        for _ in 0..100 {
            match call.next_step() {
                Step::Wait(_) => trace.push('w'),
                Step::Send(_) => {
                    trace.push('s');
                    call.sent(true);
                }
                Step::CloseSend => trace.push('c'),
                Step::Cancel => trace.push('x'),
                Step::Receive => {
                    trace.push('r');
                    call.received(Ok(answers.next().copied()));
                }
                Step::Done => break,
            }
        }
        trace
    }

    #[test]
    fn the_order_of_steps() {
        use CancelTiming::*;
        use StreamType::*;
        let cases = [
            (Unary, 1, None, "scrr"),
            (ClientStream, 2, None, "sscrr"),
            (FullDuplexBidiStream, 2, None, "srsrcr"),
            (HalfDuplexBidiStream, 2, None, "sscrrr"),
            (Unary, 1, Some(None), "scxrr"),
            (Unary, 1, Some(Some(AfterCloseSendMs(5))), "scwxrr"),
            (ClientStream, 1, Some(Some(BeforeCloseSend(()))), "sxrr"),
            (ServerStream, 1, Some(Some(AfterNumResponses(1))), "scrxrr"),
            (FullDuplexBidiStream, 2, Some(Some(AfterNumResponses(1))), "srxrr"),
        ];
        for (stream_type, messages, cancel, expected) in cases {
            let mut call = Call::new(request(stream_type, messages, cancel)).unwrap();
            let answers = match stream_type {
                Unary | ClientStream => &[&[][..]][..],
                _ => &[&[][..], &[][..]][..],
            };
            assert_eq!(drive(&mut call, answers), expected, "{stream_type:?} {cancel:?}");
        }
    }

    // suite: "gRPC Unexpected Responses", OK without a response and with many.
    #[test]
    fn one_response_means_one() {
        for answers in [&[][..], &[&[][..], &[][..]][..]] {
            let mut call = Call::new(request(StreamType::Unary, 1, None)).unwrap();
            drive(&mut call, answers);
            let Some(Outcome::Response(result)) = call.finish(&Metadata::new(), &Metadata::new()).result
            else {
                panic!("no response")
            };
            assert_eq!(result.error.unwrap().code, Code::Unimplemented.number() as i32);
            assert_eq!(result.payloads, []);
        }
    }

    #[test]
    fn a_failed_send_turns_to_receiving() {
        let mut call = Call::new(request(StreamType::ClientStream, 3, None)).unwrap();
        assert!(matches!(call.next_step(), Step::Send(_)));
        call.sent(true);
        assert!(matches!(call.next_step(), Step::Send(_)));
        call.sent(false);
        assert!(matches!(call.next_step(), Step::Receive));
        let mut trailers = Metadata::new();
        trailers.as_fields_mut().push("x", b"y");
        call.received(Err(Status::aborted("stop").with_metadata(trailers)));
        assert!(matches!(call.next_step(), Step::Done));
        let Some(Outcome::Response(result)) = call.finish(&Metadata::new(), &Metadata::new()).result else {
            panic!("no response")
        };
        assert_eq!((result.num_unsent_requests, result.error.unwrap().code), (2, 10));
        assert_eq!(result.response_trailers[0].name, "x");
    }

    #[test]
    fn reports_come_for_every_request_even_after_a_panic() {
        let mut input = Vec::new();
        for name in ["a", "b", "panic", "c"] {
            let request = ClientCompatRequest { test_name: name.into(), ..ClientCompatRequest::default() };
            frame::write(&mut input, &request).unwrap();
        }
        let mut output = Vec::new();
        run(&mut &input[..], &mut output, 2, |request| {
            assert_ne!(request.test_name, "panic");
            failure(request.test_name, "not made")
        })
        .unwrap();
        let mut names = Vec::new();
        let mut output = &output[..];
        while let Some(report) = frame::read::<ClientCompatResponse>(&mut output).unwrap() {
            names.push(report.test_name);
        }
        names.sort();
        assert_eq!(names, ["a", "b", "c", "panic"]);
    }
}
