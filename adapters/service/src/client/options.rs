//! What a caller can say about a call.

use core::time::Duration;

use antiphon::rpc::Protocol;
use antiphon::{Instant, IntoValue, Metadata, Misuse};

use crate::Context;

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

    /// Uses HTTP GET where Connect allows it: unary methods without side effects. Default: no.
    #[must_use]
    pub fn use_get(mut self, use_get: bool) -> Self {
        self.use_get = Some(use_get);
        self
    }

    /// Adds a header to the request. A name that ends in `-bin` takes bytes.
    ///
    /// # Errors
    /// [`Misuse::InvalidMetadata`] for a name or value that may not be sent.
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

    /// These options, and where they say nothing, those of `base`. The headers of both are sent.
    pub(crate) fn over(mut self, base: &Self) -> Self {
        self.protocol = self.protocol.or(base.protocol);
        self.codec = self.codec.or_else(|| base.codec.clone());
        self.timeout = self.timeout.or(base.timeout);
        self.deadline = match (self.deadline, base.deadline) {
            (Some(mine), Some(base)) => Some(mine.min(base)),
            (mine, base) => mine.or(base),
        };
        self.coding = self.coding.or_else(|| base.coding.clone());
        self.use_get = self.use_get.or(base.use_get);
        if !base.metadata.is_empty() {
            let mine = core::mem::replace(&mut self.metadata, base.metadata.clone());
            self.metadata.extend_from(&mine);
        }
        self
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
