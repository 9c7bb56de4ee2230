//! The one calling code, and what it comes back with.

use core::fmt::Debug;

use antiphon_codegen_tests::combine::v1::{Ask, CombineServiceClient, Said};
use antiphon_service::details::BadRequest;
use antiphon_service::{BidiStream, Code, EndedBy, Metadata, Receiver, Response, Status};

use crate::service::{COUNT, FAILURE, ask, detail, said};
use crate::table::{Plot, Row, Way};

type Fields = Vec<(String, Vec<u8>)>;

/// What an application gets of a call.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Told {
    /// Headers that the handler set, where they are told apart from what came at the end.
    headers: Fields,
    messages: Vec<Said>,
    /// Trailers that the handler set.
    trailers: Fields,
    /// `None` for a clean end.
    error: Option<Failure>,
}

#[derive(Clone, PartialEq, Debug)]
struct Failure {
    code: Code,
    message: String,
    details: Vec<BadRequest>,
    ended: EndedBy,
    metadata: Fields,
}

/// What the handler set, in the order of names; those of one name keep theirs. A response to GET also says to caches
/// what it depends on (`vary`).
fn fields(metadata: &[&Metadata]) -> Fields {
    let mut fields = Fields::new();
    for metadata in metadata {
        for field in metadata.iter() {
            // Of several values of one name, the first field brings all.
            if !field.name.starts_with("combine-") || fields.iter().any(|(name, _)| name == field.name) {
                continue;
            }
            let name = || field.name.to_owned();
            if field.name.ends_with("-bin") {
                fields.extend(metadata.get_bin(field.name).map(|value| (name(), value.unwrap_or_default())));
            } else {
                fields.extend(metadata.get_all(field.name).map(|value| (name(), value.into())));
            }
        }
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

impl Told {
    /// A call of one answer. Its error has everything that came, for there is nothing else to look at.
    fn one(result: Result<Response<Said>, Status>) -> Self {
        match result {
            Ok(Response { headers, message, trailers, .. }) => Self {
                headers: fields(&[&headers]),
                messages: vec![message],
                trailers: fields(&[&trailers]),
                error: None,
            },
            Err(status) => {
                Self { error: Some(Failure::new(&status, &[status.metadata()])), ..Self::default() }
            }
        }
    }

    /// What the handler means, whatever carries it.
    pub(crate) fn expected(way: Way, plot: Plot) -> Self {
        let headers = vec![
            ("combine-header".to_owned(), plot.name().into()),
            ("combine-header-bin".to_owned(), vec![0, 128, 255]),
        ];
        let trailers: Fields = vec![
            ("combine-trailer".to_owned(), "one".into()),
            ("combine-trailer".to_owned(), "two, or more".into()),
            ("combine-trailer-bin".to_owned(), vec![255, 0, 61]),
        ];
        let messages = Self::answers(way, plot);
        if plot == Plot::Good || plot == Plot::Empty {
            return Self { headers, messages, trailers, error: None };
        }
        // Before the first message, a status may come with the headers or behind them: gRPC's Trailers-Only.
        let alone = messages.is_empty();
        let mut metadata = vec![("combine-error".to_owned(), b"beside the status".to_vec())];
        metadata.extend(if alone { headers.clone() } else { Fields::new() });
        metadata.extend(trailers);
        let error = Failure {
            code: Code::FailedPrecondition,
            message: FAILURE.to_owned(),
            details: vec![detail()],
            ended: EndedBy::Status,
            metadata,
        };
        Self {
            headers: if alone { Fields::new() } else { headers },
            messages,
            trailers: Fields::new(),
            error: Some(error),
        }
    }

    /// Compares without printing whole messages.
    pub(crate) fn check(&self, expected: &Self, what: &dyn Debug) {
        let but_messages = |told: &Self| Self { messages: Vec::new(), ..told.clone() };
        assert_eq!(but_messages(self), but_messages(expected), "{what:?}");
        let numbers = |told: &Self| told.messages.iter().map(|said| said.number).collect::<Vec<_>>();
        assert_eq!(numbers(self), numbers(expected), "{what:?}");
        assert!(self == expected, "{what:?}: other messages");
    }

    fn answers(way: Way, plot: Plot) -> Vec<Said> {
        let one = |number| said(ask(1), number);
        match (way, plot) {
            (_, Plot::FailsFirst) => Vec::new(),
            (Way::Unary | Way::Get, Plot::Good) => vec![one(1)],
            (Way::Unary | Way::Get | Way::ClientStream, Plot::FailsLater) => Vec::new(),
            (Way::Unary | Way::Get | Way::ClientStream, Plot::Empty) => vec![Said::default()],
            (Way::ClientStream, Plot::Good) => {
                let mut all = Ask::default();
                for number in 1..=COUNT {
                    all.text += &ask(number).text;
                    all.data.extend(ask(number).data);
                }
                vec![said(all, COUNT)]
            }
            (Way::ServerStream | Way::Bidi, Plot::Empty) => Vec::new(),
            (Way::ServerStream | Way::Bidi, Plot::FailsLater) => vec![one(1)],
            (Way::ServerStream, Plot::Good) => (1..=COUNT).map(one).collect(),
            (Way::Bidi, Plot::Good) => (1..=COUNT).map(|number| said(ask(number), number)).collect(),
        }
    }
}

impl Failure {
    fn new(status: &Status, metadata: &[&Metadata]) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: status.details_of().collect(),
            ended: status.ended(),
            metadata: fields(metadata),
        }
    }
}

/// Makes the call.
pub(crate) async fn call(client: &CombineServiceClient, row: Row, plot: Plot) -> Result<Told, Status> {
    let count = if plot == Plot::Empty { 0 } else { COUNT };
    Ok(match row.way {
        Way::Unary => Told::one(client.unary(ask(1)).await),
        Way::Get => Told::one(client.get(ask(1)).await),
        Way::ServerStream => read(client.server_stream(ask(1)).await?).await,
        Way::ClientStream => {
            let mut call = client.client_stream().await?;
            for number in 1..=count {
                // An early answer stops the sending; it waits where answers do.
                if call.send(ask(number)).await.is_err() {
                    break;
                }
            }
            Told::one(call.close_and_recv().await)
        }
        // All is sent before anything is read: HTTP/1.1 takes turns.
        Way::Bidi => read(send_all(client.bidi().await?, count).await).await,
    })
}

async fn send_all(call: BidiStream<Ask, Said>, count: usize) -> Receiver<Said> {
    let (mut sender, receiver) = call.split();
    for number in 1..=count {
        if sender.send(ask(number)).await.is_err() {
            break;
        }
    }
    sender.close();
    receiver
}

async fn read(mut receiver: Receiver<Said>) -> Told {
    let mut told = Told::default();
    let end = loop {
        match receiver.recv().await {
            Ok(Some(message)) => told.messages.push(message),
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    let headers = receiver.headers().await.cloned().unwrap_or_default();
    match &end {
        None => (told.headers, told.trailers) = (fields(&[&headers]), fields(&[receiver.trailers()])),
        Some(status) if told.messages.is_empty() => {
            told.error = Some(Failure::new(status, &[&headers, status.metadata()]));
        }
        Some(status) => {
            told.headers = fields(&[&headers]);
            told.error = Some(Failure::new(status, &[status.metadata()]));
        }
    }
    told
}
