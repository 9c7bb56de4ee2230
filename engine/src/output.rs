//! Bytes on their way to the peer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// Bytes on their way to the peer, owned by the caller.
///
/// Small pieces are copied together; a large one ([`Output::SHARE_FROM`] bytes and up) is kept as its own [`Bytes`]
/// and never copied. A writer with readiness I/O uses [`slices`](Output::slices) and [`advance`](Output::advance);
/// completion I/O takes the buffers with [`take`](Output::take).
///
/// ```
/// use antiphon::Output;
///
/// let mut output = Output::new();
/// output.extend_from_slice(b"hello");
/// let mut slices = [std::io::IoSlice::new(&[]); 4];
/// assert_eq!(output.slices(&mut slices), 1);
/// output.advance(2);
/// assert_eq!(&output.take().unwrap()[..], b"llo");
/// assert!(output.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Output {
    /// Sealed pieces, all before `tail`.
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    sealed_len: usize,
}

impl Output {
    /// A machine stops appending frames of calls once this many bytes are pending.
    pub const ENOUGH: usize = 64 * 1024;
    /// A piece of this size or more is shared instead of copied.
    pub const SHARE_FROM: usize = 16 * 1024;

    /// An empty output, without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of bytes pending.
    pub fn len(&self) -> usize {
        self.sealed_len + self.tail.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a copy of `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
    }

    /// Appends `bytes`, shared if large and copied if small.
    pub fn push(&mut self, bytes: Bytes) {
        if bytes.len() < Self::SHARE_FROM {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        self.seal();
        self.sealed_len += bytes.len();
        self.sealed.push_back(bytes);
    }

    /// The growable end of the output, to append to in place. Only ever append to it.
    pub fn tail_mut(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Fills `slices` with the pending pieces, in order, and returns how many it filled. Not all pieces need fit.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.sealed.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Removes the first `written` bytes: the transport has taken them.
    ///
    /// # Panics
    /// When fewer bytes are pending.
    pub fn advance(&mut self, mut written: usize) {
        assert!(written <= self.len(), "advanced past the end of the output");
        while let Some(front) = self.sealed.front_mut() {
            let step = written.min(front.len());
            front.advance(step);
            self.sealed_len -= step;
            written -= step;
            if !front.is_empty() {
                return;
            }
            self.sealed.pop_front();
        }
        if written == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(written);
        }
    }

    /// Takes the first piece out, for I/O that owns its buffers.
    pub fn take(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.sealed.pop_front() {
            self.sealed_len -= piece.len();
            return Some(piece);
        }
        (!self.tail.is_empty()).then(|| self.tail.split().freeze())
    }

    /// Drops everything that is pending and keeps the memory.
    pub fn clear(&mut self) {
        self.sealed.clear();
        self.sealed_len = 0;
        self.tail.clear();
    }

    /// Gives memory back that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.sealed_len += self.tail.len();
            self.sealed.push_back(self.tail.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(output: &mut Output, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = output.slices(&mut slices);
            let first: Vec<u8> =
                slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
            output.advance(first.len());
            all.extend(first);
        }
        all
    }

    #[test]
    fn order_survives_sharing_and_any_write_size() {
        for step in [1, 7, 16_384, 100_000] {
            let mut output = Output::new();
            output.extend_from_slice(b"head");
            output.push(Bytes::from(vec![7; Output::SHARE_FROM]));
            output.push(Bytes::from_static(b"small"));
            output.extend_from_slice(b"tail");
            assert_eq!(output.len(), Output::SHARE_FROM + 13);
            let all = drain(&mut output, step);
            assert_eq!(&all[..4], b"head");
            assert_eq!(&all[all.len() - 9..], b"smalltail");
            assert_eq!(all.len(), Output::SHARE_FROM + 13);
        }
    }

    #[test]
    fn take_gives_the_same_bytes() {
        let mut output = Output::new();
        output.extend_from_slice(b"ab");
        output.push(Bytes::from(vec![1; Output::SHARE_FROM]));
        output.extend_from_slice(b"cd");
        let mut all = Vec::new();
        while let Some(piece) = output.take() {
            all.extend_from_slice(&piece);
        }
        assert_eq!(all.len(), Output::SHARE_FROM + 4);
        assert!(output.is_empty());
    }
}
