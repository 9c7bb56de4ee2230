//! What a call of one message gives.

use core::ops::{Deref, DerefMut};

use antiphon::Metadata;

use crate::Context;

/// A response to a call of one message, with what came beside it. It derefs to the message.
#[derive(Clone, Debug, Default)]
pub struct Response<T> {
    /// The headers.
    pub headers: Metadata,
    /// The message.
    pub message: T,
    /// The trailers.
    pub trailers: Metadata,
    pub(super) context: Option<Context>,
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> DerefMut for Response<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T> Response<T> {
    /// A response that came from nowhere, for tests.
    pub fn new(message: T) -> Self {
        Self { headers: Metadata::new(), message, trailers: Metadata::new(), context: None }
    }

    /// What is known of the call: its peer, protocol, codec and version of HTTP. `None` for a response that came from
    /// nowhere.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }
}
