//! The two ends of a connection, as the service layer asks them.

use std::sync::Arc;

use antiphon::rpc::{ClientRequest, Coding, HttpVersion, Method, Payload};
use antiphon::server::{Read, ReadEnd, Request};
use antiphon::{CallId, End, Instant, Metadata, Misuse, SendError, StartError, Status, client, server};

use crate::link::end_status;
use crate::{Endpoint, Pulled};

impl Endpoint for server::Connection {
    const CLIENT: bool = false;

    #[inline]
    fn read(&mut self, now: Instant, call: CallId) -> Pulled {
        let end = match self.read(now, call) {
            Ok(Read::Messages(messages)) => return Pulled::Messages(messages),
            Ok(Read::Pending) => return Pulled::Pending,
            Ok(Read::End(end)) => end,
            Err(_) => ReadEnd::Local,
        };
        Pulled::End(match end {
            ReadEnd::HalfClosed => Ok(()),
            ReadEnd::Cancelled { reset } => Err(end_status(Some(End::Cancelled { reset }))),
            ReadEnd::Deadline => Err(end_status(Some(End::Deadline))),
            ReadEnd::Lost => Err(end_status(Some(End::Lost))),
            ReadEnd::Failed(status) => Err(status),
            ReadEnd::Local => Err(end_status(None)),
        })
    }

    fn room(&mut self, call: CallId) -> Result<(), SendError> {
        self.room(call)
    }

    fn send(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.send(now, call, payload)
    }

    fn encoding(&self, call: CallId) -> Option<Arc<dyn Coding>> {
        self.encoding(call)
    }

    fn fail(&mut self, now: Instant, call: CallId, status: Status) {
        self.fail(now, call, status);
    }

    fn stop_reading(&mut self, now: Instant, call: CallId) {
        self.stop_reading(now, call);
    }

    fn drop_call(&mut self, now: Instant, call: CallId) {
        self.drop_call(now, call);
    }

    fn drain(&mut self, now: Instant) {
        self.drain(now);
    }

    fn abort(&mut self, now: Instant) {
        self.abort(now);
    }

    fn request(&self, call: CallId) -> Option<Request<'_>> {
        self.request(call)
    }

    fn route(&mut self, now: Instant, call: CallId, method: Option<&Method>) -> bool {
        self.route(now, call, method)
    }

    fn route_any(&mut self, now: Instant, call: CallId) -> bool {
        self.route_any(now, call)
    }

    fn refuse_codec(&mut self, now: Instant, call: CallId, method: &Method) {
        self.refuse_codec(now, call, method);
    }

    fn add_fields(&mut self, call: CallId, fields: &Metadata) {
        self.add_fields(call, fields);
    }

    fn respond(&mut self, now: Instant, call: CallId, http_status: u16) {
        self.respond(now, call, http_status);
    }

    fn send_headers(&mut self, now: Instant, call: CallId, headers: &Metadata) -> Result<(), Misuse> {
        self.send_headers(now, call, headers)
    }

    fn answer(
        &mut self,
        now: Instant,
        call: CallId,
        headers: &Metadata,
        payload: Payload<'_>,
        trailers: &Metadata,
    ) -> Result<(), SendError> {
        self.answer(now, call, headers, payload, trailers)
    }

    fn finish(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<(), &Status>,
        trailers: &Metadata,
    ) -> Result<(), Misuse> {
        self.finish(now, call, result, trailers)
    }
}

impl Endpoint for client::Connection {
    const CLIENT: bool = true;

    fn read(&mut self, now: Instant, call: CallId) -> Pulled {
        match self.read(now, call) {
            Ok(client::Read::Messages(messages)) => Pulled::Messages(messages),
            Ok(client::Read::Pending) => Pulled::Pending,
            Ok(client::Read::End(outcome)) => Pulled::End(outcome),
            Err(_) => Pulled::End(Err(end_status(None))),
        }
    }

    fn room(&mut self, call: CallId) -> Result<(), SendError> {
        self.room(call)
    }

    fn send(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.send(now, call, payload)
    }

    fn encoding(&self, call: CallId) -> Option<Arc<dyn Coding>> {
        self.encoding(call)
    }

    fn fail(&mut self, now: Instant, call: CallId, status: Status) {
        self.fail(now, call, status);
    }

    fn stop_reading(&mut self, now: Instant, call: CallId) {
        self.stop_reading(now, call);
    }

    fn drop_call(&mut self, now: Instant, call: CallId) {
        self.drop_call(now, call);
    }

    fn drain(&mut self, now: Instant) {
        self.drain(now);
    }

    fn abort(&mut self, now: Instant) {
        self.abort(now);
    }

    fn version(&self) -> HttpVersion {
        self.version()
    }

    fn can_start(&mut self) -> bool {
        self.can_start()
    }

    fn start(&mut self, now: Instant, request: &ClientRequest<'_>) -> Result<CallId, StartError> {
        self.start(now, request)
    }

    fn half_close(&mut self, now: Instant, call: CallId) {
        // What is wrong with the call shows in its outcome.
        let _ = self.half_close(now, call);
    }

    fn send_last(&mut self, now: Instant, call: CallId, payload: Payload<'_>) -> Result<(), SendError> {
        self.send_last(now, call, payload)
    }

    fn cancel(&mut self, now: Instant, call: CallId) {
        self.cancel(now, call);
    }

    fn headers(&self, call: CallId) -> Option<&Metadata> {
        self.headers(call)
    }

    fn trailers(&self, call: CallId) -> Option<&Metadata> {
        self.trailers(call)
    }
}
