//! From a path to the code of its method.

use core::hash::{BuildHasherDefault, Hasher};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use antiphon::rpc::{Method, Protocols, Shape};

use crate::interceptor::{Around, Erased};
use crate::observe::Observers;
use crate::rules::{Rules, Terms, names};
use crate::{Cors, Handler, Interceptor, Observer, Schema, Service};

/// The path with the slash in front that it may lack.
pub(crate) fn slashed(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(["/", path].concat()) }
}

/// What a server serves: a handler for each path. Cheap to clone; connections share it.
///
/// ```
/// use antiphon_service::{Bytes, Context, Router, handler};
///
/// let router = Router::new()
///     .unary("/greet.Greeter/Greet", |_: Context, name: Bytes| async move { Ok(name) })
///     .add("/greet.Greeter/Sleep", handler::blocking::unary(|_, request| Ok(request)));
/// assert_eq!(router.len(), 2);
/// ```
///
/// # What is not there
/// A call of gRPC or gRPC-Web to a path that nobody serves gets `unimplemented`, in its protocol's own words. In Connect
/// it gets the HTTP status 404 and nothing else, as the protocol has it: clients read that as `unimplemented` ("HTTP to
/// Error Code"). A content-type that does not fit the method gets 415, and the types that do in `Accept-Post`. Who wants
/// to answer calls to unknown paths otherwise has a [fallback](Router::fallback).
///
/// It routes calls and no pages: what is no call, such as `GET /`, gets 404 without a body. Whoever wants both on one port
/// puts a server of pages in front, or uses the rpc floor of the engine inside of that one.
#[derive(Clone, Default)]
pub struct Router {
    table: Arc<Table>,
}

#[derive(Clone, Default)]
struct Table {
    paths: HashMap<Box<str>, usize, BuildHasherDefault<PathHasher>>,
    entries: Vec<Entry>,
    schemas: Vec<&'static Schema>,
    interceptors: Vec<Arc<dyn Erased>>,
    observers: Vec<Arc<dyn Observer>>,
    rules: Vec<(Box<str>, Rules)>,
    /// The entry that serves all other paths.
    fallback: Option<usize>,
    cors: Option<Arc<Cors>>,
}

/// Hashes paths, eight bytes at once. The paths of a table are this side's own: a peer can only ask for one, and so has
/// nothing to gain by those that meet in a bucket.
#[derive(Clone, Copy, Default)]
struct PathHasher(u64);

impl PathHasher {
    fn add(&mut self, word: u64) {
        // Any odd number with its bits well mixed does: this is 2^64 by the golden ratio.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for PathHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, behind)) = rest.split_first_chunk() {
            self.add(u64::from_le_bytes(*word));
            rest = behind;
        }
        // What is left is looked at together with some that have been; of a short one each byte is.
        match bytes.last_chunk() {
            Some(word) => self.add(u64::from_le_bytes(*word)),
            None => bytes.iter().for_each(|byte| self.add(u64::from(*byte))),
        }
    }

    #[inline]
    fn write_u8(&mut self, _: u8) {
        // The end of a string, which is alone in its key.
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The high bits are the best mixed, and the map takes the low ones for its buckets.
        self.0.rotate_left(26)
    }
}

/// A registered method.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) method: Method,
    pub(crate) handler: Handler,
    pub(crate) terms: Terms,
    /// The interceptors of a router that was merged into this one: inside of this one's.
    inner: Vec<Arc<dyn Erased>>,
    /// All interceptors around it. `None` where there is none.
    pub(crate) around: Option<Around>,
    inner_observers: Vec<Arc<dyn Observer>>,
    pub(crate) observers: Option<Observers>,
}

impl Router {
    /// Without any method: every call is answered that it is not implemented.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `path` (`/package.Service/Method`; a missing slash in front is added) as `method` says. The last handler
    /// of a path counts.
    ///
    /// The method's shape is what the protocols check a call against. It may be any with a handler that streams both
    /// ways; other handlers fit their own shape.
    #[must_use]
    pub fn route(self, path: &str, method: Method, handler: Handler) -> Self {
        self.insert(path, Entry::new(method, handler))
    }

    fn insert(mut self, path: &str, mut entry: Entry) -> Self {
        let path = &*slashed(path);
        let table = Arc::make_mut(&mut self.table);
        entry.put_inside(&table.interceptors, &table.observers);
        entry.keep_rules(&table.rules, path);
        match table.paths.get(path) {
            Some(at) => table.entries[*at] = entry,
            None => {
                table.paths.insert(path.into(), table.entries.len());
                table.entries.push(entry);
            }
        }
        self
    }

