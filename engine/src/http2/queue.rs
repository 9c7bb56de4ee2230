//! What one stream has queued to send: small pieces copied together, large ones shared.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::Output;
use crate::codec::envelope::PREFIX;

/// A queue keeps no more spare memory than this when it is empty.
const KEEP: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct SendQueue {
    /// Copied bytes, of which the first `taken` are gone.
    small: Vec<u8>,
    taken: usize,
    /// Shared pieces, each with the number of copied bytes between the one before (or the front) and itself.
    shared: VecDeque<(usize, Bytes)>,
    /// Copied bytes behind the last shared piece.
    open: usize,
    len: usize,
}

impl SendQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.small.extend_from_slice(bytes);
        self.open += bytes.len();
        self.len += bytes.len();
    }

    /// Appends a message in its envelope.
    #[inline]
    pub(super) fn push_message(&mut self, prefix: &[u8; PREFIX], payload: &[u8]) {
        self.compact();
        let length = PREFIX + payload.len();
        self.small.reserve(length);
        self.small.extend_from_slice(prefix);
        self.small.extend_from_slice(payload);
        self.open += length;
        self.len += length;
    }

    /// Moves what is left to the front when more than half is gone.
    #[inline]
    fn compact(&mut self) {
        if self.taken > KEEP && self.taken >= self.small.len() / 2 {
            self.small.drain(..self.taken);
            self.taken = 0;
        }
    }

    pub(super) fn push_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < Output::SHARE_FROM {
            return self.push(bytes);
        }
        self.shared.push_back((std::mem::take(&mut self.open), bytes.clone()));
        self.len += bytes.len();
    }

    /// Moves `count` bytes, at most [`len`](SendQueue::len), from the front to `out`.
    pub(super) fn take(&mut self, mut count: usize, out: &mut Output) {
        count = count.min(self.len);
        if self.shared.is_empty() && count == self.len {
            out.extend_from_slice(self.small.get(self.taken..).unwrap_or_default());
            return self.clear();
        }
        self.len -= count;
        if self.shared.is_empty() {
            self.open -= count;
            self.copy(count, out);
            count = 0;
        }
        while count > 0 {
            let Some((before, piece)) = self.shared.front_mut() else {
                self.open -= count;
                self.copy(count, out);
                break;
            };
            let copied = count.min(*before);
            *before -= copied;
            count -= copied;
            let shared = count.min(piece.len());
            let part = piece.split_to(shared);
            count -= shared;
            let done = *before == 0 && !piece.has_remaining();
            self.copy(copied, out);
            if !part.is_empty() {
                out.push(part);
            }
            if done {
                self.shared.pop_front();
            }
        }
        if self.len == 0 {
            self.clear();
        }
    }

    /// Forgets everything; keeps a little memory.
    pub(super) fn clear(&mut self) {
        if !self.shared.is_empty() {
            self.shared.clear();
        }
        self.small.clear();
        if self.small.capacity() > KEEP {
            self.small = Vec::new();
        }
        self.taken = 0;
        self.open = 0;
        self.len = 0;
    }

    fn copy(&mut self, count: usize, out: &mut Output) {
        if let Some(part) = self.small.get(self.taken..self.taken + count) {
            out.extend_from_slice(part);
            self.taken += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_for_every_cut() {
        for step in [1, 5, 1000, 16_384, 20_000, 100_000] {
            let mut queue = SendQueue::default();
            let mut expected = Vec::new();
            let big = Bytes::from((0..20_000_u32).map(|n| n as u8).collect::<Vec<_>>());
            for round in 0..3_u8 {
                queue.push(&[round; 700]);
                expected.extend_from_slice(&[round; 700]);
                queue.push_bytes(&big);
                expected.extend_from_slice(&big);
                queue.push_bytes(&Bytes::from_static(b"small"));
                expected.extend_from_slice(b"small");
            }
            assert_eq!(queue.len(), expected.len());
            let mut out = Output::new();
            while !queue.is_empty() {
                queue.take(step, &mut out);
            }
            let mut got = Vec::new();
            while let Some(piece) = out.take() {
                got.extend_from_slice(&piece);
            }
            assert!(got == expected, "step {step}");
        }
    }
}
