//! A server that echoes, and a client that follows a plan and writes down what it sees.

use core::time::Duration;
use std::collections::BTreeMap;

use antiphon::rpc::{ClientRequest, Method, Payload, Protocol, Shape};
use antiphon::{CallId, Code, End, Event, Instant, Metadata, SendError, StartError, Status, client, server};

use crate::pair::App;

/// The four shapes.
pub const SHAPES: [Shape; 4] = [Shape::Unary, Shape::ServerStream, Shape::ClientStream, Shape::Bidi];
/// The protocols, in both forms of gRPC-Web.
pub const PROTOCOLS: [Protocol; 4] =
    [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];

/// The path of the echo's method of this shape.
pub fn path(shape: Shape) -> &'static str {
    match shape {
        Shape::Unary => "/test.v1.Echo/Unary",
        Shape::ServerStream => "/test.v1.Echo/ServerStream",
        Shape::ClientStream => "/test.v1.Echo/ClientStream",
        Shape::Bidi => "/test.v1.Echo/Bidi",
    }
}

/// The echo's methods. All may be called by GET if unary.
pub fn method(path: &str) -> Option<Method> {
    let shape = SHAPES.into_iter().find(|shape| self::path(*shape) == path)?;
    Some(Method::new(shape).without_side_effects())
}

/// What happened to one call, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The headers of the peer, `name: value` a line.
    pub headers: Option<String>,
    /// Its messages.
    pub messages: Vec<Vec<u8>>,
    /// Its trailers (at a client).
    pub trailers: String,
    /// How the receiving direction ended: at a client the outcome.
    pub end: Option<String>,
    /// The notice of the end. There may be one only.
    pub ended: Vec<End>,
    /// Codes of `Stopped`.
    pub stopped: Vec<u32>,
}

/// Messages by their length alone.
impl core::fmt::Debug for Record {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let lengths: Vec<usize> = self.messages.iter().map(Vec::len).collect();
        write!(f, "[messages {lengths:?} end {:?} ended {:?}", self.end, self.ended)?;
        write!(f, " stopped {:?} headers {:?} trailers {:?}]", self.stopped, self.headers, self.trailers)
    }
}

fn lines(metadata: &Metadata) -> String {
    let hidden = ["user-agent", "te", "accept", "x-grpc-web"];
    let fields = metadata.as_fields().iter().filter(|field| !hidden.contains(&field.name));
    fields.map(|field| format!("{}: {}\n", field.name, field.value.escape_ascii())).collect()
}

/// Describes a status in a way that tests can compare.
pub fn describe(status: &Status) -> String {
    format!("{:?} ended {:?} unprocessed {}", status.code(), status.ended(), status.unprocessed())
}

/// What the echo does with one call.
#[derive(Debug, Default)]
struct Echoing {
    shape: Option<Shape>,
    queue: Vec<Vec<u8>>,
    received: usize,
    bytes: usize,
    headers_sent: bool,
    request_over: bool,
    finished: bool,
}

/// Echoes: a unary call its message; a server stream its message five times; a client stream how many messages and bytes
/// came; a bidi stream every message. The request's metadata comes back as headers, `x-trailer` as a trailer; `x-fail`
/// with a code ends the call with that status once the request is complete.
#[derive(Debug, Default)]
pub struct Echo {
    /// All calls seen, by the order of their beginning.
    pub records: Vec<Record>,
    /// Drop calls that have ended. Otherwise they are held.
    pub drop_ended: bool,
    /// Calls on this path never answer and never read.
    pub silent: Option<&'static str>,
    /// Calls to [`Echo::silent`] that were not dropped.
    pub held: Vec<CallId>,
    calls: BTreeMap<CallId, (usize, Echoing)>,
    scratch: Vec<u8>,
}

impl Echo {
    /// An echo that drops its calls when they have ended.
    pub fn new() -> Self {
        Self { drop_ended: true, ..Self::default() }
    }

    /// Calls that have begun and have not been dropped.
    pub fn open(&self) -> usize {
        self.calls.len()
    }

