//! Floor c: HTTP/2 (RFC 9113), in both roles, between bytes and streams.
//!
//! [`Connection`] is a [`Machine`](crate::Machine) and an [`HttpConnection`](crate::HttpConnection). It does framing,
//! header compression, settings, both kinds of windows, stream states, graceful ends, and bounds everything that a
//! peer may make it hold or do. It knows nothing of RPC.
//!
//! ```
//! use antiphon::{http2, Head, HttpConnection, Instant, Limits, Machine, Output, ReceiveEnd, StreamEvent};
//! use bytes::BytesMut;
//!
//! let now = Instant::EPOCH;
//! let mut client = http2::Connection::client(Limits::default());
//! let mut server = http2::Connection::server(Limits::default());
//! let call = client.open(now, &Head::request("GET", "http", "example.com", "/"), true).unwrap();
//!
//! let (mut up, mut down) = (Output::new(), Output::new());
//! for _ in 0..4 {
//!     client.poll_transmit(now, &mut up);
//!     while let Some(piece) = up.take() {
//!         server.handle_input(now, &mut BytesMut::from(&piece[..])).unwrap();
//!     }
//!     while let Some(event) = server.poll_event() {
//!         if let StreamEvent::Opened(key) = event {
//!             assert_eq!(server.head(key).unwrap().path(), "/");
//!             server.respond(now, key, &Head::response(200), false).unwrap();
//!             server.push(key, b"hello");
//!             server.finish(key);
//!             server.drop_stream(now, key);
//!         }
//!     }
//!     server.poll_transmit(now, &mut down);
//!     while let Some(piece) = down.take() {
//!         client.handle_input(now, &mut BytesMut::from(&piece[..])).unwrap();
//!     }
//! }
//! assert_eq!(client.head(call).unwrap().status(), 200);
//! assert_eq!(&client.body(call).unwrap()[..], b"hello");
//! assert_eq!(client.receive_end(call), Some(ReceiveEnd::Clean));
//! ```

pub mod hpack;

mod abuse;
mod api;
mod connection;
mod control;
mod flow;
mod frame;
mod goaway;
mod heads;
mod lifecycle;
mod queue;
mod receive;
mod reply;
mod settings;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod transmit;

pub use abuse::Stats;
pub use connection::Connection;
pub use settings::{PeerSettings, Role};

use crate::Http2Code;

/// A rule that the peer broke, and the code with which the connection ends for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fault {
    code: Http2Code,
    reason: &'static str,
}

impl Fault {
    fn protocol(reason: &'static str) -> Self {
        Self { code: Http2Code::PROTOCOL_ERROR, reason }
    }

    fn size(reason: &'static str) -> Self {
        Self { code: Http2Code::FRAME_SIZE_ERROR, reason }
    }

    fn flow(reason: &'static str) -> Self {
        Self { code: Http2Code::FLOW_CONTROL_ERROR, reason }
    }

    fn closed(reason: &'static str) -> Self {
        Self { code: Http2Code::STREAM_CLOSED, reason }
    }

    fn calm(reason: &'static str) -> Self {
        Self { code: Http2Code::ENHANCE_YOUR_CALM, reason }
    }
}
