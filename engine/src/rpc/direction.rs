//! The states of the two directions of a call at either end, and every transition between them.
//!
//! One enum for each direction and no state that is a product of both: each ends on its own. The whole of it is
//! printed state by event into a golden file (`tests/golden/call_states.txt`).

use crate::Misuse;

/// Why a transition does not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The caller's bug.
    Misuse(Misuse),
    /// The direction has ended, by nobody's fault here: the operation does nothing.
    Ended,
}

use Refusal::Ended as Over;

const fn misuse<T>(misuse: Misuse) -> Result<T, Refusal> {
    Err(Refusal::Misuse(misuse))
}

/// A server receives a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Messages may come.
    Reading,
    /// Complete: every message has been handed out.
    Complete,
    /// It ended in another way, which is kept and told again to who asks.
    Failed,
    /// The application wants no more of it.
    Discarding,
}

/// What happens to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RequestEvent {
    /// A clean half-close, after the last message.
    Complete,
    /// A limit, a malformed message, a deadline.
    Fault,
    /// The peer reset it, or the connection was lost.
    Broken,
    /// The application stopped reading.
    Stop,
}

impl Request {
    pub(crate) const fn next(self, event: RequestEvent) -> Self {
        match (self, event) {
            (Self::Reading, RequestEvent::Complete) => Self::Complete,
            (Self::Reading, RequestEvent::Stop) => Self::Discarding,
            (Self::Reading | Self::Discarding, RequestEvent::Fault | RequestEvent::Broken) => Self::Failed,
            // A clean end changes nothing for who does not read; an end is never replaced by another.
            (Self::Discarding, _) => Self::Discarding,
            (Self::Complete | Self::Failed, _) => self,
        }
    }
}

/// A server sends an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Nothing yet.
    Fresh,
    /// The headers have been sent, or are kept until the end (Connect unary).
    Headers,
    /// One message or more has been sent, or is kept until the end (Connect unary).
    Messages,
    /// Finished by the application.
    Finished,
    /// Answered by the engine: a refusal, a fault in the request, the deadline.
    Answered,
    /// Nobody wants it any more: reset, lost, or stopped by the peer.
    Unwanted,
}

/// What happens to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnswerEvent {
    /// The application sends headers.
    Headers,
    /// The application sends a message.
    Message,
    /// The application ends it well.
    Finish,
    /// The application ends it with a status.
    Fail,
    /// The engine answers.
    Decide,
    /// The peer reset it, stopped it, or the connection was lost.
    Unwant,
}

impl Answer {
    /// `one`: the answer has exactly one message.
    pub(crate) const fn next(self, event: AnswerEvent, one: bool) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Answered | Self::Unwanted, _) => Err(Over),
            (Self::Finished, AnswerEvent::Decide | AnswerEvent::Unwant) => Err(Over),
            (Self::Finished, _) => misuse(Misuse::AlreadyClosed),
            (Self::Fresh, AnswerEvent::Headers) => Ok(Self::Headers),
            (_, AnswerEvent::Headers) => misuse(Misuse::HeadersSent),
            (Self::Messages, AnswerEvent::Message) if one => misuse(Misuse::OneMessageOnly),
            (_, AnswerEvent::Message) => Ok(Self::Messages),
            (Self::Fresh | Self::Headers, AnswerEvent::Finish) if one => misuse(Misuse::NoMessage),
            (_, AnswerEvent::Finish | AnswerEvent::Fail) => Ok(Self::Finished),
            (_, AnswerEvent::Decide) => Ok(Self::Answered),
            (_, AnswerEvent::Unwant) => Ok(Self::Unwanted),
        }
    }

    /// Whether nothing can follow.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Answered | Self::Unwanted)
    }
}

/// A client sends a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Upload {
    /// Nothing yet.
    Fresh,
    /// The head has left, or is kept until the end (Connect unary).
    Open,
    /// One message or more has been sent, or is kept until the end (Connect unary).
    Messages,
    /// Half-closed: complete.
    Closed,
    /// Nobody wants it any more: the call has its outcome, or the peer stopped reading.
    Unwanted,
}

/// What happens to a request under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum UploadEvent {
    /// The application starts it.
    Start,
    /// The application sends a message.
    Message,
    /// The application has sent all.
    HalfClose,
    /// The call has its outcome, or the peer stopped reading.
    Unwant,
}

impl Upload {
    /// `one`: the request has exactly one message.
    pub(crate) const fn next(self, event: UploadEvent, one: bool) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Unwanted, _) | (Self::Closed, UploadEvent::Unwant) => Err(Over),
            (_, UploadEvent::Unwant) => Ok(Self::Unwanted),
            (Self::Closed, _) => misuse(Misuse::AlreadyClosed),
            (Self::Fresh, UploadEvent::Start) => Ok(Self::Open),
            (_, UploadEvent::Start) => misuse(Misuse::HeadersSent),
            (Self::Messages, UploadEvent::Message) if one => misuse(Misuse::OneMessageOnly),
            (_, UploadEvent::Message) => Ok(Self::Messages),
            (Self::Fresh | Self::Open, UploadEvent::HalfClose) if one => misuse(Misuse::NoMessage),
            (_, UploadEvent::HalfClose) => Ok(Self::Closed),
        }
    }
}

