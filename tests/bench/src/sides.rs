//! Servers and clients that do the least that an application does.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use antiphon::rpc::{ClientRequest, HttpVersion, Method, Payload, Protocol, Shape};
use antiphon::{CallId, Config, Event, Instant, Machine, Metadata, Pump, client, server};

use crate::heads::{AUTHORITY, Custom, Heads, MESSAGE, PATH, Wire};
use crate::replay::Side;

pub const NOW: Instant = Instant::from_epoch(Duration::from_secs(1000));
const NONE: &Metadata = &Metadata::new();

/// How streamed messages stand in DATA frames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// 512 of them in one.
    Coalesced,
    /// One in each, 32 in a turn.
    Single,
}

impl Cut {
    pub fn name(self) -> &'static str {
        match self {
            Self::Coalesced => "512-per-frame",
            Self::Single => "1-per-frame",
        }
    }

    pub fn per_turn(self) -> usize {
        match self {
            Self::Coalesced => 512,
            Self::Single => 32,
        }
    }
}

/// One configuration for all, so that making a connection does not make one.
pub fn config() -> Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(Arc::default))
}

/// Gives output away, as a driver would: a write, or here a copy at most.
fn flush<M: Machine>(pump: &mut Pump<M>, out: Option<&mut Vec<u8>>) {
    match out {
        Some(out) => out.extend(pump.take_output(NOW)),
        None => pump.output(NOW).clear(),
    }
    std::hint::black_box(pump.timeout());
}

/// A server that echoes, or that receives or sends streams.
pub struct Server {
    pump: Pump<server::Connection>,
    method: Method,
    streams: Vec<CallId>,
    sends: Option<Cut>,
    scratch: Vec<u8>,
    done: u64,
}

impl Server {
    fn new(shape: Shape, sends: Option<Cut>) -> Self {
        let pump = Pump::new(server::Connection::new(config()));
        let (streams, scratch) = (Vec::new(), Vec::new());
        Self { pump, method: Method::new(shape), streams, sends, scratch, done: 0 }
    }

    pub fn unary() -> Self {
        Self::new(Shape::Unary, None)
    }

    pub fn receiver() -> Self {
        Self::new(Shape::ClientStream, None)
    }

    pub fn sender(cut: Cut) -> Self {
        Self::new(Shape::ServerStream, Some(cut))
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Started(call) => {
                let path = self.pump.machine.request(call).map(|request| request.path());
                let method = (path == Some(PATH)).then_some(&self.method);
                self.pump.machine.route(NOW, call, method);
            }
            Event::Readable(call) => self.read(call),
            _ => {}
        }
    }

    fn read(&mut self, call: CallId) {
        let machine = &mut self.pump.machine;
        while let Ok(server::Read::Messages(mut messages)) = machine.read(NOW, call) {
            while let Some(Ok(message)) = messages.next(&mut self.scratch) {
                match self.method.shape {
                    Shape::Unary => {
                        let answered = machine.answer(NOW, call, NONE, Payload::Plain(&message), NONE);
                        assert!(answered.is_ok(), "a call was not answered: {answered:?}");
                        machine.drop_call(NOW, call);
                        self.done += 1;
                        return;
                    }
                    Shape::ServerStream => self.streams.push(call),
                    _ => self.done += u64::from(std::hint::black_box(message).len() == MESSAGE.len()),
                }
            }
        }
    }

    fn send(&mut self, cut: Cut) {
        for &call in &self.streams {
            for _ in 0..cut.per_turn() {
                if self.pump.machine.send(NOW, call, Payload::Plain(MESSAGE)).is_err() {
                    break;
                }
                self.done += 1;
                if cut == Cut::Single {
                    self.pump.output(NOW);
                }
            }
        }
    }
}

impl Side for Server {
    fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) {
        self.pump.feed(NOW, input);
        while let Some(event) = self.pump.next_event() {
            self.event(event);
        }
        if let Some(cut) = self.sends {
            self.send(cut);
        }
        assert!(self.pump.error().is_none(), "{:?}", self.pump.error());
        flush(&mut self.pump, out);
    }

    fn done(&self) -> u64 {
        self.done
    }
}

/// What an application sends beside its messages, made once: as many as there are calls that differ.
pub fn metadata(custom: Custom) -> Rc<[Metadata]> {
    let different = if custom.fields > 6 { 512 } else { 1 };
    let make = |call| {
        let mut metadata = Metadata::new();
        for (name, value) in custom.list(call) {
            metadata.append(name, value.as_str()).expect("valid metadata");
        }
        metadata
    };
    (0..different).map(make).collect()
}

