//! A buffer that is filled again and again without being cleared in between.

/// What it keeps between blocks, in bytes.
const KEEP: usize = 8192;

/// Bytes, of which the first `len` count. What is behind them is old, and written over: so that room for a string whose
/// length is not known yet need not be cleared first.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    len: usize,
}

impl Scratch {
    #[inline]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        if let Some(room) = self.room(len).get_mut(..len) {
            room.copy_from_slice(bytes);
        }
        self.len += len;
    }

    /// Room behind what counts, for at least `len` bytes.
    #[inline]
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < self.len + len {
            self.grow(len);
        }
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.bytes.resize((self.len + len).next_power_of_two().max(64), 0);
    }

    /// The first `len` bytes of the room count from now on.
    #[inline]
    pub(super) fn filled(&mut self, len: usize) {
        self.len += len;
    }

    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() > KEEP {
            *self = Self::default();
        }
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}
