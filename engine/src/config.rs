//! What a connection may do and demand: limits, the rules of calls, and policies.

use core::time::Duration;
use std::sync::Arc;

use crate::Limits;
use crate::rpc::RpcConfig;

/// Makes a method of its name for each field, which sets it.
macro_rules! setters {
    ($type:ident { $($field:ident: $value:ty,)* }) => {
        impl $type {
            /// All defaults.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $value) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;

/// How a connection behaves. Shared by all connections of a server or client. Each field has a method of its name that
/// sets it.
///
/// ```
/// use antiphon::rpc::RpcConfig;
/// use antiphon::{Config, Limits};
/// use core::time::Duration;
///
/// let config = Config::new()
///     .limits(Limits::new().streams(1000))
///     .rpc(RpcConfig::new().max_receive(64 << 20))
///     .max_age(Duration::from_secs(3600));
/// ```
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How much of everything the peer may use.
    pub limits: Limits,
    /// The rules of calls: message sizes, codings, codecs, deadlines.
    pub rpc: Arc<RpcConfig>,
    /// A server over HTTP/1.1: a peer that has closed its sending side still waits for the answer. Default `false`:
    /// the end of the input while a response is open cancels the call, since nothing else tells of a client that went.
    pub allow_half_closed: bool,
    /// Whether and how the other side is asked if it still lives (HTTP/2 PING). `None`, the default: a client does not
    /// ask, since servers may take offence (gRPC `keepalive.md`); a server asks as [`Keepalive::SERVER`] says.
    pub keepalive: Option<Keepalive>,
    /// A connection without calls for so long is drained and closed. Default: never.
    pub max_idle: Option<Duration>,
    /// A connection older than this is drained: open calls finish, new ones go elsewhere. A tenth of it is added or
    /// taken away by [`seed`](Config::seed), so that connections made together do not end together. Default: never.
    pub max_age: Option<Duration>,
    /// How long calls may go on after [`max_age`](Config::max_age) until the connection is closed. Default: for ever.
    pub age_grace: Option<Duration>,
    /// The source of whatever is spread in time. Give each connection another; equal seeds give equal behaviour.
    pub seed: u64,
}

/// How a connection asks whether the other side still lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// A PING goes out after so long without anything received.
    pub time: Duration,
    /// The connection ends when nothing is received for so long after the PING.
    pub timeout: Duration,
    /// PINGs go out when no call is open, too.
    pub without_calls: bool,
}

setters! {
    Config {
        limits: Limits,
        rpc: impl Into<Arc<RpcConfig>>,
        allow_half_closed: bool,
        keepalive: impl Into<Option<Keepalive>>,
        max_idle: impl Into<Option<Duration>>,
        max_age: impl Into<Option<Duration>>,
        age_grace: impl Into<Option<Duration>>,
        seed: u64,
    }
}

impl Config {
    /// The limits of the HTTP connection. How large a message may be is one number, that of the rules of calls.
    pub(crate) fn http_limits(&self) -> Limits {
        let mut limits = self.limits.clone();
        limits.max_message = self.rpc.receive_limit();
        limits.checked()
    }

    pub(crate) fn server_keepalive(&self) -> Option<Keepalive> {
        Some(self.keepalive.unwrap_or(Keepalive::SERVER)).filter(|keepalive| *keepalive != Keepalive::OFF)
    }
}

impl Keepalive {
    /// What servers of gRPC do: a PING after 2 hours of silence, 20 seconds for the answer.
    pub const SERVER: Self =
        Self { time: Duration::from_secs(7200), timeout: Duration::from_secs(20), without_calls: true };
    /// A server that never asks.
    pub const OFF: Self = Self { time: Duration::MAX, timeout: Duration::MAX, without_calls: false };
}

impl Config {
    /// The age at which a connection is drained: [`max_age`](Config::max_age) moved by up to a tenth.
    pub(crate) fn spread_age(&self) -> Option<Duration> {
        let age = self.max_age?;
        let tenth = age / 10;
        // One round of a 64-bit mixer: the seed may be a counter.
        let mut mixed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = (mixed >> 32) as u32 % 2001;
        Some((age - tenth).saturating_add(tenth * part / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_message_is_one_number_and_finds_its_room() {
        let config =
            Config::new().rpc(RpcConfig::new().max_receive(64 << 20)).limits(Limits::new().streams(7));
        let limits = config.http_limits();
        assert_eq!((limits.max_message, limits.assembly, limits.streams), (64 << 20, 64 << 20, 7));
        let small = Config::new().rpc(RpcConfig::new().max_receive(100)).http_limits();
        assert_eq!((small.max_message, small.assembly), (100, Limits::default().assembly));
        assert_eq!(Config::new().max_age(Duration::from_secs(1)).max_age, Some(Duration::from_secs(1)));
    }

    #[test]
    fn age_is_spread_by_a_tenth_and_depends_on_the_seed_alone() {
        let hour = Duration::from_secs(3600);
        let ages: Vec<_> = (0..100)
            .map(|seed| Config { max_age: Some(hour), seed, ..Config::default() }.spread_age().unwrap())
            .collect();
        assert!(ages.iter().all(|age| *age >= hour * 9 / 10 && *age <= hour * 11 / 10));
        assert!(ages.iter().collect::<std::collections::BTreeSet<_>>().len() > 50);
        let again = Config { max_age: Some(hour), seed: 5, ..Config::default() };
        assert_eq!(again.spread_age(), Some(ages[5]));
    }
}
