//! Who is in the room, and what they have yet to hear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use antiphon_examples::proto::chat::{ConnectResponse, ConnectStreamingRequest};
use antiphon_service::prost_types::Timestamp;
use smol::channel::{self, Receiver, Sender};

/// How many lines may wait for somebody. Whoever lets more wait is put out: nobody else waits for a slow reader.
const WAITING: usize = 256;

/// A room. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Room(Arc<Mutex<People>>);

#[derive(Default)]
struct People {
    next: u64,
    ears: HashMap<u64, Sender<ConnectResponse>>,
}

/// A place in the room: left when it is dropped, for whatever reason that is.
pub(crate) struct Seat {
    room: Room,
    id: u64,
}

impl Room {
    /// A place in the room, and what is said there from now on. That ends when the place is left, or too much waits.
    pub(crate) fn enter(&self) -> (Seat, Receiver<ConnectResponse>) {
        let (ear, heard) = channel::bounded(WAITING);
        let mut people = self.people();
        people.next += 1;
        let id = people.next;
        people.ears.insert(id, ear);
        (Seat { room: self.clone(), id }, heard)
    }

    /// How many are in the room.
    pub(crate) fn count(&self) -> usize {
        self.people().ears.len()
    }

    /// Everybody hears that somebody left, and how many are here. Counted and told at once: whoever hears last hears the last count.
    pub(crate) fn tell_of_leaving(&self, how: &str) {
        let mut people = self.people();
        let news = format!("one {how}, {} here", people.ears.len());
        people.tell("room".to_owned(), news, None);
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl People {
    /// What everybody hears, but for the one who said it.
    fn tell(&mut self, user_id: String, message: String, speaker: Option<u64>) {
        let timestamp = Timestamp::from(SystemTime::now()).to_string();
        let line = ConnectResponse { message, user_id, timestamp };
        self.ears.retain(|id, ear| Some(*id) == speaker || ear.try_send(line.clone()).is_ok());
    }
}

impl Seat {
    /// What the others hear.
    pub(crate) fn say(&self, said: ConnectStreamingRequest) {
        self.room.people().tell(said.user_id, said.message, Some(self.id));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.people().ears.remove(&self.id);
    }
}
