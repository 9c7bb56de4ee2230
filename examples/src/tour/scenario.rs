//! The calls of the tour, written once for both ways of waiting: with `.await`, and without.

use antiphon_service::{Code, EndedBy, HttpVersion, Metadata, Status};

use super::{Chapter, Kind};
use crate::echo::{BadRequest, Msg};

/// The request header that the service sends back.
const MOOD: (&str, &str) = ("x-echo-mood", "curious");

/// What happened in one call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the client said.
    pub said: Vec<String>,
    /// What came back.
    pub heard: Vec<String>,
    /// How the call ended.
    pub end: Result<(), Status>,
    /// Beside the messages: what else is worth a line.
    pub notes: Vec<String>,
    /// What is not as it should be. Empty: all is well.
    pub faults: Vec<String>,
}

impl Outcome {
    fn new() -> Self {
        Self { said: Vec::new(), heard: Vec::new(), end: Ok(()), notes: Vec::new(), faults: Vec::new() }
    }

    fn say(&mut self, message: Msg) -> Msg {
        self.said.push(message.text.clone());
        message
    }

    fn hear(&mut self, message: &Msg) {
        self.heard.push(message.text.clone());
    }

    fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            self.faults.push(what.to_owned());
        }
    }

    /// The header has come back.
    fn headers(&mut self, headers: &Metadata) {
        self.expect(headers.get(MOOD.0) == Some(MOOD.1), "the header did not come back");
    }

    /// The trailer counts the messages that came back.
    fn trailers(&mut self, trailers: &Metadata) {
        let count = trailers.get("echo-count").map(str::to_owned);
        self.expect(count == Some(self.heard.len().to_string()), "the trailer is missing or miscounts");
    }

    /// Compares what happened with what had to happen.
    fn judge(&mut self, kind: Kind) {
        let expected: &[&str] = match kind {
            Kind::Unary | Kind::Get => &["hello"],
            Kind::ServerStream => &["again", "again", "again"],
            Kind::ClientStream => &["one two three"],
            Kind::Bidi => &["hello", "how are you?", "good bye"],
            Kind::Refused | Kind::Deadline => &[],
            Kind::Cancel => &["on and on"],
        };
        self.expect(self.heard == expected, "other messages came back than should have");
        let end = self.end.clone();
        match (kind, end) {
            (Kind::Refused, Err(status)) => {
                self.expect(status.code() == Code::InvalidArgument, "the code is another one");
                self.expect(status.ended() == EndedBy::Status, "the server did not say so");
                match status
                    .detail::<BadRequest>()
                    .as_ref()
                    .and_then(|detail| detail.field_violations.first())
                {
                    Some(violation) => self.notes.push(format!(
                        "detail google.rpc.BadRequest: {}: {}",
                        violation.field, violation.description
                    )),
                    None => self.faults.push("the detail is missing".to_owned()),
                }
            }
            (Kind::Deadline, Err(status)) => {
                self.expect(status.code() == Code::DeadlineExceeded, "the code is another one");
            }
            (Kind::Refused | Kind::Deadline, Ok(())) => self.faults.push("it ended well".to_owned()),
            (_, Ok(())) => {}
            (_, Err(status)) => self.faults.push(format!("it failed: {status}")),
        }
    }
}

fn half_duplex(chapter: &Chapter) -> bool {
    chapter.version != HttpVersion::Http2
}

