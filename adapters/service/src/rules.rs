//! What a router says of its paths beside who serves them.

use antiphon::rpc::{Method, Protocols};

use crate::Handler;

/// A message smaller than this is sent as it is, unless somebody says otherwise: it fits a packet anyway, and
/// compressed it is seldom smaller.
pub(crate) const COMPRESS_FROM: usize = 1 << 10;

/// How calls of some paths are served: what [`Router::rules`](crate::Router::rules) takes. What is not said stays as it
/// is.
///
/// ```
/// use antiphon_service::{Protocol, Protocols, Router, Rules};
///
/// let router = Router::new()
///     .rules("", Rules::new().protocols(Protocols::ALL.without(Protocol::GrpcWebText)))
///     .rules("feed.v1.FeedService", Rules::new().max_receive(64 << 10))
///     .rules("/feed.v1.FeedService/Render", Rules::new().offload());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    inline: Option<bool>,
    protocols: Option<Protocols>,
    max_receive: Option<usize>,
    max_send: Option<usize>,
    compress_from: Option<usize>,
    #[cfg(feature = "json")]
    json: Option<crate::JsonOptions>,
}

impl Rules {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`Handler::offload`].
    #[must_use]
    pub fn offload(mut self) -> Self {
        self.inline = Some(false);
        self
    }

    /// See [`Handler::inline`].
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = Some(true);
        self
    }

    /// The protocols that are spoken; calls of others are answered 415. Default: all.
    #[must_use]
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = Some(protocols);
        self
    }

    /// The largest message received, in bytes, both as it travels and uncompressed: at most that of the connection's
    /// configuration, which is the default. Above it the call ends `resource_exhausted`.
    #[must_use]
    pub fn max_receive(mut self, bytes: usize) -> Self {
        self.max_receive = Some(bytes);
        self
    }

    /// The largest message sent, in bytes as it travels: at most that of the connection's configuration, which is the
    /// default. A larger one is not sent; the handler gets `resource_exhausted`.
    #[must_use]
    pub fn max_send(mut self, bytes: usize) -> Self {
        self.max_send = Some(bytes);
        self
    }

    /// The smallest message that is compressed, in bytes, where the client takes compressed ones and the server has
    /// [codings](antiphon::rpc::RpcConfig::codings). Default: 1,024. [`Context::compress`](crate::Context::compress)
    /// switches it off for single messages.
    #[must_use]
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.compress_from = Some(bytes);
        self
    }

    /// How messages are read from JSON and written to it. Default: strict.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json(mut self, options: crate::JsonOptions) -> Self {
        self.json = Some(options);
        self
    }

    pub(crate) fn apply(&self, method: &mut Method, handler: &mut Handler, terms: &mut Terms) {
        fn set<T: Copy>(place: &mut T, said: Option<T>) {
            *place = said.unwrap_or(*place);
        }
        set(&mut handler.inline, self.inline);
        set(&mut method.protocols, self.protocols);
        set(&mut method.max_receive, self.max_receive);
        set(&mut terms.max_send, self.max_send);
        set(&mut terms.compress_from, self.compress_from);
        #[cfg(feature = "json")]
        set(&mut terms.json, self.json);
    }
}

/// Whether a path is of the service or method that a pattern names; the empty one names all.
pub(crate) fn names(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_matches('/');
    match path.trim_start_matches('/').strip_prefix(pattern) {
        Some(rest) => pattern.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// How messages of a call are encoded and sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// In bytes as it travels.
    pub(crate) max_send: usize,
    /// In bytes before compression.
    pub(crate) compress_from: usize,
    #[cfg(feature = "json")]
    pub(crate) json: crate::JsonOptions,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_send: usize::MAX,
            compress_from: COMPRESS_FROM,
            #[cfg(feature = "json")]
            json: crate::JsonOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Router;

    #[test]
    fn patterns_name_services_and_methods() {
        for pattern in ["", "/", "a.B", "/a.B", "/a.B/", "a.B/C", "/a.B/C"] {
            assert!(names(pattern, "/a.B/C"), "{pattern}");
        }
        for pattern in ["a", "a.", "a.B/", "B/C", "/a.B/CD", "a.BC"] {
            assert_eq!(names(pattern, "/a.B/C"), pattern == "a.B/", "{pattern}");
        }
        assert!(names("prefix/a.B", "/prefix/a.B/C"));
    }

    // Whichever is said first, rules and methods meet; the last rule counts.
    #[test]
    fn rules_hold_for_what_they_name() {
        let add = |router: Router, path| router.unary(path, |_, message| async move { Ok(message) });
        let rule = |router: Router| router.offload("a.B").inline("a.B/D").rules("", Rules::new().max_send(7));
        let after = rule(add(add(add(Router::new(), "/a.B/C"), "/a.B/D"), "/a.C/C"));
        let before = add(add(add(rule(Router::new()), "/a.B/C"), "/a.B/D"), "/a.C/C");
        let merged = rule(Router::new()).merge(add(add(add(Router::new(), "/a.B/C"), "/a.B/D"), "/a.C/C"));
        for router in [after, before, merged] {
            for (path, inline) in [("/a.B/C", false), ("/a.B/D", true), ("/a.C/C", true)] {
                let entry = router.entry(router.find(path).unwrap());
                assert_eq!((entry.handler.inline, entry.terms.max_send), (inline, 7), "{path}");
            }
        }
    }
}
