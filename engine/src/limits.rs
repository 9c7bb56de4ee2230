//! How much of everything a peer may use.

use core::time::Duration;

/// How much of everything a peer may use. Every field has a default that suits a server facing strangers, and a method
/// of its name that sets it. How large a message may be is a rule of calls:
/// [`RpcConfig::max_receive`](crate::rpc::RpcConfig::max_receive).
///
/// [`Limits::checked`] clamps each field to its hard cap and keeps them consistent; connections call it themselves.
///
/// ```
/// use antiphon::{Bucket, Limits};
///
/// let limits = Limits::new().streams(1000).resets(Bucket { burst: 100, per_second: 10 });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message in bytes, for what is reserved and for the worst case. It limits nothing by itself:
    /// [`RpcConfig::max_receive`](crate::rpc::RpcConfig::max_receive) does, and [`Config`](crate::Config) puts it here.
    pub(crate) max_message: usize,
    /// The largest list of header fields in bytes, each field counted with 32 more (RFC 9113 §6.5.2). Default 16 KiB,
    /// cap 1 MiB. HTTP/2 tells the peer; above it the request is answered 431 or its like, above
    /// [`hard_header_list`](Limits::hard_header_list) the connection ends.
    pub header_list: usize,
    /// Where a header list ends the connection. Default 64 KiB, cap 4 MiB.
    pub hard_header_list: usize,
    /// The largest number of fields in a head. Default 128, cap 4,096.
    pub header_fields: usize,
    /// The largest encoded header block in bytes (HTTP/2). Default 32 KiB, cap 4 MiB.
    pub header_wire: usize,
    /// The most CONTINUATION frames for one block. Default 8, cap 1,024.
    pub continuations: u32,
    /// The HPACK table that the peer's encoder may use, in bytes. Default 4,096, cap 64 KiB.
    pub hpack_table: usize,
    /// The most concurrent calls that the peer may open. Default 100, cap 1,000,000.
    pub streams: u32,
    /// How many calls may be ended on the wire and still held by the application. Default 100, cap 1,000,000.
    pub zombies: u32,
    /// The receive window of a call in bytes. Default 64 KiB, cap 16 MiB, at least 16 KiB.
    pub window: u32,
    /// How much one call may have queued to send, in bytes, before it blocks. Default 64 KiB, cap 64 MiB.
    pub send_queue: usize,
    /// How much all calls together may reserve for messages larger than the window, in bytes. Default 16 MiB. In a
    /// connection of calls it is at least [`RpcConfig::max_receive`](crate::rpc::RpcConfig::max_receive), which says how
    /// large a message may be.
    pub assembly: usize,
    /// Resets of calls that the peer may cause at once, and more each second. Default 1,000 and 100.
    pub resets: Bucket,
    /// Errors that make us reset a call: at once, and each second. Default 100 and 10.
    pub provoked: Bucket,
    /// Frames that do no work (empty DATA, PING, SETTINGS, PRIORITY …): at once, and each second. Default 2,000 and 100.
    pub glitches: Bucket,
    /// The most entries in one SETTINGS frame. Default 32, cap 1,024.
    pub settings_entries: usize,
    /// Time for a connection's preface, for a header block and for the acknowledgement of our SETTINGS. Default 10 s.
    pub handshake: Duration,
    /// Time for a call that is finished to get rid of its last bytes, and, with
    /// [`min_rate`](Limits::min_rate), for a message under assembly. Default 30 s.
    pub stall: Duration,
    /// The slowest pace of a message that holds a reservation, in bytes per second. Default 4 KiB/s.
    pub min_rate: u32,
    /// How much of an unwanted HTTP/1.1 body is read so that the connection can be used again. Default 64 KiB.
    pub drain: usize,
}

/// A token bucket: so much at once, and so much more each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How much at once.
    pub burst: u32,
    /// How much more each second.
    pub per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 << 20,
            header_list: 16 << 10,
            hard_header_list: 64 << 10,
            header_fields: 128,
            header_wire: 32 << 10,
            continuations: 8,
            hpack_table: 4096,
            streams: 100,
            zombies: 100,
            window: 64 << 10,
            send_queue: 64 << 10,
            assembly: 16 << 20,
            resets: Bucket { burst: 1000, per_second: 100 },
            provoked: Bucket { burst: 100, per_second: 10 },
            glitches: Bucket { burst: 2000, per_second: 100 },
            settings_entries: 32,
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            min_rate: 4 << 10,
            drain: 64 << 10,
        }
    }
}

crate::config::setters! {
    Limits {
        header_list: usize,
        hard_header_list: usize,
        header_fields: usize,
        header_wire: usize,
        continuations: u32,
        hpack_table: usize,
        streams: u32,
        zombies: u32,
        window: u32,
        send_queue: usize,
        assembly: usize,
        resets: Bucket,
        provoked: Bucket,
        glitches: Bucket,
        settings_entries: usize,
        handshake: Duration,
        stall: Duration,
        min_rate: u32,
        drain: usize,
    }
}

impl Limits {
    /// These limits with every field inside its documented range.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.max_message = self.max_message.min(i32::MAX as usize);
        self.header_list = self.header_list.clamp(1 << 10, 1 << 20);
        self.hard_header_list = self.hard_header_list.clamp(self.header_list, 4 << 20);
        self.header_fields = self.header_fields.clamp(8, 4096);
        self.header_wire = self.header_wire.clamp(1 << 10, 4 << 20);
        self.continuations = self.continuations.min(1024);
        self.hpack_table = self.hpack_table.min(64 << 10);
        self.streams = self.streams.clamp(1, 1_000_000);
        self.zombies = self.zombies.min(1_000_000);
        self.window = self.window.clamp(16 << 10, 16 << 20);
        self.send_queue = self.send_queue.clamp(1, 64 << 20);
        self.assembly = self.assembly.max(self.max_message);
        self.settings_entries = self.settings_entries.clamp(8, 1024);
        self
    }
}

/// A token bucket at work, on the caller's time.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    bucket: Bucket,
    left: u32,
    refilled: crate::Instant,
}

impl Tokens {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket, left: bucket.burst, refilled: crate::Instant::EPOCH }
    }

    /// Takes `count` tokens; `false` when there are not so many.
    pub(crate) fn take(&mut self, now: crate::Instant, count: u32) -> bool {
        if self.left == self.bucket.burst {
            self.refilled = now;
        } else if self.left < count {
            self.refill(now);
        }
        let enough = self.left >= count;
        self.left = self.left.saturating_sub(count);
        enough
    }

    /// Gives one token back: honest work earns it.
    pub(crate) fn earn(&mut self) {
        self.left = (self.left + 1).min(self.bucket.burst);
    }

    fn refill(&mut self, now: crate::Instant) {
        let millis = now.duration_since(self.refilled).as_millis() as u64;
        let earned = millis.saturating_mul(u64::from(self.bucket.per_second)) / 1000;
        if earned > 0 {
            self.left =
                self.bucket.burst.min(self.left.saturating_add(earned.min(u64::from(u32::MAX)) as u32));
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    #[test]
    fn defaults_are_in_range() {
        assert_eq!(Limits::default().checked(), Limits::default());
    }

    #[test]
    fn a_bucket_refills_with_time() {
        let mut tokens = Tokens::new(Bucket { burst: 2, per_second: 1 });
        let start = Instant::EPOCH + Duration::from_secs(1);
        assert!(tokens.take(start, 1) && tokens.take(start, 1) && !tokens.take(start, 1));
        assert!(tokens.take(start + Duration::from_secs(1), 1));
        assert!(!tokens.take(start + Duration::from_secs(1), 1));
    }
}
