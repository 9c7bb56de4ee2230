//! What a caller can say about a call.

use core::time::Duration;

use antiphon::rpc::{Method, Protocol};
use antiphon::{Instant, IntoValue, Metadata, Misuse};

use crate::Context;
use crate::rules::Terms;

/// What a caller can say about a call. Whatever is not said is the client's default.
///
/// ```
/// use antiphon_service::CallOptions;
/// use core::time::Duration;
///
/// let options = CallOptions::new().timeout(Duration::from_secs(5)).header("tenant", "blue")?;
/// # Ok::<(), antiphon_service::Misuse>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) codec: Option<Box<str>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) coding: Option<Option<Box<str>>>,
    pub(crate) use_get: Option<bool>,
    pub(crate) metadata: Metadata,
    max_receive: Option<usize>,
    max_send: Option<usize>,
    compress_from: Option<usize>,
    #[cfg(feature = "json")]
    json: Option<crate::JsonOptions>,
}

impl CallOptions {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// The protocol to speak. Default: Connect.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// The name of the codec. Default: `proto`.
    #[must_use]
    pub fn codec(mut self, name: &str) -> Self {
        self.codec = Some(name.into());
        self
    }

    /// The time that the call may take, waiting for a slot included. Default: for ever.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When the call's time is up, on the connection's own clock. The sooner of it and the
    /// [timeout](CallOptions::timeout) counts.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Compresses the messages that are sent with this coding of the connection's, such as `gzip`; with `None`, none.
    /// Default: none.
    #[must_use]
    pub fn coding(mut self, name: Option<&str>) -> Self {
        self.coding = Some(name.map(Into::into));
        self
    }

    /// The smallest message that is compressed, in bytes, if there is a [coding](CallOptions::coding). Default: 1,024.
    /// [`Sender::compress`](crate::Sender::compress) switches it off for single messages.
    #[must_use]
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.compress_from = Some(bytes);
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
    /// default. A larger one is not sent; whoever sends it gets `resource_exhausted`.
    #[must_use]
    pub fn max_send(mut self, bytes: usize) -> Self {
        self.max_send = Some(bytes);
        self
    }

    /// How messages are read from JSON and written to it. Default: strict.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn json(mut self, options: crate::JsonOptions) -> Self {
        self.json = Some(options);
        self
    }

    /// Uses HTTP GET where Connect allows it: unary methods without side effects. Default: no.
    #[must_use]
    pub fn use_get(mut self, use_get: bool) -> Self {
        self.use_get = Some(use_get);
        self
    }

    /// Adds a header to the request. A name that ends in `-bin` takes bytes.
    ///
    /// # Errors
    /// As [`Metadata::append`](antiphon::Metadata::append): for a name or value that may not be sent.
    pub fn header(mut self, name: &str, value: impl IntoValue) -> Result<Self, Misuse> {
        self.metadata.append(name, value)?;
        Ok(self)
    }

    /// Adds headers to the request.
    #[must_use]
    pub fn metadata(mut self, metadata: &Metadata) -> Self {
        self.metadata.extend_from(metadata);
        self
    }

    pub(crate) fn terms(&self) -> Terms {
        let default = Terms::default();
        Terms {
            max_send: self.max_send.unwrap_or(default.max_send),
            compress_from: self.compress_from.unwrap_or(default.compress_from),
            #[cfg(feature = "json")]
            json: self.json.unwrap_or_default(),
        }
    }

    /// The method with what these options say of it.
    pub(crate) fn limited(&self, mut method: Method) -> Method {
        method.max_receive = self.max_receive.unwrap_or(method.max_receive);
        method
    }

    /// These options, and where they say nothing, those of `base`. The headers of both are sent.
    pub(crate) fn over(mut self, base: &Self) -> Self {
        self.inherit(base);
        self
    }

    /// Says what these options do not say as `base` does. The headers of both are sent.
    pub(crate) fn inherit(&mut self, base: &Self) {
        self.protocol = self.protocol.or(base.protocol);
        if self.codec.is_none() {
            self.codec.clone_from(&base.codec);
        }
        self.timeout = self.timeout.or(base.timeout);
        self.deadline = match (self.deadline, base.deadline) {
            (Some(mine), Some(base)) => Some(mine.min(base)),
            (mine, base) => mine.or(base),
        };
        if self.coding.is_none() {
            self.coding.clone_from(&base.coding);
        }
        self.use_get = self.use_get.or(base.use_get);
        self.max_receive = self.max_receive.or(base.max_receive);
        self.max_send = self.max_send.or(base.max_send);
        self.compress_from = self.compress_from.or(base.compress_from);
        #[cfg(feature = "json")]
        {
            self.json = self.json.or(base.json);
        }
        if !base.metadata.is_empty() {
            let mine = core::mem::replace(&mut self.metadata, base.metadata.clone());
            self.metadata.extend_from(&mine);
        }
    }
}

/// The time that the call may take.
impl From<Duration> for CallOptions {
    fn from(timeout: Duration) -> Self {
        Self::new().timeout(timeout)
    }
}

/// The time that is left to a handler's own call. Its headers are not passed on.
impl From<&Context> for CallOptions {
    fn from(context: &Context) -> Self {
        Self { timeout: context.time_left(), ..Self::default() }
    }
}
