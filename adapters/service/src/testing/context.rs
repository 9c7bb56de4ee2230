//! A handler's context that the test holds the other end of.

use core::ops::Deref;
use core::time::Duration;
use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Protocol};
use antiphon::{CallId, End, Instant, IntoValue, Metadata};

use super::halves::{Feed, Sent};
use super::loose::{Incoming, Loose, Outgoing, Queue};
use crate::call::Call;
use crate::{Context, Peer, Receiver, Sender};

/// A context of a call that is nowhere: without headers, deadline or a known peer, until the test says otherwise.
///
/// ```
/// use antiphon_service::{Context, Status, testing};
///
/// async fn greet(context: &Context, name: String) -> Result<String, Status> {
///     context.set_trailer("tenant", context.headers().get("tenant").unwrap_or("none"))?;
///     Ok(format!("Hello, {name}"))
/// }
///
/// let context = testing::context().with_header("tenant", "blue");
/// testing::block_on(greet(&context, "Ada".to_owned()))?;
/// assert_eq!(context.response_trailers().get("tenant"), Some("blue"));
/// # Ok::<(), Status>(())
/// ```
pub fn context() -> TestContext {
    TestContext::build(Setup {
        procedure: "/test.Test/Test".to_owned(),
        codec: "proto".to_owned(),
        protocol: Protocol::Connect,
        version: HttpVersion::Http2,
        timeout: None,
        headers: Metadata::new(),
        peer: Peer::unknown(),
    })
}

/// A handler's [`Context`], which it derefs to, with what only the test may do: say what came with the request, read
/// what was set for the response, and end the call.
///
/// Halves made of it belong to its call: a [cancel](TestContext::cancel) ends them, and the first message that is sent
/// sends the headers. Set it up with the methods `with_…` first: each of them makes it a new call.
pub struct TestContext {
    setup: Setup,
    link: Arc<Loose>,
    call: Arc<Call>,
    context: Context,
}

#[derive(Clone)]
struct Setup {
    procedure: String,
    codec: String,
    protocol: Protocol,
    version: HttpVersion,
    timeout: Option<Duration>,
    headers: Metadata,
    peer: Peer,
}

impl TestContext {
    fn build(setup: Setup) -> Self {
        let deadline = setup.timeout.map(|timeout| Instant::EPOCH + timeout);
        let link = Arc::new(Loose::new(setup.peer.clone(), setup.version, deadline));
        let mut call = Call::new(Arc::clone(&link) as _, CallId { index: 0, generation: 0 }, false);
        call.procedure.clone_from(&setup.procedure);
        call.codec.clone_from(&setup.codec);
        call.protocol = Some(setup.protocol);
        call.version = setup.version;
        call.deadline = deadline;
        call.headers = setup.headers.clone();
        let call = Arc::new(call);
        Self { setup, link, context: Context::new(Arc::clone(&call)), call }
    }

    fn rebuilt(self, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = self.setup;
        change(&mut setup);
        Self::build(setup)
    }

    /// A header of the request. A name that ends in `-bin` takes bytes.
    ///
    /// # Panics
    /// For a name or value that may not be sent.
    #[must_use]
    #[track_caller]
    pub fn with_header(self, name: &str, value: impl IntoValue) -> Self {
        let mut headers = self.setup.headers.clone();
        if let Err(misuse) = headers.append(name, value) {
            panic!("the header {name:?} cannot be sent: {misuse}");
        }
        self.rebuilt(|setup| setup.headers = headers)
    }

    /// The time that the call may take, from now on.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.rebuilt(|setup| setup.timeout = Some(timeout))
    }

    /// Who is at the other end.
    #[must_use]
    pub fn with_peer(self, peer: impl Into<Peer>) -> Self {
        self.rebuilt(|setup| setup.peer = peer.into())
    }

    /// The path of the call, such as `/package.Service/Method`. Default: `/test.Test/Test`.
    #[must_use]
    pub fn with_procedure(self, procedure: &str) -> Self {
        self.rebuilt(|setup| procedure.clone_into(&mut setup.procedure))
    }

    /// The protocol that the client speaks. Default: Connect.
    #[must_use]
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        self.rebuilt(|setup| setup.protocol = protocol)
    }

    /// The version of HTTP below it. Default: HTTP/2.
    #[must_use]
    pub fn with_http_version(self, version: HttpVersion) -> Self {
        self.rebuilt(|setup| setup.version = version)
    }

    /// The name of the codec, such as `json`. Default: `proto`.
    #[must_use]
    pub fn with_codec(self, name: &str) -> Self {
        self.rebuilt(|setup| name.clone_into(&mut setup.codec))
    }

    /// A receiver of this call: these messages, and a clean end. A context has one receiver.
    pub fn receiver<T: Send + 'static, W>(&self, messages: Vec<T>) -> Receiver<T, W> {
        let (feed, receiver) = self.feed();
        messages.into_iter().for_each(|message| feed.send(message));
        feed.close();
        receiver
    }

    /// A receiver of this call that the test feeds as it goes. A context has one receiver.
    pub fn feed<T: Send + 'static, W>(&self) -> (Feed<T>, Receiver<T, W>) {
        let queue = Arc::new(Queue::new([]));
        let codec = Arc::new(Incoming(Arc::clone(&queue)));
        let receiver = Receiver::new(Arc::clone(&self.call), codec, Default::default());
        (Feed::new(Arc::clone(&self.link), queue), receiver)
    }

    /// A sender of this call, and where the test finds what was sent. A context has one sender.
    pub fn sender<T: Clone + Send + 'static, W>(&self) -> (Sender<T, W>, Sent<T>) {
        let queue = Arc::new(Queue::new([]));
        let commit = Arc::clone(&queue);
        self.link.set_commit(Arc::new(move |sent| commit.commit(sent)));
        let sender = Sender::new(Arc::clone(&self.call), Arc::new(Outgoing(Arc::clone(&queue))));
        (sender, Sent::new(Arc::clone(&self.link), queue))
    }

    /// The headers that were set for the response.
    pub fn response_headers(&self) -> Metadata {
        self.call.outgoing().headers.clone()
    }

    /// Whether the response headers have been sent: by the first message, or because the handler said so.
    pub fn headers_sent(&self) -> bool {
        self.link.headers_sent()
    }

    /// The trailers that were set for the response.
    pub fn response_trailers(&self) -> Metadata {
        self.call.outgoing().trailers.clone()
    }

    /// Lets time pass for this call. When its deadline passes, the call ends.
    pub fn advance(&self, by: Duration) {
        self.link.advance(by);
    }

    /// The client gives the call up.
    ///
    /// A server would drop an async handler now; a test drops its future itself. A blocking handler meets it at its
    /// next `send`, or at its next `recv` when all messages have been received.
    pub fn cancel(&self) {
        self.link.end(End::Cancelled { reset: None });
    }

    /// The connection is lost.
    pub fn lose(&self) {
        self.link.end(End::Lost);
    }
}

impl Deref for TestContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl core::fmt::Debug for TestContext {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("TestContext").field(&self.context).finish()
    }
}