    /// Serves `path` in the handler's own shape.
    #[must_use]
    pub fn add(self, path: &str, handler: Handler) -> Self {
        let method = Method::new(handler.shape());
        self.route(path, method, handler)
    }

    /// All methods of another router as well; its handlers count where both serve a path. Its interceptors and
    /// observers stay with its methods, inside of this one's. Its fallback and its [CORS](Router::cors) count where this one
    /// has none.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (path, at) in &other.table.paths {
            let mut entry = other.table.entries[*at].clone();
            entry.come_from(&other.table);
            self = self.insert(path, entry);
        }
        if let (Some(at), None) = (other.table.fallback, self.table.fallback) {
            let mut entry = other.table.entries[at].clone();
            entry.come_from(&other.table);
            self = self.put_fallback(entry);
        }
        if let (Some(cors), None) = (&other.table.cors, &self.table.cors) {
            Arc::make_mut(&mut self.table).cors = Some(Arc::clone(cors));
        }
        other.table.schemas.iter().fold(self, |router, schema| router.with_schema(schema))
    }

    /// All methods of a service, and the schema of their messages.
    #[must_use]
    pub fn add_service(self, service: impl Service) -> Self {
        service.register(self)
    }

    /// Puts an interceptor around every method of this router, those that are added later included. The first one
    /// added is the outermost.
    ///
    /// It runs when the handler would: for a method that takes one message, when the request is complete. A call of a
    /// path that nobody serves is answered without it.
    #[must_use]
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        let table = Arc::make_mut(&mut self.table);
        table.interceptors.push(Arc::new(interceptor));
        table.arrange();
        self
    }

    /// Tells an observer of the calls of every method of this router, those that are added later included.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        let table = Arc::make_mut(&mut self.table);
        table.observers.push(Arc::new(observer));
        table.arrange();
        self
    }

    /// Serves every path that nobody else serves: for proxies and gateways, and for an answer of one's own to a wrong
    /// path. The handler is raw. One that streams both ways ([`handler::bidi`](crate::handler::bidi)) takes calls of every
    /// shape, Connect's unary ones too if it sends one message; [`Context::method`](crate::Context::method) tells as much
    /// of the shape as the protocol does.
    ///
    /// ```
    /// use antiphon_service::{Bytes, Context, Receiver, Router, Sender, Status, handler};
    ///
    /// async fn echo(_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>) -> Result<(), Status> {
    ///     while let Some(message) = inbound.recv().await? {
    ///         outbound.send(message).await?;
    ///     }
    ///     Ok(())
    /// }
    /// let router = Router::new().fallback(handler::bidi(echo));
    /// # let _ = router;
    /// ```
    /// A proxy passes calls on as they are: in the same protocol and codec, with the time that is left, and both ways at
    /// once, since either side may speak first.
    ///
    /// ```
    /// use antiphon_service::{
    ///     Bytes, CallOptions, Client, Context, MethodCodecs, Protocol, Receiver, Router, Sender, Status, handler,
    /// };
    /// use futures_lite::future; // or the like: `select!` of a runtime will do
    ///
    /// async fn pass(
    ///     up: Client,
    ///     context: Context,
    ///     mut inbound: Receiver<Bytes>,
    ///     mut outbound: Sender<Bytes>,
    /// ) -> Result<(), Status> {
    ///     let options = CallOptions::from(&context)
    ///         .protocol(context.protocol().unwrap_or(Protocol::Connect))
    ///         .codec(context.codec())
    ///         .metadata(context.headers());
    ///     let raw = MethodCodecs::raw();
    ///     let (mut to, mut from) = up.open_with(context.procedure(), context.method(), &raw, options).await?;
    ///     let requests = async {
    ///         while let Some(message) = inbound.recv().await? {
    ///             if to.send(message).await.is_err() {
    ///                 break; // it has ended, and the other half tells how
    ///             }
    ///         }
    ///         to.close();
    ///         future::pending().await
    ///     };
    ///     let responses = async {
    ///         let headers = from.headers().await?;
    ///         context.update_headers(|ours| ours.extend_from(headers))?;
    ///         while let Some(message) = from.recv().await? {
    ///             outbound.send(message).await?;
    ///         }
    ///         context.update_trailers(|ours| ours.extend_from(from.trailers()))
    ///     };
    ///     future::or(responses, requests).await
    /// }
    ///
    /// fn proxy(up: Client) -> Router {
    ///     Router::new().fallback(handler::bidi(move |context, inbound, outbound| {
    ///         pass(up.clone(), context, inbound, outbound)
    ///     }))
    /// }
    /// # #[cfg(feature = "testing")] {
    /// # use antiphon_service::testing;
    /// # async fn greet(context: Context, name: Bytes) -> Result<Bytes, Status> {
    /// #     let tenant = context.headers().get("tenant").unwrap_or_default().to_owned();
    /// #     context.set_header("seen", &*tenant)?;
    /// #     if name.is_empty() { Err(Status::invalid_argument("nobody")) } else { Ok(name) }
    /// # }
    /// # let up = testing::channel(Router::new().unary("/a.B/Greet", greet));
    /// # let front = testing::channel(proxy(up.client()));
    /// # for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
    /// #     let options = || CallOptions::new().protocol(protocol).header("tenant", "blue").unwrap();
    /// #     let answer = testing::block_on(front.client().unary("/a.B/Greet", "Ann".into(), options())).unwrap();
    /// #     assert_eq!((&*answer.message, answer.headers.get("seen")), (&b"Ann"[..], Some("blue")));
    /// #     let status = testing::block_on(front.client().unary("/a.B/Greet", "".into(), options())).unwrap_err();
    /// #     assert_eq!(status.message(), "nobody");
    /// # }
    /// # }
    /// ```
    #[must_use]
    pub fn fallback(self, handler: Handler) -> Self {
        let method = Method::new(handler.shape());
        self.put_fallback(Entry::new(method, handler))
    }

    fn put_fallback(mut self, mut entry: Entry) -> Self {
        let table = Arc::make_mut(&mut self.table);
        entry.put_inside(&table.interceptors, &table.observers);
        entry.keep_rules(&table.rules, "");
        table.fallback = Some(table.entries.len());
        table.entries.push(entry);
        self
    }

    /// How calls of a service (`feed.v1.FeedService`) or a method (`/feed.v1.FeedService/Watch`) are served, or of all and
    /// of the fallback by an empty name; in this router's methods, those that are added later included. Where two say
    /// something of the same, the one that was said last counts.
    #[must_use]
    pub fn rules(mut self, pattern: &str, rules: Rules) -> Self {
        let table = Arc::make_mut(&mut self.table);
        for (path, at) in &table.paths {
            if names(pattern, path) {
                table.entries[*at].keep(&rules);
            }
        }
        if let Some(at) = table.fallback.filter(|_| names(pattern, "")) {
            table.entries[at].keep(&rules);
        }
        table.rules.push((pattern.into(), rules));
        self
    }

    /// [`Rules::offload`] for a service or method.
    #[must_use]
    pub fn offload(self, pattern: &str) -> Self {
        self.rules(pattern, Rules::new().offload())
    }

    /// [`Rules::inline`] for a service or method.
    #[must_use]
    pub fn inline(self, pattern: &str) -> Self {
        self.rules(pattern, Rules::new().inline())
    }

    /// [`Rules::protocols`] for all methods.
    #[must_use]
    pub fn protocols(self, protocols: Protocols) -> Self {
        self.rules("", Rules::new().protocols(protocols))
    }

    /// Lets scripts of web pages call this router.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        Arc::make_mut(&mut self.table).cors = Some(Arc::new(cors));
        self
    }

    /// Adds a schema to those that [`schemas`](Router::schemas) lists. It is there once, however often it is added.
    #[must_use]
    pub fn with_schema(mut self, schema: &'static Schema) -> Self {
        let known = &mut Arc::make_mut(&mut self.table).schemas;
        if !known.iter().any(|other| core::ptr::eq(*other, schema)) {
            known.push(schema);
        }
        self
    }

    /// The schemas of the services, in the order in which they were added: what reflection tells of.
    pub fn schemas(&self) -> &[&'static Schema] {
        &self.table.schemas
    }

    /// The names of the services, such as `feed.v1.FeedService`, sorted: what stands in front of the last part of each
    /// path.
    pub fn service_names(&self) -> Vec<&str> {
        let paths = self.table.paths.keys();
        let mut names: Vec<_> = paths.filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
        names.iter_mut().for_each(|name| *name = name.trim_start_matches('/'));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.table.paths.len()
    }

    /// Whether nothing is served.
    pub fn is_empty(&self) -> bool {
        self.table.paths.is_empty()
    }

    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.table.paths.get(path).copied().or(self.table.fallback)
    }

    pub(crate) fn is_fallback(&self, at: usize) -> bool {
        self.table.fallback == Some(at)
    }

    pub(crate) fn has_cors(&self) -> Option<&Cors> {
        self.table.cors.as_deref()
    }

    pub(crate) fn entry(&self, at: usize) -> &Entry {
        &self.table.entries[at]
    }
}

