//! The test kit, judged by what a test of a handler or a client needs of it: both in memory, in time that stands still.

mod channel;
mod ends;
mod halves;
mod outcomes;
mod reuse;
mod threads;

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use antiphon_service::{Bytes, HttpVersion, Protocol};

/// Every way in which a call can travel. gRPC needs trailers, and so HTTP/2.
const WAYS: [(HttpVersion, Protocol); 5] = [
    (HttpVersion::Http2, Protocol::Connect),
    (HttpVersion::Http2, Protocol::Grpc),
    (HttpVersion::Http2, Protocol::GrpcWeb),
    (HttpVersion::Http11, Protocol::Connect),
    (HttpVersion::Http11, Protocol::GrpcWeb),
];

/// A message of a few bytes.
fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Polls a future once.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