    fn start(&mut self, now: Instant, machine: &mut server::Connection, call: CallId) {
        let Some(request) = machine.request(call) else { panic!("{call:?} has started and is unknown") };
        let mut record = Record { headers: Some(lines(request.metadata())), ..Record::default() };
        let path = request.path().to_owned();
        let method = method(&path);
        if self.silent.is_some_and(|silent| silent == path) {
            self.held.push(call);
            return;
        }
        if !machine.route(now, call, method.as_ref()) {
            record.end = Some("refused".into());
            self.records.push(record);
            machine.drop_call(now, call);
            return;
        }
        let echoing = Echoing { shape: method.map(|method| method.shape), ..Echoing::default() };
        self.calls.insert(call, (self.records.len(), echoing));
        self.records.push(record);
    }

    fn read(&mut self, now: Instant, machine: &mut server::Connection, call: CallId) {
        loop {
            let Some((index, echoing)) = self.calls.get_mut(&call) else { return };
            if echoing.request_over || echoing.finished {
                return;
            }
            let record = &mut self.records[*index];
            match machine.read(now, call).expect("the call is known") {
                server::Read::Messages(mut run) => {
                    while let Some(message) = run.next(&mut self.scratch) {
                        match message {
                            Ok(message) => {
                                record.messages.push(message.to_vec());
                                echoing.received += 1;
                                echoing.bytes += message.len();
                                match echoing.shape {
                                    Some(Shape::ServerStream) => {
                                        echoing.queue.extend((0..5).map(|_| message.to_vec()));
                                    }
                                    Some(Shape::ClientStream) => {}
                                    _ => echoing.queue.push(message.to_vec()),
                                }
                            }
                            Err(status) => return machine.fail(now, call, status),
                        }
                    }
                }
                server::Read::Pending => return,
                server::Read::End(end) => {
                    echoing.request_over = true;
                    record.end = Some(match &end {
                        server::ReadEnd::Failed(status) => format!("Failed({})", describe(status)),
                        end => format!("{end:?}"),
                    });
                    if !matches!(end, server::ReadEnd::HalfClosed) {
                        echoing.finished = true;
                        echoing.queue.clear();
                    } else if echoing.shape == Some(Shape::ClientStream) {
                        let text = format!("{} messages, {} bytes", echoing.received, echoing.bytes);
                        echoing.queue.push(text.into_bytes());
                    }
                    return;
                }
            }
        }
    }

    fn write(&mut self, now: Instant, machine: &mut server::Connection, call: CallId) {
        let Some((_, echoing)) = self.calls.get_mut(&call) else { return };
        if echoing.finished {
            return;
        }
        let Some(request) = machine.request(call) else { return };
        let metadata = request.metadata().clone();
        let failing = metadata.get("x-fail").and_then(Code::from_name);
        let mut headers = Metadata::new();
        let mut trailers = Metadata::new();
        for field in metadata.as_fields() {
            if field.name.starts_with("x-echo") {
                headers.as_fields_mut().push(field.name, field.value);
            } else if field.name.starts_with("x-trailer") {
                trailers.as_fields_mut().push(field.name, field.value);
            }
        }
        if !echoing.headers_sent && !echoing.queue.is_empty() && failing.is_none() {
            echoing.headers_sent = true;
            machine.send_headers(now, call, &headers).expect("headers may be sent");
        }
        while !echoing.queue.is_empty() && failing.is_none() {
            match machine.send(now, call, Payload::Plain(&echoing.queue[0])) {
                Ok(()) => drop(echoing.queue.remove(0)),
                Err(SendError::Blocked) => return,
                Err(SendError::Ended) => return,
                Err(SendError::Misuse(misuse)) => panic!("{misuse}"),
            }
        }
        if echoing.request_over {
            echoing.finished = true;
            let status = failing.map(|code| Status::new(code, "as you wished"));
            let result = status.as_ref().map_or(Ok(()), Err);
            machine.finish(now, call, result, &trailers).expect("the call can be finished");
        }
    }
}

impl App<server::Connection> for Echo {
    fn on_event(&mut self, now: Instant, machine: &mut server::Connection, event: Event) {
        match event {
            Event::Started(call) => {
                self.start(now, machine, call);
                self.read(now, machine, call);
                self.write(now, machine, call);
            }
            Event::Readable(call) => {
                self.read(now, machine, call);
                self.write(now, machine, call);
            }
            Event::Writable(call) => self.write(now, machine, call),
            Event::Stopped(call, code) => {
                if let Some((index, _)) = self.calls.get(&call) {
                    self.records[*index].stopped.push(code);
                }
            }
            Event::Ended(call, end) => {
                self.read(now, machine, call);
                if let Some((index, _)) = self.calls.get(&call) {
                    self.records[*index].ended.push(end);
                    if self.drop_ended {
                        self.calls.remove(&call);
                        machine.drop_call(now, call);
                    }
                }
            }
            Event::Available | Event::Draining => {}
        }
    }

