//! The one contract by which every machine is driven.

use bytes::BytesMut;

use crate::{ConnectionError, Instant, Output};

/// A protocol machine: bytes and a time go in, events and bytes come out.
///
/// HTTP/1.1, HTTP/2, an RPC client, an RPC server and TLS around any of them are all driven in this way, so that
/// drivers, tests and fuzzers see one shape. A machine does no I/O, reads no clock and starts nothing; it changes
/// only when one of these methods, or a method of its own, is called.
///
/// # The loop
/// ```text
///  1  read from the transport into `input` ──► handle_input(now, &mut input)     while wants_input()
///  2  poll_event() until None                  react: read, send, finish …
///  3  poll_transmit(now, &mut output) ──────►  write `output` to the transport
///  4  sleep until bytes arrive, room to write appears, or poll_timeout() ──► handle_timeout(now)
/// ```
/// Any method may follow any other: there is no order that a caller could get wrong, and a call too many does
/// nothing. [`Pump`](crate::Pump) runs this loop over byte buffers for a single owner.
///
/// # After an error
/// An error is sticky: every later `handle_*` returns it again and consumes all input. What the peer must be told
/// (a GOAWAY, a 400) is already queued: keep calling [`poll_transmit`](Machine::poll_transmit) and
/// [`poll_event`](Machine::poll_event) until both are empty, then close the transport.
pub trait Machine {
    /// What the machine notices. Events are small; the data is pulled by methods of the machine itself.
    type Event;

    /// Consumes what it can from the front of `input` and leaves the rest for the next call.
    ///
    /// # Errors
    /// When the peer broke the protocol or a limit in a way that ends the connection.
    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError>;

    /// Says that no more input will come, and why.
    ///
    /// # Errors
    /// When the connection may not end here.
    fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError>;

    /// Says that a write failed: output is discarded from now on. Input goes on, since an early answer may be in it.
    fn handle_output_lost(&mut self, now: Instant);

    /// Lets time pass. A call before [`poll_timeout`](Machine::poll_timeout) is due does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// The next notice, if any.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// Appends bytes for the peer to `out`, until nothing is left or enough is pending there. Returns whether it
    /// appended anything.
    fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool;

    /// When to call [`handle_timeout`](Machine::handle_timeout) at the latest. It may be in the past.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Whether to read from the transport. `false` is backpressure; when it turns true again, feed what is left in
    /// the input buffer before reading more.
    fn wants_input(&self) -> bool;

    /// Whether [`poll_transmit`](Machine::poll_transmit) would append something.
    fn wants_output(&self) -> bool;

    /// What to do with the transport once the output is flushed.
    fn closing(&self) -> Closing;
}

/// How the input of a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InputEnd {
    /// A clean end of the stream: the peer closed its side.
    Eof,
    /// The stream ended where its security layer says that it must not (TLS without close_notify).
    Truncated,
    /// Reading failed.
    Failed,
}

/// What a machine wants of its transport, once the output is flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// Nothing: go on.
    Open,
    /// Shut the writing side and read on, so that the peer's last bytes do not turn into a reset that destroys our
    /// last answer (RFC 9112 §9.6).
    ShutWrite,
    /// Close it.
    Closed,
}
