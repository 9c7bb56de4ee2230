//! The rules of calls.

use core::time::Duration;

use super::{Codings, Protocol};

/// The rules by which calls are made and answered. Shared by all calls of a client or server. Each field has a method of
/// its name that sets it.
///
/// ```
/// use antiphon::rpc::RpcConfig;
///
/// let config = RpcConfig::new().max_receive(1 << 20).codecs(["proto", "json"]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RpcConfig {
    /// The largest message taken from a peer, in bytes, both as it travels and uncompressed. Above it the call ends
    /// RESOURCE_EXHAUSTED. Default 4 MiB, at most 2 GiB - 1. A method or call may say less
    /// ([`Method::max_receive`](super::Method::max_receive)), never more. It is the only such limit: a connection
    /// raises [`Limits::assembly`](crate::Limits::assembly) to it, so that a message of this size finds its room.
    pub max_receive: usize,
    /// The largest message sent, in bytes as it travels. Above it sending is refused with
    /// [`Misuse::TooLarge`](crate::Misuse::TooLarge). Default and most 4 GiB - 1.
    pub max_send: usize,
    /// The compressions that messages may have, in order of preference. Default: none, only plain messages.
    pub codings: Codings,
    /// A server: the codecs that exist, such as `proto` and `json`; a request with another is answered as the
    /// protocols demand. Empty, the default: any codec is taken, and the application decides.
    pub codecs: Vec<Box<str>>,
    /// A server: refuse Connect requests that do not say `connect-protocol-version: 1` (GET: `connect=v1`). Default
    /// `false`; a wrong version is always refused.
    pub require_connect_protocol_version: bool,
    /// A server: the deadline of a request that has none. Default: none.
    pub default_timeout: Option<Duration>,
    /// A server: a shorter timeout is taken for this long. Default: none.
    pub min_timeout: Option<Duration>,
    /// A server: a longer timeout, or none, is taken for this long. Default: none.
    pub max_timeout: Option<Duration>,
    /// The longest path with its query, in bytes. A client makes a POST of a GET that would be longer; a server answers
    /// 414. Default 8 KiB.
    pub max_url: usize,
    /// A client: the `user-agent` of calls whose metadata has none. Empty: none is sent. `None`, the default: what the
    /// protocol is wont to see, with the version of this crate: `grpc-rust-antiphon/…` (gRPC PROTOCOL-HTTP2 "User
    /// Agents", gRPC-Web alike), and `connect-rust-antiphon/…` in Connect.
    pub user_agent: Option<Box<str>>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            max_receive: 4 << 20,
            max_send: u32::MAX as usize,
            codings: Codings::default(),
            codecs: Vec::new(),
            require_connect_protocol_version: false,
            default_timeout: None,
            min_timeout: None,
            max_timeout: None,
            max_url: 8 << 10,
            user_agent: None,
        }
    }
}

crate::config::setters! {
    RpcConfig {
        max_receive: usize,
        max_send: usize,
        codings: Codings,
        require_connect_protocol_version: bool,
        default_timeout: impl Into<Option<Duration>>,
        min_timeout: impl Into<Option<Duration>>,
        max_timeout: impl Into<Option<Duration>>,
        max_url: usize,
    }
}

const GRPC_AGENT: &str = concat!("grpc-rust-antiphon/", env!("CARGO_PKG_VERSION"));
const CONNECT_AGENT: &str = concat!("connect-rust-antiphon/", env!("CARGO_PKG_VERSION"));

impl RpcConfig {
    /// Sets [`codecs`](Self#structfield.codecs).
    #[must_use]
    pub fn codecs<T: Into<Box<str>>>(mut self, codecs: impl IntoIterator<Item = T>) -> Self {
        self.codecs = codecs.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`user_agent`](Self#structfield.user_agent).
    #[must_use]
    pub fn user_agent(mut self, agent: impl Into<Box<str>>) -> Self {
        self.user_agent = Some(agent.into());
        self
    }

    /// What a client says that it is; empty: nothing.
    pub(crate) fn agent(&self, protocol: Protocol) -> &str {
        match (&self.user_agent, protocol) {
            (Some(agent), _) => agent,
            (None, Protocol::Connect) => CONNECT_AGENT,
            (None, _) => GRPC_AGENT,
        }
    }

    /// The limit for received messages, within its cap.
    pub(crate) fn receive_limit(&self) -> usize {
        self.max_receive.min(i32::MAX as usize)
    }

    /// The limit for sent messages, within its cap.
    pub(crate) fn send_limit(&self) -> usize {
        self.max_send.min(u32::MAX as usize)
    }

    /// Whether a server knows this codec.
    pub(crate) fn knows_codec(&self, codec: &str) -> bool {
        self.codecs.is_empty() || self.codecs.iter().any(|known| **known == *codec)
    }

    /// The timeout that a request's becomes.
    pub(crate) fn clamp_timeout(&self, timeout: Option<Duration>) -> Option<Duration> {
        let timeout = timeout.or(self.default_timeout).or(self.max_timeout)?;
        let timeout = self.min_timeout.map_or(timeout, |least| timeout.max(least));
        Some(self.max_timeout.map_or(timeout, |most| timeout.min(most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_setter() {
        let second = Duration::from_secs(1);
        let config = RpcConfig::new()
            .max_receive(1)
            .max_send(2)
            .codings(Codings::default())
            .codecs(["proto"])
            .require_connect_protocol_version(true)
            .default_timeout(second)
            .min_timeout(None)
            .max_timeout(second * 2)
            .max_url(3)
            .user_agent("a/1");
        assert_eq!((config.max_receive, config.max_send, config.max_url), (1, 2, 3));
        assert_eq!((config.default_timeout, config.min_timeout), (Some(second), None));
        assert_eq!((config.codecs.len(), config.user_agent.as_deref()), (1, Some("a/1")));
    }

    // Connect "Timeout": servers may clamp.
    #[test]
    fn timeouts_are_clamped() {
        let second = Duration::from_secs(1);
        let mut config = RpcConfig::default();
        assert_eq!(config.clamp_timeout(None), None);
        assert_eq!(config.clamp_timeout(Some(second)), Some(second));
        config.max_timeout = Some(second * 10);
        assert_eq!(config.clamp_timeout(None), Some(second * 10));
        config.default_timeout = Some(second * 5);
        config.min_timeout = Some(second * 2);
        assert_eq!(config.clamp_timeout(None), Some(second * 5));
        assert_eq!(config.clamp_timeout(Some(second)), Some(second * 2));
        assert_eq!(config.clamp_timeout(Some(second * 20)), Some(second * 10));
    }
}
