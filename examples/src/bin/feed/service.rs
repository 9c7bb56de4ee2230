//! The feed, and its twin for threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use antiphon_examples::proto::feed::v1::{
    ChatMessage, Event, FeedService, FeedServiceServer, UploadResult, WatchRequest, blocking,
};
use antiphon_examples::tour::Adapter;
use antiphon_service::{Blocking, Context, Receiver, Router, Sender, Status};
use smol::Timer;
use smol::future;

use crate::broker::{Broker, Subscription};
use crate::ends::Ends;

/// The topic of everything that is said.
const CHAT: &str = "chat";

/// What the three methods share.
#[derive(Default)]
pub(crate) struct Feed {
    broker: Arc<Broker>,
    ends: Ends,
    /// Events that watchers were sent: handed to the connection, which waits for its peer.
    sent: AtomicU64,
}

/// What the server serves.
pub(crate) fn router(adapter: Adapter) -> Router {
    let feed = Feed::default();
    let router = Router::new().intercept(feed.ends.clone());
    match adapter {
        Adapter::Blocking => router.add_service(blocking::FeedServiceServer::new(feed)),
        Adapter::Smol | Adapter::Tokio => router.add_service(FeedServiceServer::new(feed)),
    }
}

impl FeedService for Feed {
    async fn watch(
        &self,
        context: &Context,
        request: WatchRequest,
        mut outbound: Sender<Event>,
    ) -> Result<(), Status> {
        // Whatever ends the call drops this future, and the subscription with it.
        let (mut events, _) = self.broker.subscribe(&request.topic, request.after_cursor)?;
        context.send_headers(); // before the first event: the client knows that it is subscribed
        for _ in 0..number(context, "Feed-Limit")?.unwrap_or(u64::MAX) {
            let Some(event) = events.next().await? else { break };
            outbound.send(event).await?; // waits for the client's window
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn upload_events(
        &self,
        context: &Context,
        mut inbound: Receiver<Event>,
    ) -> Result<UploadResult, Status> {
        let mut received = 0;
        while let Some(event) = inbound.recv().await? {
            self.broker.publish(event);
            received += 1;
        }
        self.tell(context)?;
        Ok(UploadResult { received })
    }

    async fn chat(
        &self,
        context: &Context,
        mut inbound: Receiver<ChatMessage>,
        mut outbound: Sender<ChatMessage>,
    ) -> Result<(), Status> {
        let pace = number(context, "Feed-Read-Pace")?.map(Duration::from_millis);
        let mut last = self.broker.last();
        let (mut heard, closer) = self.broker.subscribe(CHAT, last)?;
        context.send_headers();
        // Neither direction waits for the other.
        let reading = async {
            while let Some(message) = inbound.recv().await? {
                last = self.broker.publish(said(message));
                if let Some(pace) = pace {
                    Timer::after(pace).await;
                }
            }
            closer.end_after(last); // half-closed: what was said still comes back
            Ok(())
        };
        let writing = async {
            while let Some(event) = heard.next().await? {
                outbound.send(ChatMessage { from: event.id, text: event.body }).await?;
            }
            Ok(())
        };
        future::try_zip(reading, writing).await.map(|_| ())
    }
}

/// The same on a thread of its own for each call, and for a chat on two.
impl blocking::FeedService for Feed {
    fn watch(
        &self,
        context: &Context,
        request: WatchRequest,
        mut outbound: Sender<Event, Blocking>,
    ) -> Result<(), Status> {
        let (mut events, _) = self.broker.subscribe(&request.topic, request.after_cursor)?;
        context.send_headers();
        for _ in 0..number(context, "Feed-Limit")?.unwrap_or(u64::MAX) {
            // Of a call that has ended, `ready` tells how.
            let Some(event) = wait_next(context, &mut events)? else { return outbound.ready() };
            outbound.send(event)?;
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn upload_events(
        &self,
        context: &Context,
        mut inbound: Receiver<Event, Blocking>,
    ) -> Result<UploadResult, Status> {
        let mut received = 0;
        while let Some(event) = inbound.recv()? {
            self.broker.publish(event);
            received += 1;
        }
        self.tell(context)?;
        Ok(UploadResult { received })
    }

    fn chat(
        &self,
        context: &Context,
        mut inbound: Receiver<ChatMessage, Blocking>,
        mut outbound: Sender<ChatMessage, Blocking>,
    ) -> Result<(), Status> {
        let pace = number(context, "Feed-Read-Pace")?.map(Duration::from_millis);
        let mut last = self.broker.last();
        let (mut heard, closer) = self.broker.subscribe(CHAT, last)?;
        context.send_headers();
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let result = inbound.by_ref().try_for_each(|message| {
                    last = self.broker.publish(said(message?));
                    pace.into_iter().for_each(thread::sleep);
                    // What came before an end is still received; nobody waits for what is made of it.
                    if context.is_cancelled() { Err(Status::canceled("nobody listens")) } else { Ok(()) }
                });
                closer.end_after(last);
                result
            });
            let mut writing = || {
                while let Some(event) = wait_next(context, &mut heard)? {
                    outbound.send(ChatMessage { from: event.id, text: event.body })?;
                }
                if context.is_cancelled() { outbound.ready() } else { Ok(()) }
            };
            let written = writing();
            let read = reading.join().map_err(|_| Status::internal("the reading thread panicked"))?;
            written.and(read)
        })
    }
}

