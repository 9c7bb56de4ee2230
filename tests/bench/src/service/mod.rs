//! The typed service layer at work: what generated code does, on the bytes that the bare engine's cases have.

mod bed;
mod greet;
mod sides;

use antiphon_service::{Bytes, Codec, Proto};

use crate::case::Work;
use crate::heads::{Heads, MESSAGE};
use crate::sides::Cut;
use crate::{replay, sides as bare, wire};

use greet::Hello;

/// A server's unary calls.
pub fn server_unary(heads: Heads) -> Work {
    replay::work(wire::requests(heads), || Box::new(sides::Server::unary()))
}

/// A client's unary calls, without metadata.
pub fn client_unary(heads: Heads) -> Work {
    replay::between(move || Box::new(sides::Client::unary(heads)), || Box::new(bare::Server::unary()))
}

/// Messages that a server's handler receives.
pub fn server_receive(cut: Cut) -> Work {
    replay::between(|| Box::new(sides::Server::receiver()), move || Box::new(bare::Client::sender(cut)))
}

/// Messages that a server's handler sends.
pub fn server_send(cut: Cut) -> Work {
    replay::between(move || Box::new(sides::Server::sender(cut)), || Box::new(bare::Client::receiver()))
}

/// Messages that a client receives.
pub fn client_receive(cut: Cut) -> Work {
    replay::between(|| Box::new(sides::Client::receiver()), move || Box::new(bare::Server::sender(cut)))
}

/// Messages that a client sends.
pub fn client_send(cut: Cut) -> Work {
    replay::between(move || Box::new(sides::Client::sender(cut)), || Box::new(bare::Server::receiver()))
}

/// What prost itself takes for the messages of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prost {
    /// One is decoded, and encoded.
    Unary,
    /// One is decoded, and dropped.
    Receive,
    /// One is made, encoded, and dropped.
    Send,
}

impl Prost {
    pub const ALL: [Self; 3] = [Self::Unary, Self::Receive, Self::Send];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Receive => "receive",
            Self::Send => "send",
        }
    }

    /// The messages of a run, each cut off from it as the engine does, so that this is not counted twice.
    pub fn work(self) -> Work {
        const MESSAGES: usize = 4096;
        let run = Bytes::from(MESSAGE.repeat(MESSAGES));
        let messages: Vec<Bytes> = (0..MESSAGES).map(|at| run.slice(at * 16..at * 16 + 16)).collect();
        let (mut out, model) = (Vec::with_capacity(64), Hello::example());
        Box::new(move || {
            for bytes in &messages {
                let message = match self {
                    Self::Unary | Self::Receive => decode(bytes.clone()),
                    Self::Send => model.clone(),
                };
                if self != Self::Receive {
                    encode(&message, &mut out);
                }
                std::hint::black_box(message);
            }
            MESSAGES as u64
        })
    }
}

#[inline(never)]
fn decode(bytes: Bytes) -> Hello {
    Proto.decode(bytes).expect("a good message")
}

#[inline(never)]
fn encode(message: &Hello, out: &mut Vec<u8>) {
    out.clear();
    Proto.encode(message, out).expect("a small message");
}
