//! A blocking half in an async function, an async half in a blocking service, and a blocking client for async calls.

use antiphon_compile_fail::{ChatMessage, FeedServiceClient, blocking};
use antiphon_service::{Blocking, Client, Context, Receiver, Sender, Status};

async fn count(mut inbound: Receiver<ChatMessage>) -> Result<usize, Status> {
    let mut count = 0;
    while inbound.recv().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

pub async fn of_a_blocking_call(inbound: Receiver<ChatMessage, Blocking>) -> Result<usize, Status> {
    count(inbound).await
}

struct Feed;

impl blocking::FeedService for Feed {
    fn chat(
        &self,
        _: &Context,
        mut inbound: Receiver<ChatMessage>,
        mut outbound: Sender<ChatMessage>,
    ) -> Result<(), Status> {
        while let Some(message) = inbound.recv()? {
            outbound.send(message)?;
        }
        Ok(())
    }
}

pub fn client(client: Client<Blocking>) -> FeedServiceClient {
    FeedServiceClient::new(client)
}

fn main() {}
