//! A half is lent to a thread that may outlive the handler.

use antiphon_compile_fail::{ChatMessage, blocking::FeedService};
use antiphon_service::{Blocking, Context, Receiver, Sender, Status};

struct Feed;

impl FeedService for Feed {
    fn chat(
        &self,
        _: &Context,
        mut inbound: Receiver<ChatMessage, Blocking>,
        mut outbound: Sender<ChatMessage, Blocking>,
    ) -> Result<(), Status> {
        let reader = std::thread::spawn(|| while let Ok(Some(_)) = inbound.recv() {});
        outbound.send(ChatMessage::default())?;
        let _ = reader.join();
        Ok(())
    }
}

fn main() {}