/// A client that calls, or that receives or sends one stream.
pub struct Client {
    pump: Pump<client::Connection>,
    job: Job,
    metadata: Rc<[Metadata]>,
    stream: Option<CallId>,
    scratch: Vec<u8>,
    open: usize,
    begun: u64,
    done: u64,
}

#[derive(Clone, Copy)]
enum Job {
    Call(Heads),
    Send(Cut),
    Receive,
}

impl Client {
    fn new(job: Job, wire: Wire) -> Self {
        let version = if wire == Wire::Connect1 { HttpVersion::Http11 } else { HttpVersion::Http2 };
        let pump = Pump::new(client::Connection::new(config(), version));
        let (scratch, metadata) = (Vec::new(), Rc::default());
        Self { pump, job, metadata, stream: None, scratch, open: 0, begun: 0, done: 0 }
    }

    /// A client that calls with this metadata, in turn.
    pub fn unary(heads: Heads, metadata: Rc<[Metadata]>) -> Self {
        Self { metadata, ..Self::new(Job::Call(heads), heads.wire) }
    }

    pub fn sender(cut: Cut) -> Self {
        Self::new(Job::Send(cut), Wire::Grpc)
    }

    pub fn receiver() -> Self {
        Self::new(Job::Receive, Wire::Grpc)
    }

    fn event(&mut self, event: Event) {
        let Event::Readable(call) = event else { return };
        let machine = &mut self.pump.machine;
        loop {
            match machine.read(NOW, call) {
                Ok(client::Read::Messages(mut messages)) => {
                    while let Some(Ok(message)) = messages.next(&mut self.scratch) {
                        let same = std::hint::black_box(message).len() == MESSAGE.len();
                        self.done += u64::from(same && matches!(self.job, Job::Receive));
                    }
                }
                Ok(client::Read::End(outcome)) => {
                    assert!(outcome.is_ok(), "a call failed: {outcome:?}");
                    machine.drop_call(NOW, call);
                    self.open -= 1;
                    self.done += 1;
                    return;
                }
                _ => return,
            }
        }
    }

    fn begin(&mut self) {
        match self.job {
            Job::Call(heads) => {
                while self.open < heads.wire.batch() {
                    self.call(heads);
                }
            }
            Job::Send(cut) => {
                let call = self.stream.unwrap_or_else(|| self.open_stream(Shape::ClientStream));
                self.stream = Some(call);
                for _ in 0..cut.per_turn() {
                    if self.pump.machine.send(NOW, call, Payload::Plain(MESSAGE)).is_err() {
                        break;
                    }
                    self.done += 1;
                    if cut == Cut::Single {
                        self.pump.output(NOW);
                    }
                }
            }
            Job::Receive if self.stream.is_none() => {
                let call = self.open_stream(Shape::ServerStream);
                let sent = self.pump.machine.send_last(NOW, call, Payload::Plain(MESSAGE));
                assert!(sent.is_ok(), "{sent:?}");
                self.stream = Some(call);
            }
            Job::Receive => {}
        }
    }

    fn open_stream(&mut self, shape: Shape) -> CallId {
        let request = ClientRequest::new(Protocol::Grpc, "proto", Method::new(shape), AUTHORITY, PATH);
        self.pump.machine.start(NOW, &request).expect("a stream")
    }

    fn call(&mut self, heads: Heads) {
        let method = Method::new(Shape::Unary);
        let metadata = &self.metadata[self.begun as usize % self.metadata.len()];
        let patience = Duration::from_micros(999_999 - self.begun % 500_000);
        let deadline = heads.custom.timeout.then(|| NOW + patience);
        let request = ClientRequest::new(heads.wire.protocol(), "proto", method, AUTHORITY, PATH)
            .metadata(metadata)
            .deadline(deadline);
        let machine = &mut self.pump.machine;
        let call = machine.start(NOW, &request).expect("a call");
        let sent = machine.send_last(NOW, call, Payload::Plain(MESSAGE));
        assert!(sent.is_ok(), "{sent:?}");
        self.begun += 1;
        self.open += 1;
    }
}

impl Side for Client {
    fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) {
        self.pump.feed(NOW, input);
        while let Some(event) = self.pump.next_event() {
            self.event(event);
        }
        self.begin();
        assert!(self.pump.error().is_none(), "{:?}", self.pump.error());
        flush(&mut self.pump, out);
    }

    fn done(&self) -> u64 {
        self.done
    }
}
