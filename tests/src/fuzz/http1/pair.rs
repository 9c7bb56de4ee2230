//! Both ends against each other: what one writes the other reads as it was meant (I7), and two honest ends never wedge.

use antiphon::http1::{Client, Server};
use antiphon::{
    Fields, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StreamEvent, StreamKey,
};
use bytes::{Bytes, BytesMut};

use super::Input;

const NOW: Instant = Instant::EPOCH;

/// One end with what it was given to send and what it has received.
struct End<M> {
    machine: M,
    input: BytesMut,
    key: Option<StreamKey>,
    pushed: Vec<u8>,
    received: Vec<u8>,
    answered: bool,
    informed: usize,
    finished: bool,
}

impl<M: HttpConnection> End<M> {
    fn new(machine: M) -> Self {
        let (pushed, received) = (Vec::new(), Vec::new());
        Self {
            machine,
            input: BytesMut::new(),
            key: None,
            pushed,
            received,
            answered: false,
            informed: 0,
            finished: false,
        }
    }

    fn begin(&mut self, key: StreamKey) {
        self.key = Some(key);
        self.pushed.clear();
        self.received.clear();
        self.answered = false;
        self.informed = 0;
        self.finished = false;
    }

    /// Moves some bytes to the other end.
    fn send_to<N: HttpConnection>(&mut self, other: &mut End<N>, wire: &mut BytesMut, most: usize) {
        let mut out = Output::new();
        self.machine.poll_transmit(NOW, &mut out);
        while let Some(piece) = out.take() {
            wire.extend_from_slice(&piece);
        }
        if other.machine.wants_input() {
            other.input.extend_from_slice(&wire.split_to(most.min(wire.len())));
        }
        other.machine.handle_input(NOW, &mut other.input).expect("an honest peer breaks no rule");
        while let Some(event) = other.machine.poll_event() {
            match event {
                StreamEvent::Opened(key) => other.begin(key),
                StreamEvent::Stopped(_, code) => assert_eq!(code, 0, "only an early answer stops an upload"),
                _ => {}
            }
        }
    }

    fn push(&mut self, count: usize) {
        let (Some(key), false) = (self.key, self.finished) else { return };
        if self.machine.poll_room(key).is_ok() {
            let bytes: Vec<u8> = (0..count).map(|at| (at + self.pushed.len()) as u8).collect();
            if count % 2 == 0 {
                self.machine.push(key, &bytes);
            } else {
                self.machine.push_bytes(key, &Bytes::copy_from_slice(&bytes));
            }
            self.pushed.extend_from_slice(&bytes);
        }
    }

    fn finish(&mut self, trailers: bool) {
        let (Some(key), false) = (self.key, self.finished) else { return };
        if trailers {
            self.machine.finish_with_trailers(key, &Fields::from_iter([("x-sum", &b"1"[..])]));
        } else {
            self.machine.finish(key);
        }
        self.finished = true;
    }

    /// Reads as one that waits for messages of `need` bytes.
    fn read(&mut self, need: usize) {
        let Some(key) = self.key else { return };
        let Some(body) = self.machine.body(key) else { return };
        let complete = body.len() - body.len() % need.max(1);
        let taken = body.split_to(complete);
        self.received.extend_from_slice(&taken);
        self.machine.release(NOW, key, taken.len()).expect("no more than there was");
        self.machine.demand(NOW, key, need).expect("the key is known");
        self.machine.handle_input(NOW, &mut self.input).expect("an honest peer breaks no rule");
    }
}

/// A client and a server with random applications and a random transport between them.
pub fn h1_pair(data: &[u8]) {
    let mut input = Input(data);
    let mut client = End::new(Client::new(Limits::default()));
    let mut server = End::new(Server::new(Limits::default()));
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    while let Some(op) = input.byte() {
        let count = usize::from(input.byte().unwrap_or(0));
        match op % 13 {
            0 | 1 => client.send_to(&mut server, &mut up, count * 8),
            2 | 3 => server.send_to(&mut client, &mut down, count * 8),
            4 => open(&mut client, count),
            5 => respond(&mut server, count),
            6 => client.push(count * 40),
            7 if server.answered => server.push(count * 1000),
            8 => client.finish(count % 2 == 0),
            9 if server.answered => server.finish(count % 2 == 0),
            10 => client.read(count * 400),
            11 => server.read(count * 400),
            12 => next(&mut client, &mut server),
            _ => {}
        }
    }
    settle(&mut client, &mut server, &mut up, &mut down);
}

fn open(client: &mut End<Client>, choice: usize) {
    let mut head = Head::request(["POST", "GET", "PUT"][choice % 3], "", "a:1", "/p?q");
    if choice % 5 == 0 {
        head.fields.push("x-a", b"b \xff");
    }
    if let Ok(key) = client.machine.open(NOW, &head, choice % 7 == 0) {
        client.begin(key);
        client.finished = choice % 7 == 0;
    }
}

fn respond(server: &mut End<Server>, choice: usize) {
    let (Some(key), false) = (server.key, server.answered) else { return };
    // A client takes eight informational answers to a request, and an honest server sends no more.
    let informs = choice % 8 == 0 && server.informed < 8;
    server.informed += usize::from(informs);
    let status = if informs { 103 } else { 200 };
    if server.machine.respond(NOW, key, &Head::response(status), false).is_ok() {
        server.answered = status == 200;
    }
}

/// Lets go of an exchange that is complete at both ends: the connection takes the next one.
fn next(client: &mut End<Client>, server: &mut End<Server>) {
    let (Some(asked), Some(served)) = (client.key, server.key) else { return };
    if !client.machine.knows(asked) || !server.machine.knows(served) || asked != served {
        return;
    }
    client.read(1);
    server.read(1);
    let clean = Some(ReceiveEnd::Clean);
    if (client.machine.receive_end(asked), server.machine.receive_end(served)) == (clean, clean) {
        assert_eq!((&server.received, &client.received), (&client.pushed, &server.pushed));
        client.machine.drop_stream(NOW, asked);
        server.machine.drop_stream(NOW, served);
        assert!(client.machine.can_open());
        assert_eq!(server.machine.closing(), antiphon::Closing::Open);
        client.key = None;
        server.key = None;
    }
}

/// Lets both ends finish: everything that was given arrives, and the connection can be used again.
fn settle(client: &mut End<Client>, server: &mut End<Server>, up: &mut BytesMut, down: &mut BytesMut) {
    if client.key.is_none() {
        return;
    }
    client.finish(false);
    for _ in 0..10_000 {
        client.send_to(server, up, 50_000);
        respond(server, 1);
        // A server that answers before it has read all stops an honest client: so it reads first.
        let key = server.key.expect("the request has come");
        if server.machine.receive_end(key).is_some() {
            server.finish(false);
        }
        server.send_to(client, down, 50_000);
        server.read(1);
        client.read(1);
        let ends = [client.machine.receive_end(client.key.unwrap_or(key)), server.machine.receive_end(key)];
        // What came to its end while it was read is still to be read.
        server.read(1);
        client.read(1);
        if ends == [Some(ReceiveEnd::Clean), Some(ReceiveEnd::Clean)] {
            assert_eq!(server.received, client.pushed);
            assert_eq!(client.received, server.pushed);
            return;
        }
        if ends[0] == Some(ReceiveEnd::Clean) {
            // An early and complete answer: the upload was abandoned.
            assert_eq!(client.received, server.pushed);
            assert!(client.pushed.starts_with(&server.received));
            return;
        }
    }
    panic!("wedged");
}
