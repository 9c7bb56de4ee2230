//! A machine with its buffers, for a single owner.

use bytes::BytesMut;

use crate::{Closing, ConnectionError, InputEnd, Instant, Machine, Output};

/// A machine with its two buffers: bytes in, bytes out, in any order of calls.
///
/// For whoever owns a connection alone: a test, a fuzzer, an embedding over pipes or shared memory. It does what a
/// driver must: keeps what the machine cannot use yet and offers it again when it can, flushes before it says that
/// the transport may close, and remembers the error.
///
/// ```
/// use antiphon::{Instant, Pump, server};
/// use std::sync::Arc;
///
/// let mut pump = Pump::new(server::Connection::new(Arc::default()));
/// let now = Instant::EPOCH;
/// pump.feed(now, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
/// while let Some(event) = pump.next_event() {
///     println!("{event:?}");          // and work on `pump.machine` as the event asks
/// }
/// let bytes = pump.take_output(now);  // write them to the peer
/// # let _ = bytes;
/// ```
#[derive(Debug)]
pub struct Pump<M> {
    /// The machine, to work on.
    pub machine: M,
    input: BytesMut,
    output: Output,
    end: InputState,
    error: Option<ConnectionError>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InputState {
    Open,
    /// It has ended; the machine learns it after the bytes that came before.
    Ending(InputEnd),
    Ended,
}

impl<M: Machine> Pump<M> {
    /// A pump around `machine`.
    pub fn new(machine: M) -> Self {
        Self { machine, input: BytesMut::new(), output: Output::new(), end: InputState::Open, error: None }
    }

    /// Takes bytes from the peer. Those that the machine does not want yet are kept.
    pub fn feed(&mut self, now: Instant, bytes: &[u8]) {
        if self.end == InputState::Open {
            self.input.extend_from_slice(bytes);
        }
        self.settle(now);
    }

    /// Says that no more input will come. It reaches the machine after the bytes that came before.
    pub fn end(&mut self, now: Instant, end: InputEnd) {
        if self.end == InputState::Open {
            self.end = InputState::Ending(end);
        }
        self.settle(now);
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
        self.settle(now);
    }

    /// Says that a write failed: output is discarded from now on.
    pub fn output_lost(&mut self, now: Instant) {
        self.machine.handle_output_lost(now);
        self.output.clear();
        self.settle(now);
    }

    /// Offers what is left of the input again. All other methods do it by themselves; call it after work on the
    /// machine when none of them follows.
    pub fn settle(&mut self, now: Instant) {
        while !self.input.is_empty() && self.machine.wants_input() {
            let before = self.input.len();
            if let Err(error) = self.machine.handle_input(now, &mut self.input) {
                self.error.get_or_insert(error);
                self.input.clear();
            }
            if self.input.len() == before {
                break;
            }
        }
        // What is left is either an unfinished unit, and the end is due, or held back by backpressure.
        if let InputState::Ending(end) = self.end {
            if self.input.is_empty() || self.machine.wants_input() {
                self.end = InputState::Ended;
                if let Err(error) = self.machine.handle_end(now, end) {
                    self.error.get_or_insert(error);
                }
            }
        }
    }

    /// The machine's next event.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.machine.poll_event()
    }

    /// Everything for the peer, up to now: for tests and small exchanges, since it may be much.
    pub fn take_output(&mut self, now: Instant) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            while let Some(piece) = self.output.take() {
                bytes.extend_from_slice(&piece);
            }
            self.settle(now);
            if !self.machine.poll_transmit(now, &mut self.output) {
                return bytes;
            }
        }
    }

    /// Fills the output, up to [`Output::ENOUGH`], and lends it: write from it and [advance](Output::advance) it.
    pub fn output(&mut self, now: Instant) -> &mut Output {
        self.settle(now);
        self.machine.poll_transmit(now, &mut self.output);
        &mut self.output
    }

    /// When to call [`tick`](Pump::tick) at the latest.
    pub fn timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// How many bytes of input are waiting.
    pub fn held_input(&self) -> usize {
        self.input.len()
    }

    /// Why the connection failed, if it did.
    pub fn error(&self) -> Option<ConnectionError> {
        self.error
    }

    /// What to do with the transport: [`Closing::Open`] as long as anything is left to write.
    pub fn closing(&self) -> Closing {
        if self.output.is_empty() && !self.machine.wants_output() {
            self.machine.closing()
        } else {
            Closing::Open
        }
    }
}