    fn turn(&mut self, _: Instant, _: &mut server::Connection) {}
}

/// A call to make.
#[derive(Clone)]
pub struct Plan {
    /// The protocol.
    pub protocol: Protocol,
    /// The shape.
    pub shape: Shape,
    /// Another path than the echo's.
    pub path: Option<&'static str>,
    /// The messages to send.
    pub messages: Vec<Vec<u8>>,
    /// Further request headers.
    pub metadata: Vec<(&'static str, &'static str)>,
    /// Until the deadline, from the start.
    pub timeout: Option<Duration>,
    /// By GET.
    pub get: bool,
    /// Cancel once so many messages have been received.
    pub cancel_after: Option<usize>,
    /// Never half-close.
    pub keep_open: bool,
    /// Half-close only when a message has come back.
    pub ping_pong: bool,
    /// Never read.
    pub unread: bool,
}

impl Plan {
    /// A call to the echo.
    pub fn new(protocol: Protocol, shape: Shape, messages: Vec<Vec<u8>>) -> Self {
        Self {
            protocol,
            shape,
            path: None,
            messages,
            metadata: vec![("x-echo", "hello"), ("x-trailer", "bye"), ("x-echo-bin", "AAECAw")],
            timeout: None,
            get: false,
            cancel_after: None,
            keep_open: false,
            ping_pong: false,
            unread: false,
        }
    }

    /// One small call of this shape.
    pub fn small(protocol: Protocol, shape: Shape) -> Self {
        let count = if shape.takes_stream() { 3 } else { 1 };
        Self::new(protocol, shape, (0..count).map(|index| format!("message {index}").into_bytes()).collect())
    }
}

/// Without the messages.
impl core::fmt::Debug for Plan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let lengths: Vec<usize> = self.messages.iter().map(Vec::len).collect();
        write!(f, "[{:?} {:?} {:?} messages {lengths:?}", self.protocol, self.shape, self.path)?;
        write!(f, " timeout {:?} get {} cancel {:?}", self.timeout, self.get, self.cancel_after)?;
        write!(f, " keep_open {} metadata {:?}]", self.keep_open, self.metadata)
    }
}

/// A call under way.
#[derive(Debug)]
struct Calling {
    plan: usize,
    sent: usize,
    closed: bool,
    over: bool,
}

/// Makes the planned calls as the connection admits them, and writes down what comes of them.
#[derive(Debug, Default)]
pub struct Script {
    /// The calls to make.
    pub plans: Vec<Plan>,
    /// What came of them.
    pub records: Vec<Record>,
    /// Ids of the calls started.
    pub ids: Vec<Option<CallId>>,
    /// Keep calls after their end.
    pub keep: bool,
    calls: BTreeMap<CallId, Calling>,
    next: usize,
    full: bool,
    scratch: Vec<u8>,
}

impl Script {
    /// A script of these calls.
    pub fn new(plans: Vec<Plan>) -> Self {
        let records = vec![Record::default(); plans.len()];
        Self { ids: vec![None; plans.len()], plans, records, ..Self::default() }
    }

    /// Whether every call has come to its end.
    pub fn is_done(&self) -> bool {
        self.next == self.plans.len() && self.calls.values().all(|call| call.over)
    }

    fn start(&mut self, now: Instant, machine: &mut client::Connection) {
        while self.next < self.plans.len() && !self.full {
            let plan = &self.plans[self.next];
            let mut metadata = Metadata::new();
            for (name, value) in &plan.metadata {
                metadata.as_fields_mut().push(name, value.as_bytes());
            }
            let path = plan.path.unwrap_or(self::path(plan.shape));
            let method = Method::new(plan.shape).without_side_effects();
            let request = ClientRequest::new(plan.protocol, "proto", method, "example.com", path)
                .metadata(&metadata)
                .use_get(plan.get)
                .deadline(plan.timeout.map(|timeout| now + timeout));
            match machine.start(now, &request) {
                Ok(call) => {
                    self.ids[self.next] = Some(call);
                    let calling = Calling { plan: self.next, sent: 0, closed: false, over: false };
                    self.calls.insert(call, calling);
                    self.next += 1;
                    self.write(now, machine, call);
                }
                Err(StartError::Full) => self.full = true,
                Err(error) => {
                    self.records[self.next].end = Some(format!("not started: {error:?}"));
                    self.next += 1;
                }
            }
        }
    }