/// A client receives a response, and with it the outcome of the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Response {
    /// No head yet.
    Waiting,
    /// Messages may come.
    Reading,
    /// The outcome is good, and the application has not seen it.
    Good,
    /// The outcome is bad, and the application has not seen it.
    Bad,
    /// The application has seen the outcome.
    Seen,
}

/// What happens to a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResponseEvent {
    /// The head has arrived.
    Head,
    /// The peer's answer is complete and good.
    Good,
    /// The peer's answer is a failure, malformed, over a limit, reset or lost.
    Bad,
    /// The deadline has passed, or the call was cancelled here.
    Abandon,
    /// A fault was found after the fact, while inflating or decoding.
    Fault,
    /// The application is told the outcome.
    Tell,
}

impl Response {
    pub(crate) const fn next(self, event: ResponseEvent) -> Self {
        match (self, event) {
            (Self::Waiting, ResponseEvent::Head) => Self::Reading,
            (Self::Waiting | Self::Reading, ResponseEvent::Good) => Self::Good,
            (
                Self::Waiting | Self::Reading,
                ResponseEvent::Bad | ResponseEvent::Abandon | ResponseEvent::Fault,
            ) => Self::Bad,
            // Only a fault replaces a good outcome, and only before the application has seen it.
            (Self::Good, ResponseEvent::Fault) => Self::Bad,
            (Self::Good | Self::Bad, ResponseEvent::Tell) => Self::Seen,
            _ => self,
        }
    }

    /// Whether the call has its outcome.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Good | Self::Bad | Self::Seen)
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::{Debug, Write};

    use super::*;

    fn table<S: Copy + Debug + PartialEq, E: Copy + Debug>(
        title: &str,
        states: &[S],
        events: &[E],
        next: impl Fn(S, E) -> Result<S, Refusal>,
    ) -> String {
        let mut out = format!("{title}\n");
        for state in states {
            for event in events {
                let result = match next(*state, *event) {
                    Ok(next) if next == *state => "-".to_owned(),
                    Ok(next) => format!("{next:?}"),
                    Err(Refusal::Ended) => "(nothing)".to_owned(),
                    Err(Refusal::Misuse(misuse)) => format!("Misuse::{misuse:?}"),
                };
                let (state, event) = (format!("{state:?}"), format!("{event:?}"));
                writeln!(out, "  {state:<10} {event:<10} {result}").unwrap();
            }
        }
        out + "\n"
    }

    fn all() -> String {
        let requests = [Request::Reading, Request::Complete, Request::Failed, Request::Discarding];
        let request_events =
            [RequestEvent::Complete, RequestEvent::Fault, RequestEvent::Broken, RequestEvent::Stop];
        let answers = [
            Answer::Fresh,
            Answer::Headers,
            Answer::Messages,
            Answer::Finished,
            Answer::Answered,
            Answer::Unwanted,
        ];
        let answer_events = [
            AnswerEvent::Headers,
            AnswerEvent::Message,
            AnswerEvent::Finish,
            AnswerEvent::Fail,
            AnswerEvent::Decide,
            AnswerEvent::Unwant,
        ];
        let uploads = [Upload::Fresh, Upload::Open, Upload::Messages, Upload::Closed, Upload::Unwanted];
        let upload_events =
            [UploadEvent::Start, UploadEvent::Message, UploadEvent::HalfClose, UploadEvent::Unwant];
        let responses = [Response::Waiting, Response::Reading, Response::Good, Response::Bad, Response::Seen];
        let response_events = [
            ResponseEvent::Head,
            ResponseEvent::Good,
            ResponseEvent::Bad,
            ResponseEvent::Abandon,
            ResponseEvent::Fault,
            ResponseEvent::Tell,
        ];
        let mut out = "Every state and every event of a call. \"-\": stays; \"(nothing)\": does nothing.\n\n"
            .to_owned();
        out += &table("Server, request", &requests, &request_events, |state, event| Ok(state.next(event)));
        for (title, one) in [("Server, answer of a stream", false), ("Server, answer of one message", true)] {
            out += &table(title, &answers, &answer_events, |state, event| state.next(event, one));
        }
        for (title, one) in [("Client, request of a stream", false), ("Client, request of one message", true)]
        {
            out += &table(title, &uploads, &upload_events, |state, event| state.next(event, one));
        }
        out += &table("Client, response", &responses, &response_events, |state, event| Ok(state.next(event)));
        out
    }

    // Design: one enum per direction, transitions in one table, one golden file of every state and event.
    #[test]
    fn transitions_are_as_written_down() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/call_states.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, all()).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(golden == all(), "run with UPDATE_GOLDEN=1 and look at the difference");
    }

    // Design: exactly one outcome; an end is never replaced.
    #[test]
    fn ends_are_final() {
        for event in [RequestEvent::Complete, RequestEvent::Fault, RequestEvent::Broken, RequestEvent::Stop] {
            assert_eq!(Request::Complete.next(event), Request::Complete);
            assert_eq!(Request::Failed.next(event), Request::Failed);
        }
        for event in [ResponseEvent::Good, ResponseEvent::Bad, ResponseEvent::Abandon] {
            assert_eq!(Response::Good.next(event), Response::Good);
            assert_eq!(Response::Bad.next(event), Response::Bad);
        }
        assert_eq!(Response::Seen.next(ResponseEvent::Fault), Response::Seen);
    }
}