impl Table {
    fn arrange(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.put_inside(&self.interceptors, &self.observers));
    }
}

impl Entry {
    fn new(method: Method, handler: Handler) -> Self {
        let (inner, inner_observers) = (Vec::new(), Vec::new());
        Self {
            method,
            handler,
            terms: Terms::default(),
            inner,
            around: None,
            inner_observers,
            observers: None,
        }
    }

    fn keep_rules(&mut self, rules: &[(Box<str>, Rules)], path: &str) {
        rules.iter().filter(|(pattern, _)| names(pattern, path)).for_each(|(_, rules)| self.keep(rules));
    }

    fn keep(&mut self, rules: &Rules) {
        rules.apply(&mut self.method, &mut self.handler, &mut self.terms);
    }

    /// It was served by another router, whose interceptors and observers stay with it.
    fn come_from(&mut self, table: &Table) {
        self.inner.splice(..0, table.interceptors.iter().cloned());
        self.inner_observers.splice(..0, table.observers.iter().cloned());
    }

    fn put_inside(&mut self, interceptors: &[Arc<dyn Erased>], observers: &[Arc<dyn Observer>]) {
        let around: Around = interceptors.iter().chain(&self.inner).cloned().collect();
        self.around = Some(around).filter(|around| !around.is_empty());
        let observers: Observers = observers.iter().chain(&self.inner_observers).cloned().collect();
        self.observers = Some(observers).filter(|observers| !observers.is_empty());
    }

