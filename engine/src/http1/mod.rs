//! Floor c: HTTP/1.1, between bytes and heads, pieces and ends (RFC 9110, RFC 9112).
//!
//! ```text
//!            input ──► head_parse ──► body_decode ──► Exchange ──► head(), body(), trailers(), receive_end()
//!                      (httparse)      (chunks)      │ one enum  │
//!           output ◄── head_write ◄── body_encode ◄──│ each way  │◄── open(), respond(), push(), finish()
//!                                                    └───────────┘
//!          Link: Open ──► Lingering ──► Closed       one exchange at a time, then the next
//! ```
//!
//! [`Server`] and [`Client`] are driven as any [`Machine`] and worked with as any
//! [`HttpConnection`], with one stream at a time: its index is 0, its generation counts.
//!
//! # What is accepted
//! Less than the RFCs allow a lenient recipient, since whoever reads a message otherwise than its neighbour can be
//! made to take a body for a head (request smuggling):
//!
//! - CR and LF only as a pair, no folded lines, no white space before a colon, at most one blank line before a
//!   request; a head is at most [`header_list`](crate::Limits::header_list) bytes long and has at most
//!   [`header_fields`](crate::Limits::header_fields) fields; HTTP/1.0 and 1.1 alone; exactly one valid Host in 1.1.
//! - content-length is digits, once; transfer-encoding is `chunked`, once; both together only in a response, whose
//!   connection is then not used again. Chunk sizes are 1 to 15 hexadecimal digits; extensions are ignored, at most
//!   256 bytes a chunk and 4 KiB a body; no field that frames or routes may be a trailer.
//! - A server answers a broken request once (400, 408, 414, 417, 431, 501, 505) if it has not begun to answer, and
//!   closes. Nothing switches protocols: CONNECT is refused, Upgrade ignored, 101 an error.
//!
//! Fields that concern the connection are not shown in [`Head::fields`]: `connection`,
//! `keep-alive`, `proxy-connection`, `transfer-encoding`, `upgrade`, `http2-settings`, `expect`, and `host`, which is
//! the authority. `te` and `content-length` are.
//!
//! # What is sent
//! A body of unknown length is chunked, or ends with the connection where the peer speaks HTTP/1.0. One that was
//! complete before the head was transmitted gets content-length instead, unless it has trailers. All that is queued
//! when the transport is ready becomes one chunk. Everything an application gives is checked first; what cannot be
//! sent is a [`Misuse`]. There is no `date` field: this crate has no clock.
//!
//! `100 Continue` goes out if the application has not answered by the time of the next transmission.
//!
//! # How it ends
//! A connection is used again unless either side says `close`, the peer speaks HTTP/1.0, or a message was cut. An
//! unwanted rest of a body is read up to [`drain`](crate::Limits::drain) bytes for that. A server that will not go
//! on shuts its writing side ([`Closing::ShutWrite`]) and reads on for at most 5 seconds,
//! so that no reset destroys its last answer.
//!
//! While a complete request is being answered, input is wanted until the first byte of the next request, so that the
//! end of input is seen: then [`StreamEvent::Stopped`] with CANCEL says that the peer no
//! longer waits, and an application that knows better may answer all the same.
//!
//! A client that gets a final answer while it still sends goes on sending after a good one (below 300), until that is
//! complete; after another it is [`Stopped`](crate::StreamEvent::Stopped) with NO_ERROR at once.
//! In both cases a request that was not sent to its end closes the connection after the response.

mod app;
mod body_decode;
mod body_encode;
mod client;
mod exchange;
mod head_parse;
mod head_read;
mod head_write;
mod heads;
mod lines;
mod link;
mod refused;
mod server;
#[cfg(test)]
mod tests;
mod timers;

pub use client::Client;
pub use server::Server;

use bytes::{Bytes, BytesMut};

use crate::{
    Closing, ConnectionError, Fields, Head, HttpConnection, InputEnd, Instant, Machine, Misuse, Output,
    ReceiveEnd, SendError, StartError, StreamEvent, StreamKey,
};

