//! The room as a service, and its twin for threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use antiphon_examples::proto::chat::{Chat, ChatServer, ConnectResponse, ConnectStreamingRequest, blocking};
use antiphon_examples::tour::Adapter;
use antiphon_service::{Blocking, Context, EndedBy, Interceptor, Next, Receiver, Router, Sender, Status};
use smol::future;

use crate::room::Room;

/// What the server serves.
pub(crate) fn router(adapter: Adapter) -> Router {
    let room = Room::default();
    let router = Router::new().intercept(Door(room.clone()));
    match adapter {
        Adapter::Blocking => router.add_service(blocking::ChatServer::new(room)),
        Adapter::Smol | Adapter::Tokio => router.add_service(ChatServer::new(room)),
    }
}

impl Chat for Room {
    async fn connect(
        &self,
        context: &Context,
        mut inbound: Receiver<ConnectStreamingRequest>,
        mut outbound: Sender<ConnectResponse>,
    ) -> Result<(), Status> {
        // Dropped on every way out: after a half-close here, after a cancel or a lost connection with the handler.
        let (seat, heard) = self.enter();
        context.set_header("Room-Count", self.count() as u64)?;
        context.send_headers(); // whoever has them is in the room
        let left = AtomicBool::new(false);
        let say = async {
            while let Some(said) = inbound.recv().await? {
                seat.say(said);
            }
            left.store(true, Ordering::Relaxed);
            drop(seat); // nothing new is heard from here on
            Ok(())
        };
        let hear = async {
            while let Ok(line) = heard.recv().await {
                outbound.send(line).await?;
            }
            if left.load(Ordering::Relaxed) { Ok(()) } else { Err(too_slow()) }
        };
        future::try_zip(say, hear).await.map(drop)
    }
}

/// The same on two threads for each call.
impl blocking::Chat for Room {
    fn connect(
        &self,
        context: &Context,
        mut inbound: Receiver<ConnectStreamingRequest, Blocking>,
        mut outbound: Sender<ConnectResponse, Blocking>,
    ) -> Result<(), Status> {
        let (seat, heard) = self.enter();
        context.set_header("Room-Count", self.count() as u64)?;
        context.send_headers();
        let left = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&left);
        // Ends with the call, since its half does.
        let say = thread::spawn(move || -> Result<(), Status> {
            let said = inbound.by_ref().try_for_each(|said| said.map(|said| seat.say(said)));
            leaving.store(true, Ordering::Relaxed);
            said // and the seat is left
        });
        let mut told = Ok(());
        while let (Ok(()), Ok(line)) = (&told, heard.recv_blocking()) {
            told = outbound.send(line);
        }
        if told.is_ok() && !left.load(Ordering::Relaxed) {
            return Err(too_slow());
        }
        // However it ended, the other half ends as well, and the seat is left before the room is told.
        let said = say.join().unwrap_or_else(|_| Err(Status::internal("the thread that listened panicked")));
        told.and(said)
    }
}

fn too_slow() -> Status {
    Status::resource_exhausted("too many lines wait for you: connect again, and read faster")
}

/// Tells those who stay that somebody left, and how. An interceptor outlives the handler that a cancel drops.
struct Door(Room);

impl Interceptor for Door {
    async fn intercept(&self, context: &Context, next: Next<'_>) -> Result<(), Status> {
        let result = next.run(context).await;
        let how = match result.as_ref().map_err(Status::ended) {
            Ok(()) => "half-closed",
            Err(EndedBy::Cancel { .. }) => "cancelled",
            Err(EndedBy::LostConnection) => "lost the connection",
            Err(_) => "was put out",
        };
        self.0.tell_of_leaving(how);
        result
    }
}
