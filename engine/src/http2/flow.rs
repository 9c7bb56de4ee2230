//! Flow-control windows (RFC 9113 §6.9), in `i64` so that no sum can wrap.

use crate::credit::{MAX_WINDOW, Overrun};
use crate::http2::settings::DEFAULT_WINDOW;

/// A window would exceed 2^31 - 1 (RFC 9113 §6.9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overflow;

/// How much we may send. A changed initial window may make it negative (RFC 9113 §6.9.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SendWindow(i64);

impl SendWindow {
    pub(super) fn new(initial: u32) -> Self {
        Self(initial.into())
    }

    /// Bytes that may be sent now.
    pub(super) fn available(self) -> usize {
        self.0.max(0) as usize
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    /// Moves the window by a WINDOW_UPDATE or by a change of the initial window.
    pub(super) fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        if self.0 + by > MAX_WINDOW {
            return Err(Overflow);
        }
        self.0 += by;
        Ok(())
    }
}

/// How much the peer may send on the whole connection. What arrives is owed back at once, whoever it was for, so
/// that an unread stream takes nothing from the others; it goes back when half a window is owed.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    size: u32,
    remaining: i64,
    owed: u32,
}

impl ReceiveWindow {
    /// A window that is raised to `size` bytes at the start.
    pub(super) fn new(size: u32) -> Self {
        let size = size.max(DEFAULT_WINDOW);
        Self { size, remaining: DEFAULT_WINDOW.into(), owed: size - DEFAULT_WINDOW }
    }

    pub(super) fn received(&mut self, bytes: usize) -> Result<(), Overrun> {
        if bytes as i64 > self.remaining {
            return Err(Overrun);
        }
        self.remaining -= bytes as i64;
        self.owed += bytes as u32;
        Ok(())
    }

    pub(super) fn is_due(&self) -> bool {
        self.owed >= self.size / 2
    }

    /// The WINDOW_UPDATE that is due, if any: then it counts as sent.
    pub(super) fn raise(&mut self) -> Option<u32> {
        if !self.is_due() {
            return None;
        }
        self.remaining += i64::from(self.owed);
        Some(std::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_may_be_negative_but_not_overflow() {
        // RFC 9113 §6.9.1 and §6.9.2
        let mut window = SendWindow::new(65_535);
        window.sent(60_000);
        assert_eq!(window.shift(-65_535), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.shift(60_001), Ok(()));
        assert_eq!(window.available(), 1);
        assert_eq!(window.shift(MAX_WINDOW), Err(Overflow));
        assert_eq!(window.shift(MAX_WINDOW - 1), Ok(()));
    }

    #[test]
    fn connection_credit_returns_by_halves() {
        let mut window = ReceiveWindow::new(1 << 20);
        assert_eq!(window.raise(), Some((1 << 20) - 65_535));
        assert_eq!(window.received(100), Ok(()));
        assert_eq!(window.raise(), None);
        assert_eq!(window.received(1 << 19), Ok(()));
        assert_eq!(window.raise(), Some((1 << 19) + 100));
        assert_eq!(window.received((1 << 20) + 1), Err(Overrun));
    }
}