    /// The handler is called with the one message of the request, once that is complete.
    pub(crate) fn gathers(&self) -> bool {
        !matches!(self.handler.shape, Shape::ClientStream | Shape::Bidi)
    }
}

macro_rules! shorthands {
    ($($(#[$doc:meta])* $name:ident($($argument:ty),*) -> $result:ty;)*) => {
        impl Router {
            $($(#[$doc])*
            #[must_use]
            pub fn $name<F, R>(self, path: &str, handler: F) -> Self
            where
                F: Fn($($argument),*) -> R + Send + Sync + 'static,
                R: core::future::Future<Output = Result<$result, antiphon::Status>> + Send + 'static,
            {
                self.add(path, crate::handler::$name(handler))
            })*
        }
    };
}

shorthands! {
    /// Serves `path` with one message in and one out, raw.
    unary(crate::Context, bytes::Bytes) -> bytes::Bytes;
    /// Serves `path` with one message in and many out, raw.
    server_stream(crate::Context, bytes::Bytes, crate::Sender<bytes::Bytes>) -> ();
    /// Serves `path` with many messages in and one out, raw.
    client_stream(crate::Context, crate::Receiver<bytes::Bytes>) -> bytes::Bytes;
    /// Serves `path` with many messages in and many out, raw.
    bidi(crate::Context, crate::Receiver<bytes::Bytes>, crate::Sender<bytes::Bytes>) -> ();
}

impl core::fmt::Debug for Router {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut paths: Vec<_> = self.table.paths.keys().collect();
        paths.sort();
        f.debug_set().entries(paths).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_router_brings_what_this_one_lacks() {
        let other = || Router::new().fallback(fallback()).cors(Cors::any());
        let merged = Router::new().merge(other());
        assert!(merged.has_cors().is_some() && merged.find("/any.Service/Method").is_some());
        let own = Router::new().fallback(fallback()).cors(Cors::any());
        let (at, cors) = (own.find("/any.Service/Method"), own.table.cors.clone());
        let merged = own.merge(other());
        assert_eq!(merged.find("/any.Service/Method"), at);
        assert!(Arc::ptr_eq(merged.table.cors.as_ref().unwrap(), cors.as_ref().unwrap()));
    }

    #[test]
    fn paths_are_found_however_long_they_are() {
        let path =
            |length: usize| format!("/{}", "a.B/C.de".chars().cycle().take(length).collect::<String>());
        let served: Vec<_> = (0..40).map(path).collect();
        let router = served.iter().fold(Router::new(), |router, path| router.add(path, fallback()));
        for (at, path) in served.iter().enumerate() {
            assert_eq!(router.find(path), Some(at), "{path}");
            assert_eq!(router.find(&format!("{path}x")), None, "{path}");
        }
    }

    fn fallback() -> Handler {
        crate::handler::blocking::unary(|_, request| Ok(request))
    }
}
