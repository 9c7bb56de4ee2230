//! The laws of a machine, as functions: tests call them, and the fuzz bodies after every step.

use std::collections::BTreeMap;

use antiphon::{CallId, Event, Instant, Machine, Output};
use bytes::BytesMut;

/// What a caller has seen of the calls of one connection.
#[derive(Debug, Default)]
pub struct Seen {
    calls: BTreeMap<CallId, Known>,
    /// Drop order does not matter, but an id never comes back.
    dropped: Vec<CallId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    ended: bool,
}

impl Seen {
    /// Calls that have begun and have not been dropped.
    pub fn calls(&self) -> Vec<CallId> {
        self.calls.keys().copied().collect()
    }

    /// Calls that have ended and have not been dropped.
    pub fn ended(&self) -> usize {
        self.calls.values().filter(|known| known.ended).count()
    }

    /// A client has started a call.
    pub fn started(&mut self, call: CallId) {
        assert!(!self.dropped.contains(&call), "{call:?} is used again");
        assert!(self.calls.insert(call, Known::default()).is_none(), "{call:?} begins twice");
    }

    /// The caller has dropped a call.
    pub fn dropped(&mut self, call: CallId) {
        if self.calls.remove(&call).is_some() {
            self.dropped.push(call);
        }
    }

    /// I4: exactly one terminal event for each call, none before its beginning and none after its drop.
    pub fn event(&mut self, event: Event) {
        let call = match event {
            Event::Started(call) => return self.started(call),
            Event::Ended(call, _) => {
                let known = self.calls.get_mut(&call).expect("an event of a known call");
                assert!(!known.ended, "{call:?} ends twice");
                known.ended = true;
                return;
            }
            Event::Readable(call) | Event::Writable(call) | Event::Stopped(call, _) => call,
            Event::Available | Event::Draining => return,
        };
        assert!(self.calls.contains_key(&call), "{event:?} of an unknown call");
    }
}

/// L5, quiet: while input is wanted, what is left is one incomplete unit, and feeding it again changes nothing.
pub fn quiet<M: Machine>(machine: &mut M, now: Instant, input: &mut BytesMut) {
    if !machine.wants_input() {
        return;
    }
    let (left, output, timeout) = (input.len(), machine.wants_output(), machine.poll_timeout());
    let _ = machine.handle_input(now, input);
    assert_eq!(input.len(), left, "feeding what was left took some of it");
    assert_eq!(machine.wants_output(), output, "feeding what was left made output");
    assert_eq!(machine.poll_timeout(), timeout, "feeding what was left changed a timer");
}

/// `wants_output` tells whether `poll_transmit` has something, and to transmit everything comes to an end.
pub fn transmits<M: Machine>(machine: &mut M, now: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1_000_000u32 {
        let announced = machine.wants_output();
        let mut output = Output::new();
        let appended = machine.poll_transmit(now, &mut output);
        assert_eq!(appended, !output.is_empty(), "poll_transmit does not say what it did");
        assert!(announced || !appended, "output that was not announced: a driver would have slept");
        if !appended {
            assert!(!machine.wants_output(), "output is announced and does not come: a driver would spin");
            return bytes;
        }
        while let Some(piece) = output.take() {
            bytes.extend_from_slice(&piece);
        }
    }
    panic!("output without end");
}

/// A timer that is due goes away when it is handled: else a driver would spin.
pub fn timers_go_away<M: Machine>(machine: &mut M, now: Instant) {
    machine.handle_timeout(now);
    if let Some(due) = machine.poll_timeout() {
        assert!(due > now, "a timer of {due:?} is still due after it was handled at {now:?}");
    }
}
