//! What interceptors attach to a call: hooks that see its messages, and an answer of their own.

use core::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon::Status;

use super::{caught, discard};
use crate::Codec;

/// Which way a message goes, as seen from this side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// This side sends it: a client's request, a server's response.
    Sent,
    /// This side has received it.
    Received,
}

/// A message that passes, for [`Context::on_message`](crate::Context::on_message).
pub struct Message<'a> {
    value: &'a mut dyn Any,
    direction: Direction,
    size: Size<'a>,
}

pub(crate) enum Size<'a> {
    Known(Option<usize>),
    Measured(&'a dyn Fn(&dyn Any) -> Option<usize>),
}

impl Message<'_> {
    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The message, if it is of this type: [`Bytes`](crate::Bytes) where a method is served or called raw.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }

    /// The message, to change it, if it is of this type.
    pub fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.value.downcast_mut()
    }

    /// Its size in the call's codec and before compression, in bytes. A received message had this size; one that is
    /// sent is encoded to measure it, which costs as much as to send it. `None` if it cannot be encoded, and for an
    /// interceptor's own answer at a client.
    pub fn encoded_len(&self) -> Option<usize> {
        match self.size {
            Size::Known(size) => size,
            Size::Measured(measure) => measure(self.value),
        }
    }
}

impl core::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Message").field("direction", &self.direction).finish_non_exhaustive()
    }
}

pub(crate) type Hook = dyn Fn(&mut Message<'_>) -> Result<(), Status> + Send + Sync;

/// What interceptors have attached to one call.
#[derive(Default)]
pub(crate) struct Extra {
    hooks: Mutex<Vec<Arc<Hook>>>,
    answer: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Extra {
    fn hooks(&self) -> MutexGuard<'_, Vec<Arc<Hook>>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_hook(&self, hook: Arc<Hook>) {
        self.hooks().push(hook);
    }

    pub(crate) fn set_answer(&self, answer: Box<dyn Any + Send>) {
        let old = self.answer().replace(answer);
        drop(old);
    }

    pub(crate) fn take_answer(&self) -> Option<Box<dyn Any + Send>> {
        self.answer().take()
    }

    /// The call is over. A hook may hold the call's own context, and so the call.
    pub(crate) fn clear(&self) {
        let hooks = core::mem::take(&mut *self.hooks());
        let answer = self.take_answer();
        discard((hooks, answer));
    }

    /// Shows a message to be sent. `inward`: from the outermost interceptor to the innermost, or back.
    pub(crate) fn see_sent<T: 'static>(
        &self,
        message: &mut T,
        codec: &dyn Codec<T>,
        inward: bool,
    ) -> Result<(), Status> {
        let measure = |message: &dyn Any| {
            let message = message.downcast_ref::<T>()?;
            if let Some(bytes) = codec.as_bytes(message) {
                return Some(bytes.len());
            }
            let mut out = Vec::new();
            codec.encode(message, &mut out).ok()?;
            Some(out.len())
        };
        self.see(message, Direction::Sent, || Size::Measured(&measure), inward)
    }

    /// Shows a message that was received, and had this size.
    pub(crate) fn see_received<T: 'static>(
        &self,
        message: &mut T,
        size: Option<usize>,
        inward: bool,
    ) -> Result<(), Status> {
        self.see(message, Direction::Received, || Size::Known(size), inward)
    }

    fn see<'a>(
        &self,
        value: &mut dyn Any,
        direction: Direction,
        size: impl Fn() -> Size<'a>,
        inward: bool,
    ) -> Result<(), Status> {
        let count = self.hooks().len();
        for at in 0..count {
            let at = if inward { at } else { count - 1 - at };
            // A hook runs with nothing locked: the other half of the call may be at its own message.
            let Some(hook) = self.hooks().get(at).cloned() else { continue };
            let mut message = Message { value: &mut *value, direction, size: size() };
            caught(|| hook(&mut message)).and_then(|seen| seen)?;
        }
        Ok(())
    }
}
