//! The ingest, and its twin for threads.

use antiphon_examples::proto::analytics::{
    Analytics, AnalyticsServer, ProcessResponse, ProcessStreamingRequest as Event, blocking,
};
use antiphon_examples::tour::Adapter;
use antiphon_service::details::{BadRequest, ErrorInfo, FieldViolation};
use antiphon_service::prost_types::Timestamp;
use antiphon_service::{Blocking, Context, Receiver, Router, Status};
use serde::de::IgnoredAny;

/// The events of one call. A client that has more goes on in another.
pub(crate) const MAX_BATCH: i32 = 10_000;

/// Counts what it is given.
pub(crate) struct Ingest;

/// What the server serves.
pub(crate) fn router(adapter: Adapter) -> Router {
    match adapter {
        Adapter::Blocking => Router::new().add_service(blocking::AnalyticsServer::new(Ingest)),
        Adapter::Smol | Adapter::Tokio => Router::new().add_service(AnalyticsServer::new(Ingest)),
    }
}

impl Analytics for Ingest {
    async fn process(&self, _: &Context, mut inbound: Receiver<Event>) -> Result<ProcessResponse, Status> {
        let mut processed_count = 0;
        // The return is the answer: at the end of the batch, or before it, when enough has come or an event is bad.
        while processed_count < MAX_BATCH {
            let Some(event) = inbound.recv().await? else { break };
            check(&event).map_err(|violation| refusal(processed_count, violation))?;
            processed_count += 1;
        }
        Ok(ProcessResponse { processed_count })
    }
}

impl blocking::Analytics for Ingest {
    fn process(&self, _: &Context, inbound: Receiver<Event, Blocking>) -> Result<ProcessResponse, Status> {
        let mut processed_count = 0;
        for event in inbound.take(MAX_BATCH as usize) {
            check(&event?).map_err(|violation| refusal(processed_count, violation))?;
            processed_count += 1;
        }
        Ok(ProcessResponse { processed_count })
    }
}

/// What is wrong with an event, if anything is.
fn check(event: &Event) -> Result<(), FieldViolation> {
    let wrong = |field: &str, description: &str, reason: &str| FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
        reason: reason.to_owned(),
        localized_message: None,
    };
    if event.event_type.is_empty() {
        return Err(wrong("event_type", "is empty", "NO_TYPE"));
    }
    if event.timestamp.parse::<Timestamp>().is_err() {
        return Err(wrong("timestamp", "is no time of RFC 3339", "BAD_TIMESTAMP"));
    }
    if serde_json::from_str::<IgnoredAny>(&event.data).is_err() {
        return Err(wrong("data", "is not JSON", "BAD_DATA"));
    }
    Ok(())
}

/// How the call ends at a bad event: in words, and in two details for programs.
fn refusal(processed: i32, mut violation: FieldViolation) -> Status {
    let number = processed + 1;
    let words = format!("event {number}: {} {}", violation.field, violation.description);
    let info = ErrorInfo {
        reason: violation.reason.clone(),
        domain: AnalyticsServer::<Ingest>::NAME.to_owned(),
        metadata: [("event".to_owned(), number.to_string())].into(),
    };
    violation.field = format!("events[{number}].{}", violation.field);
    Status::invalid_argument(words)
        .with_detail(&info)
        .with_detail(&BadRequest { field_violations: vec![violation] })
}

/// A handler is a method: it needs no socket and no runtime.
#[cfg(test)]
mod tests {
    use antiphon_service::{Code, testing};

    use super::*;

    fn event(timestamp: &str) -> Event {
        Event { event_type: "click".into(), timestamp: timestamp.into(), data: "{}".into() }
    }

    fn process(events: Vec<Event>) -> Result<i32, Status> {
        let context = testing::context();
        let answer =
            testing::block_on(Analytics::process(&Ingest, &context, testing::receiver(events.clone())));
        let twin = blocking::Analytics::process(&Ingest, &context, testing::receiver(events));
        assert_eq!(format!("{answer:?}"), format!("{twin:?}"));
        answer.map(|response| response.processed_count)
    }

    #[test]
    fn good_events_are_counted() {
        assert_eq!(process(vec![]).unwrap(), 0);
        assert_eq!(process(vec![event("2026-11-21T12:00:00Z"); 3]).unwrap(), 3);
        assert_eq!(process(vec![event("2026-11-21T12:00:00Z"); 10_001]).unwrap(), MAX_BATCH);
    }

    #[test]
    fn a_bad_event_is_named() {
        let mut events = vec![event("2026-11-21T12:00:00Z"); 3];
        events[1] = event("yesterday");
        let status = process(events).unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::InvalidArgument, "event 2: timestamp is no time of RFC 3339")
        );
        assert_eq!(status.detail::<ErrorInfo>().unwrap().metadata["event"], "2");
        assert_eq!(status.detail::<BadRequest>().unwrap().field_violations[0].field, "events[2].timestamp");
        let bad = Event { event_type: String::new(), ..event("2026-11-21T12:00:00Z") };
        assert!(process(vec![bad]).unwrap_err().message().ends_with("event_type is empty"));
        let bad = Event { data: "{".into(), ..event("2026-11-21T12:00:00Z") };
        assert!(process(vec![bad]).unwrap_err().message().ends_with("data is not JSON"));
    }
}