macro_rules! scenario {
    ($(#[$doc:meta])* $module:ident, $wait:ident, [$($asynchronous:tt)?], [$($wait_for_it:tt)*]) => {
        $(#[$doc])*
        pub(super) mod $module {
            use std::io;
            use std::time::Duration;

            use antiphon_service::{$wait, CallOptions, Client, Status};

            use super::{Chapter, Kind, MOOD, Outcome, half_duplex};
            use crate::echo::{EchoClient, Msg};
            use crate::tour::Show;

            /// Makes all calls of a chapter and shows them.
            pub(in crate::tour) $($asynchronous)? fn chapter(
                chapter: &Chapter,
                client: Client<$wait>,
                show: &mut Show<'_>,
            ) -> io::Result<()> {
                let client = EchoClient::new(client);
                for kind in chapter.kinds {
                    show.begin(chapter, *kind)?;
                    let outcome = call(chapter, *kind, &client) $($wait_for_it)*;
                    show.end(chapter, *kind, outcome)?;
                }
                Ok(())
            }

            $($asynchronous)? fn call(chapter: &Chapter, kind: Kind, client: &EchoClient<$wait>) -> Outcome {
                let mut outcome = Outcome::new();
                let seen = &mut outcome;
                let end = match options(chapter) {
                    Err(status) => Err(status),
                    Ok(options) => match kind {
                        Kind::Unary => unary(client, options, Msg::text("hello"), seen) $($wait_for_it)*,
                        Kind::Get => get(client, options, seen) $($wait_for_it)*,
                        Kind::ServerStream => server_stream(client, options, seen) $($wait_for_it)*,
                        Kind::ClientStream => client_stream(client, options, seen) $($wait_for_it)*,
                        Kind::Bidi => bidi(client, options, half_duplex(chapter), seen) $($wait_for_it)*,
                        Kind::Refused => unary(client, options, Msg::default(), seen) $($wait_for_it)*,
                        Kind::Deadline => deadline(client, options, seen) $($wait_for_it)*,
                        Kind::Cancel => cancel(client, options, seen) $($wait_for_it)*,
                    },
                };
                outcome.end = end;
                outcome.judge(kind);
                outcome
            }

            fn options(chapter: &Chapter) -> Result<CallOptions, Status> {
                let options = CallOptions::new().protocol(chapter.protocol).codec(chapter.codec);
                Ok(options.timeout(Duration::from_secs(10)).header(MOOD.0, MOOD.1)?)
            }

            $($asynchronous)? fn unary(
                client: &EchoClient<$wait>,
                options: CallOptions,
                message: Msg,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let answer = client.unary(seen.say(message), options) $($wait_for_it)* ?;
                seen.hear(&answer);
                seen.headers(&answer.headers);
                seen.trailers(&answer.trailers);
                Ok(())
            }

            $($asynchronous)? fn get(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let message = seen.say(Msg::text("hello"));
                let answer = client.get(message, options.use_get(true)) $($wait_for_it)* ?;
                seen.hear(&answer);
                seen.headers(&answer.headers);
                seen.trailers(&answer.trailers);
                Ok(())
            }

            $($asynchronous)? fn server_stream(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let message = seen.say(Msg { count: 3, ..Msg::text("again") });
                let mut answers = client.server_stream(message, options) $($wait_for_it)* ?;
                seen.headers(answers.headers() $($wait_for_it)* ?);
                while let Some(answer) = answers.recv() $($wait_for_it)* ? {
                    seen.hear(&answer);
                }
                seen.trailers(&answers.trailers());
                Ok(())
            }

            $($asynchronous)? fn client_stream(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let mut call = client.client_stream(options) $($wait_for_it)* ?;
                for text in ["one", "two", "three"] {
                    call.send(seen.say(Msg::text(text))) $($wait_for_it)* ?;
                }
                let answer = call.close_and_recv() $($wait_for_it)* ?;
                seen.hear(&answer);
                seen.headers(&answer.headers);
                seen.trailers(&answer.trailers);
                seen.expect(answer.count == 3, "the server has counted otherwise");
                Ok(())
            }

            $($asynchronous)? fn bidi(
                client: &EchoClient<$wait>,
                options: CallOptions,
                half_duplex: bool,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let mut call = client.bidi(options) $($wait_for_it)* ?;
                for text in ["hello", "how are you?", "good bye"] {
                    call.send(seen.say(Msg::text(text))) $($wait_for_it)* ?;
                    if !half_duplex {
                        // The answer is there while this side still talks.
                        if let Some(answer) = call.recv() $($wait_for_it)* ? {
                            seen.hear(&answer);
                        }
                    }
                }
                call.close_send();
                while let Some(answer) = call.recv() $($wait_for_it)* ? {
                    seen.hear(&answer);
                }
                seen.headers(call.headers() $($wait_for_it)* ?);
                seen.trailers(&call.trailers());
                Ok(())
            }

            $($asynchronous)? fn deadline(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let message = seen.say(Msg { delay_ms: 1000, ..Msg::text("take your time") });
                let hasty = options.clone().timeout(Duration::from_millis(100));
                let end = client.unary(message, hasty) $($wait_for_it)*;
                goes_on(client, options, seen) $($wait_for_it)* ?;
                let answer = end?;
                seen.hear(&answer);
                Ok(())
            }

            $($asynchronous)? fn cancel(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let message = seen.say(Msg { count: 1000, delay_ms: 20, ..Msg::text("on and on") });
                let mut answers = client.server_stream(message, options.clone()) $($wait_for_it)* ?;
                if let Some(answer) = answers.recv() $($wait_for_it)* ? {
                    seen.hear(&answer);
                }
                answers.cancel();
                goes_on(client, options, seen) $($wait_for_it)*
            }

            /// The end of one call is not the end of the connection.
            $($asynchronous)? fn goes_on(
                client: &EchoClient<$wait>,
                options: CallOptions,
                seen: &mut Outcome,
            ) -> Result<(), Status> {
                let answer = client.unary(Msg::text("still there?"), options) $($wait_for_it)* ?;
                seen.expect(answer.text == "still there?", "the connection did not go on");
                seen.notes.push("the next call on the same connection went well".to_owned());
                Ok(())
            }
        }
    };
}

scenario! {
    /// For async clients.
    asynchronous, Async, [async], [.await]
}
scenario! {
    /// For blocking clients.
    blocking, Blocking, [], []
}