impl Feed {
    /// Tells a client how the feed is doing.
    fn tell(&self, context: &Context) -> Result<(), Status> {
        context.set_header("Feed-Subscribers", self.broker.subscribers())?;
        context.set_header("Feed-Sent", self.sent.load(Ordering::SeqCst))?;
        context.set_header("Feed-Ends", self.ends.to_string())
    }
}

/// Waits in this thread for the next event, or for the end of the call: a quiet topic must not keep a subscription that
/// nobody listens to.
fn wait_next(context: &Context, events: &mut Subscription) -> Result<Option<Event>, Status> {
    let over = async {
        context.cancelled().await;
        Ok(None)
    };
    smol::block_on(future::or(events.next(), over))
}

fn said(message: ChatMessage) -> Event {
    Event { id: message.from, topic: CHAT.to_owned(), body: message.text, ..Event::default() }
}

/// A number that the client may give in a header.
fn number(context: &Context, name: &str) -> Result<Option<u64>, Status> {
    let Some(value) = context.headers().get(name) else { return Ok(None) };
    let parsed = value.parse().map_err(|_| Status::invalid_argument(format!("{name} is not a number")));
    parsed.map(Some)
}

#[cfg(test)]
mod tests {
    use antiphon_service::{Code, EndedBy, testing};

    use super::*;
    use crate::broker::KEPT;

    fn event(topic: &str, id: usize) -> Event {
        Event { id: id.to_string(), topic: topic.to_owned(), ..Event::default() }
    }

    fn after(cursor: u64) -> WatchRequest {
        WatchRequest { topic: "even".to_owned(), after_cursor: cursor }
    }

    /// What a watcher of the even events is sent, one event and the end of its call.
    fn first(feed: &Feed, cursor: u64) -> Result<Vec<Event>, Status> {
        let context = testing::context().with_header("Feed-Limit", 1);
        let (outbound, sent) = context.sender();
        testing::block_on(FeedService::watch(feed, &context, after(cursor), outbound))?;
        Ok(sent.take())
    }

    #[test]
    fn a_watcher_goes_on_after_its_cursor() {
        let feed = Feed::default();
        let events = (0..KEPT).map(|id| event(["even", "odd"][id % 2], id)).collect();
        let context = testing::context();
        let uploaded = FeedService::upload_events(&feed, &context, testing::receiver(events));
        assert_eq!(testing::block_on(uploaded).unwrap().received, KEPT as u64);
        let cursor = |after| first(&feed, after).map(|events| events[0].cursor);
        assert_eq!((cursor(0).unwrap(), cursor(1).unwrap(), cursor(2).unwrap()), (1, 3, 3));
        assert_eq!(cursor(KEPT as u64 + 1).unwrap_err().code(), Code::OutOfRange);
        // The first two are kept no more: whoever has seen the second misses nothing, whoever has not would.
        feed.broker.publish(event("odd", KEPT));
        feed.broker.publish(event("even", KEPT + 1));
        assert_eq!((cursor(0).unwrap(), cursor(2).unwrap()), (3, 3));
        assert_eq!(cursor(1).unwrap_err().code(), Code::OutOfRange);
        assert_eq!(feed.broker.subscribers(), 0);
    }

    #[test]
    fn a_thread_that_waits_for_an_event_learns_that_the_call_has_ended() {
        let feed = Feed::default();
        let context = testing::context();
        let (outbound, _sent) = context.sender();
        thread::scope(|scope| {
            let watching = scope.spawn(|| blocking::FeedService::watch(&feed, &context, after(0), outbound));
            while feed.broker.subscribers() == 0 {
                thread::yield_now();
            }
            context.lose();
            assert_eq!(watching.join().unwrap().unwrap_err().ended(), EndedBy::LostConnection);
        });
        assert_eq!(feed.broker.subscribers(), 0);
    }
}
