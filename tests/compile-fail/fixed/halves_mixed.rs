//! Halves and clients of one kind.

use antiphon_compile_fail::{ChatMessage, FeedServiceClient, blocking};
use antiphon_service::{Blocking, Client, Context, Receiver, Sender, Status};

async fn count(mut inbound: Receiver<ChatMessage>) -> Result<usize, Status> {
    let mut count = 0;
    while inbound.recv().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

pub async fn of_an_async_call(inbound: Receiver<ChatMessage>) -> Result<usize, Status> {
    count(inbound).await
}

struct Feed;

impl blocking::FeedService for Feed {
    fn chat(
        &self,
        _: &Context,
        mut inbound: Receiver<ChatMessage, Blocking>,
        mut outbound: Sender<ChatMessage, Blocking>,
    ) -> Result<(), Status> {
        while let Some(message) = inbound.recv()? {
            outbound.send(message)?;
        }
        Ok(())
    }
}

pub fn client(client: Client<Blocking>) -> FeedServiceClient {
    FeedServiceClient::new(client.asynchronous())
}

fn main() {}