    fn write(&mut self, now: Instant, machine: &mut client::Connection, call: CallId) {
        let Some(calling) = self.calls.get_mut(&call) else { return };
        let plan = &self.plans[calling.plan];
        if calling.closed || calling.over {
            return;
        }
        while let Some(message) = plan.messages.get(calling.sent) {
            let received = self.records[calling.plan].messages.len();
            if plan.ping_pong && received < calling.sent {
                return;
            }
            match machine.send(now, call, Payload::Plain(message)) {
                Ok(()) => calling.sent += 1,
                Err(SendError::Blocked) => return,
                Err(SendError::Ended) => {
                    calling.closed = true;
                    return;
                }
                Err(SendError::Misuse(misuse)) => panic!("{misuse}"),
            }
        }
        let answered = self.records[calling.plan].messages.len() >= plan.messages.len();
        if !plan.keep_open && (!plan.ping_pong || answered) {
            calling.closed = true;
            machine.half_close(now, call).expect("the request can be ended");
        }
    }

    fn read(&mut self, now: Instant, machine: &mut client::Connection, call: CallId) {
        loop {
            let Some(calling) = self.calls.get_mut(&call) else { return };
            let plan = &self.plans[calling.plan];
            if calling.over || plan.unread {
                return;
            }
            let record = &mut self.records[calling.plan];
            if let Some(headers) = machine.headers(call) {
                record.headers = Some(lines(headers));
            }
            match machine.read(now, call).expect("the call is known") {
                client::Read::Messages(mut run) => {
                    while let Some(message) = run.next(&mut self.scratch) {
                        match message {
                            Ok(message) => record.messages.push(message.to_vec()),
                            Err(status) => machine.fail(now, call, status),
                        }
                    }
                    if plan.cancel_after.is_some_and(|count| record.messages.len() >= count) {
                        machine.cancel(now, call);
                    }
                    if plan.ping_pong {
                        self.write(now, machine, call);
                    }
                }
                client::Read::Pending => return,
                client::Read::End(outcome) => {
                    record.trailers = lines(machine.trailers(call).expect("the call is known"));
                    record.end = Some(match &outcome {
                        Ok(()) => "Ok".into(),
                        Err(status) => describe(status),
                    });
                    calling.over = true;
                }
            }
        }
    }

    /// Drops the calls that are over.
    pub fn drop_ended(&mut self, now: Instant, machine: &mut client::Connection) {
        let over: Vec<CallId> =
            self.calls.iter().filter(|(_, calling)| calling.over).map(|(call, _)| *call).collect();
        for call in over {
            self.calls.remove(&call);
            machine.drop_call(now, call);
        }
    }
}

impl App<client::Connection> for Script {
    fn on_event(&mut self, now: Instant, machine: &mut client::Connection, event: Event) {
        match event {
            Event::Readable(call) => self.read(now, machine, call),
            Event::Writable(call) => self.write(now, machine, call),
            Event::Stopped(call, code) => {
                if let Some(calling) = self.calls.get(&call) {
                    self.records[calling.plan].stopped.push(code);
                }
            }
            Event::Ended(call, end) => {
                if let Some(calling) = self.calls.get(&call) {
                    self.records[calling.plan].ended.push(end);
                    self.read(now, machine, call);
                    let over = self.calls.get(&call).is_some_and(|calling| calling.over);
                    assert!(over || self.plans[self.calls[&call].plan].unread, "an end without an outcome");
                    if over && !self.keep {
                        self.calls.remove(&call);
                        machine.drop_call(now, call);
                    }
                }
            }
            Event::Available | Event::Draining => self.full = false,
            Event::Started(_) => panic!("a client's calls are not started by the peer"),
        }
    }

    fn turn(&mut self, now: Instant, machine: &mut client::Connection) {
        self.start(now, machine);
    }
}
