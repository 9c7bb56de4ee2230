//! What connections and streams hold while nothing happens.

use std::time::Duration;

use antiphon::{Instant, Machine, Output, server};
use bytes::BytesMut;

use crate::heads::{Custom, Heads, Wire};
use crate::{heap, sides, wire};

const START: Instant = Instant::from_epoch(Duration::from_secs(1000));

/// A server and its buffers, as a driver has them.
struct Bed {
    server: server::Connection,
    output: Output,
    now: Instant,
}

impl Bed {
    fn new() -> Self {
        Self { server: server::Connection::new(sides::config()), output: Output::new(), now: START }
    }

    /// Lends the buffers that a driver would lend, too, so that they do not count.
    fn feed(&mut self, bytes: &[u8]) {
        self.server.handle_input(self.now, &mut BytesMut::from(bytes)).expect("good input");
        while self.server.poll_event().is_some() {}
        self.flush();
    }

    fn flush(&mut self) {
        self.server.poll_transmit(self.now, &mut self.output);
        self.output = Output::new();
    }

    fn rest(&mut self) {
        for _ in 0..10 {
            self.now = self.now + Duration::from_secs(5);
            self.server.handle_timeout(self.now);
            self.flush();
        }
    }
}

/// Prints the table.
pub fn print() {
    let heads = Heads { wire: Wire::Grpc, custom: Custom { fields: 0, timeout: false } };
    drop(wire::requests(heads));
    drop(Bed::new());
    println!("| what | bytes |\n|---|---|");
    println!("| `server::Connection` by itself | {} |", size_of::<server::Connection>());
    for custom in Custom::ALL {
        let turns = wire::requests(Heads { wire: Wire::Grpc, custom });
        let name = custom.name();
        let before = heap::live();
        let mut bed = Bed::new();
        bed.feed(&turns[0]);
        if custom.fields == 0 && !custom.timeout {
            println!("| idle, no call yet | {} |", heap::live() - before + size_of::<server::Connection>());
        }
        // The requests of one turn without their bodies: HEADERS alone, so that the streams stay open.
        let open = only_headers(&turns[1]);
        bed.feed(&open);
        let open = heap::live();
        let calls = bed.server.calls();
        println!("| open streams, case {name}: {calls} of them, each | {} |", (open - before) / calls);
        drop(bed);
        let before = heap::live();
        let mut bed = Bed::new();
        for turn in &turns {
            bed.server.handle_input(bed.now, &mut BytesMut::from(&turn[..])).expect("good input");
            while let Some(event) = bed.server.poll_event() {
                let antiphon::Event::Started(call) = event else { continue };
                bed.server.route(bed.now, call, None);
                bed.server.drop_call(bed.now, call);
            }
            bed.flush();
        }
        assert_eq!(bed.server.calls(), 0);
        println!("| after {} calls, case {name} | {} |", turns.len() * 32 - 32, held(before));
        bed.rest();
        println!("| the same, idle for a while | {} |", held(before));
    }
}

fn held(before: usize) -> usize {
    heap::live() - before + size_of::<server::Connection>()
}

/// The frames that are no DATA.
fn only_headers(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut kept) = (bytes, Vec::new());
    while let [high, middle, low, kind, ..] = *rest {
        let whole = 9 + u32::from_be_bytes([0, high, middle, low]) as usize;
        if kind != 0 {
            kept.extend_from_slice(&rest[..whole]);
        }
        rest = &rest[whole..];
    }
    kept
}