/// Both ends do nearly everything in the same way.
macro_rules! connection {
    ($name:ident) => {
        impl Machine for $name {
            type Event = StreamEvent;

            fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ConnectionError> {
                self.link.tick(now);
                // Nothing after an error means anything.
                self.input(input).inspect_err(|_| input.clear())
            }

            fn handle_end(&mut self, now: Instant, end: InputEnd) -> Result<(), ConnectionError> {
                self.link.tick(now);
                self.end(end)
            }

            fn handle_output_lost(&mut self, now: Instant) {
                self.link.tick(now);
                self.link.handle_output_lost();
            }

            fn handle_timeout(&mut self, now: Instant) {
                self.link.handle_timeout(now);
            }

            fn poll_event(&mut self) -> Option<StreamEvent> {
                self.link.poll_event()
            }

            fn poll_transmit(&mut self, now: Instant, out: &mut Output) -> bool {
                self.link.poll_transmit(now, out)
            }

            fn poll_timeout(&self) -> Option<Instant> {
                self.link.poll_timeout()
            }

            fn wants_input(&self) -> bool {
                self.link.wants_input()
            }

            fn wants_output(&self) -> bool {
                self.link.wants_output()
            }

            fn closing(&self) -> Closing {
                self.link.closing()
            }
        }

        impl HttpConnection for $name {
            fn open(&mut self, now: Instant, head: &Head, end: bool) -> Result<StreamKey, StartError> {
                self.link.tick(now);
                self.open_stream(head, end)
            }

            fn head(&self, key: StreamKey) -> Option<&Head> {
                self.link.head(key)
            }

            fn trailers(&self, key: StreamKey) -> Option<&Fields> {
                self.link.trailers(key)
            }

            fn body(&mut self, key: StreamKey) -> Option<&mut BytesMut> {
                self.link.body(key)
            }

            fn receive_end(&self, key: StreamKey) -> Option<ReceiveEnd> {
                self.link.receive_end(key)
            }

            fn release(&mut self, now: Instant, key: StreamKey, bytes: usize) -> Result<(), Misuse> {
                self.link.release(now, key, bytes)
            }

            fn demand(&mut self, now: Instant, key: StreamKey, need: usize) -> Result<(), Misuse> {
                self.link.demand(now, key, need)
            }

            fn stop_reading(&mut self, now: Instant, key: StreamKey) {
                self.link.stop_reading(now, key);
            }

            fn respond(
                &mut self,
                now: Instant,
                key: StreamKey,
                head: &Head,
                end: bool,
            ) -> Result<(), SendError> {
                self.link.tick(now);
                self.send_head(key, head, end)
            }

            fn poll_room(&mut self, key: StreamKey) -> Result<(), SendError> {
                self.link.poll_room(key)
            }

            fn push(&mut self, key: StreamKey, bytes: &[u8]) {
                self.link.push(key, bytes);
            }

            fn push_bytes(&mut self, key: StreamKey, bytes: &Bytes) {
                self.link.push_bytes(key, bytes);
            }

            fn finish(&mut self, key: StreamKey) {
                self.link.finish(key);
            }

            fn finish_with_trailers(&mut self, key: StreamKey, trailers: &Fields) {
                self.link.finish_with_trailers(key, trailers);
            }

            fn reset(&mut self, now: Instant, key: StreamKey, code: u32) {
                self.link.reset(now, key, code);
            }

            fn drop_stream(&mut self, now: Instant, key: StreamKey) {
                self.link.drop_stream(now, key);
            }

            fn knows(&self, key: StreamKey) -> bool {
                self.link.exchange.knows(key)
            }

            fn drain(&mut self, now: Instant) {
                self.link.tick(now);
                self.begin_drain();
            }

            fn abort(&mut self, now: Instant, _code: u32) {
                self.link.abort(now);
            }

            fn can_open(&self) -> bool {
                self.may_open()
            }

            fn worst_case_bytes(&self) -> usize {
                self.link.worst_case_bytes()
            }
        }

        /// Shows where it stands, and no byte of any message.
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("life", &self.link.life)
                    .field("key", &self.link.key())
                    .field("error", &self.link.error)
                    .finish_non_exhaustive()
            }
        }
    };
}

connection!(Server);
connection!(Client);
