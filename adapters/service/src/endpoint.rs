//! What the service layer asks of a connection, whichever end it is.

use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Coding, HttpVersion, Messages, Method, Payload};
use antiphon::{CallId, Instant, Metadata, Misuse, SendError, StartError, Status};

/// What a pull at a call gave.
#[derive(Debug)]
pub enum Pulled {
    /// Complete messages, to be iterated outside the lock.
    Messages(Messages),
    /// Nothing yet; a notice follows.
    Pending,
    /// The end: of the request at a server, the outcome at a client.
    End(Result<(), Status>),
}

/// One end of a connection: [`antiphon::server::Connection`] or [`antiphon::client::Connection`]. What only the other
/// end can do answers [`Misuse::WrongState`] or does nothing.
///
/// Sealed by purpose: drivers name the two types and no others.
pub trait Endpoint: Send + 'static {
    /// Whether this is the client's end.
    const CLIENT: bool;

    /// Pulls what has been received of a call.
    fn read(&mut self, now: Instant, call: CallId) -> Pulled;
    /// Whether a message would be taken.
    ///
    /// # Errors
    /// `Blocked`, or `Ended`.
    fn room(&mut self, call: CallId) -> Result<(), SendError>;
    /// Queues a message.
    ///
    /// # Errors
    /// As [`room`](Endpoint::room), and the caller's faults.
    fn send(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError>;
    /// The coding in which messages may be sent compressed, if one was negotiated.
    fn encoding(&self, call: CallId) -> Option<Arc<dyn Coding>>;
    /// Ends a call with this status unless its outcome has been seen.
    fn fail(&mut self, now: Instant, call: CallId, status: Status);
    /// Discards what comes.
    fn stop_reading(&mut self, now: Instant, call: CallId);
    /// Lets go of a call.
    fn drop_call(&mut self, now: Instant, call: CallId);
    /// Begins a graceful end of the connection.
    fn drain(&mut self, now: Instant);
    /// Ends the connection at once.
    fn abort(&mut self, now: Instant);

    /// A server: what it knows of a call.
    fn request(&self, call: CallId) -> Option<antiphon::server::Request<'_>> {
        let _ = call;
        None
    }
    /// A server: the router's verdict. Returns false when the call has been answered already.
    fn route(&mut self, now: Instant, call: CallId, method: Option<&Method>) -> bool {
        let _ = (now, call, method);
        false
    }
    /// A server: takes the request as its protocol tells it, whatever its path is. Returns false when the call has been
    /// answered already.
    fn route_any(&mut self, now: Instant, call: CallId) -> bool {
        let _ = (now, call);
        false
    }
    /// A server: the method that was routed to does not know the codec.
    fn refuse_codec(&mut self, now: Instant, call: CallId, method: &Method) {
        let _ = (now, call, method);
    }
    /// A server: adds fields to every head that the call may be answered with.
    fn add_fields(&mut self, call: CallId, fields: &Metadata) {
        let _ = (call, fields);
    }
    /// A server: answers with a status of HTTP and no body.
    fn respond(&mut self, now: Instant, call: CallId, http_status: u16) {
        let _ = (now, call, http_status);
    }
    /// A server: sends the response headers.
    ///
    /// # Errors
    /// When they have been sent, or the call is gone.
    fn send_headers(&mut self, now: Instant, call: CallId, headers: &Metadata) -> Result<(), Misuse> {
        let _ = (now, call, headers);
        Err(Misuse::WrongState)
    }
    /// A server: headers, one message and trailers in one.
    ///
    /// # Errors
    /// When it cannot be sent.
    fn answer(
        &mut self,
        now: Instant,
        call: CallId,
        headers: &Metadata,
        payload: Payload<'_>,
        trailers: &Metadata,
    ) -> Result<(), SendError> {
        let _ = (now, call, headers, payload, trailers);
        Err(SendError::Misuse(Misuse::WrongState))
    }
    /// A server: ends a call.
    ///
    /// # Errors
    /// When it cannot end so: the one message of the answer is missing, for example.
    fn finish(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<(), &Status>,
        trailers: &Metadata,
    ) -> Result<(), Misuse> {
        let _ = (now, call, result, trailers);
        Err(Misuse::WrongState)
    }

    /// A client: the version of HTTP.
    fn version(&self) -> HttpVersion {
        HttpVersion::Http2
    }
    /// A client: whether a call can be started now. After a `false` an `Available` follows when one can.
    fn can_start(&mut self) -> bool {
        false
    }
    /// A client: starts a call.
    ///
    /// # Errors
    /// When it cannot be started now, ever, or as asked.
    fn start(&mut self, now: Instant, request: &ClientRequest<'_>) -> Result<CallId, StartError> {
        let _ = (now, request);
        Err(StartError::Misuse(Misuse::WrongState))
    }
    /// A client: no more messages follow.
    fn half_close(&mut self, now: Instant, call: CallId) {
        let _ = (now, call);
    }
    /// A client: the one message of a request, and its end.
    ///
    /// # Errors
    /// As [`send`](Endpoint::send).
    fn send_last(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.send(now, call, payload)
    }
    /// A client: gives a call up.
    fn cancel(&mut self, now: Instant, call: CallId) {
        let _ = (now, call);
    }
    /// A client: the response headers, once they are there.
    fn headers(&self, call: CallId) -> Option<&Metadata> {
        let _ = call;
        None
    }
    /// A client: the trailers, once the call has ended.
    fn trailers(&self, call: CallId) -> Option<&Metadata> {
        let _ = call;
        None
    }
}
