//! The last head each way. Requests of one client, and answers of one server, are mostly alike: a head that is the
//! same bytes means the same, and a head that is to be sent again is the same bytes.

use bytes::{BufMut, BytesMut};

use super::head_parse::Facts;
use super::head_write::Wishes;
use crate::{Head, Misuse};

/// A longer head is not remembered.
pub(super) const LONGEST: usize = 1024;

/// The head that was read last. What it was parsed into is kept by the exchange.
#[derive(Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    facts: Facts,
}

impl Received {
    /// The length and meaning of the head at the front of `input`, if it is the same as the last one.
    pub(super) fn find(&self, input: &[u8]) -> Option<(usize, Facts)> {
        (!self.bytes.is_empty() && input.starts_with(&self.bytes)).then_some((self.bytes.len(), self.facts))
    }

    /// Takes note of what was parsed; `None`: nothing that may come again.
    pub(super) fn note(&mut self, bytes: &[u8], facts: Option<Facts>) {
        self.bytes.clear();
        if let Some(facts) = facts.filter(|_| bytes.len() <= LONGEST) {
            self.bytes.extend_from_slice(bytes);
            self.facts = facts;
        }
    }
}

/// The head that was sent last.
#[derive(Default)]
pub(super) struct Sent {
    head: Head,
    wishes: Wishes,
    bytes: BytesMut,
}

impl Sent {
    /// Appends `head` to `buffer`, and says what its fields wish.
    ///
    /// # Errors
    /// When it may not be sent; nothing is appended then.
    pub(super) fn write(
        &mut self,
        head: &Head,
        buffer: &mut BytesMut,
        check: impl FnOnce(&Head) -> Result<Wishes, Misuse>,
        write: impl FnOnce(&mut BytesMut, &Head),
    ) -> Result<Wishes, Misuse> {
        if !self.bytes.is_empty() && *head == self.head {
            buffer.put_slice(&self.bytes);
            return Ok(self.wishes);
        }
        let wishes = check(head)?;
        let start = buffer.len();
        write(buffer, head);
        let written = buffer.get(start..).unwrap_or_default();
        self.bytes.clear();
        if written.len() <= LONGEST {
            self.bytes.extend_from_slice(written);
            self.head.assign(head);
            self.wishes = wishes;
        }
        Ok(wishes)
    }
}
