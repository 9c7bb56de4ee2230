//! The texts of what is generated, with `$names` for what differs. They are laid out again afterwards.

pub(super) const SERVICE: &str = "
$docs
pub trait $Service: ::core::marker::Send + ::core::marker::Sync + 'static {
    $methods
}
";

pub(super) const ASYNC_METHOD: &str = r#"
$method_docs
fn $name(
    &self,
    context: &$runtime::Context,
    $parameters
) -> impl ::core::future::Future<Output = ::core::result::Result<$Reply, $runtime::Status>> + ::core::marker::Send {
    let _ = (context, $arguments);
    ::core::future::ready(Err($runtime::Status::unimplemented("$path is not implemented")))
}
"#;

pub(super) const BLOCKING_METHOD: &str = r#"
$method_docs
fn $name(
    &self,
    context: &$runtime::Context,
    $parameters
) -> ::core::result::Result<$Reply, $runtime::Status> {
    let _ = (context, $arguments);
    Err($runtime::Status::unimplemented("$path is not implemented"))
}
"#;

pub(super) const ASYNC_SERVER: &str = r#"
/// Serves `$full`: what a router takes.
pub struct $Server<T> {
    service: ::std::sync::Arc<T>,
    offload: bool,
}

impl<T> $Server<T> {
    /// The name of the service, with its package.
    pub const NAME: &str = "$full";

    /// Serves with this handler.
    pub fn new(service: T) -> Self {
        Self::from_arc(::std::sync::Arc::new(service))
    }

    /// Serves with a handler that others share.
    pub fn from_arc(service: ::std::sync::Arc<T>) -> Self {
        Self { service, offload: false }
    }

    /// Gives each call a task of its own at once: for handlers that compute for long before their first await, which
    /// would stall the other calls of their connection.
    #[must_use]
    pub fn offload(self) -> Self {
        Self { offload: true, ..self }
    }

    /// Polls each call once where its request was read, and gives only a pending one a task. So it is from the start.
    #[must_use]
    pub fn inline(self) -> Self {
        Self { offload: false, ..self }
    }
}

impl<T> ::core::clone::Clone for $Server<T> {
    fn clone(&self) -> Self {
        Self { service: ::std::sync::Arc::clone(&self.service), offload: self.offload }
    }
}

impl<T> ::core::fmt::Debug for $Server<T> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("$Server").field("offload", &self.offload).finish_non_exhaustive()
    }
}

impl<T: $Service> $runtime::Service for $Server<T> {
    fn register(self, router: $runtime::Router) -> $runtime::Router {
        $prepare
        $routes
        router.with_schema(&SCHEMA)
    }
}
"#;

pub(super) const ASYNC_PREPARE: &str = "
let Self { service, offload } = self;
let place = |handler: $runtime::Handler| if offload { handler.offload() } else { handler };
let codecs = $Codecs::new();
";

pub(super) const ASYNC_ROUTE: &str = r#"
let router = router.route("$path", $method, {
    let service = ::std::sync::Arc::clone(&service);
    place($runtime::handler::$function(codecs.$name, move |context: $runtime::Context, $arguments| {
        let service = ::std::sync::Arc::clone(&service);
        async move { <T as $Service>::$name(&service, &context, $arguments).await }
    }))
});
"#;

pub(super) const BLOCKING_SERVER: &str = r#"
/// Serves `$full` on worker threads: what a router takes.
pub struct $Server<T> {
    service: ::std::sync::Arc<T>,
}

impl<T> $Server<T> {
    /// The name of the service, with its package.
    pub const NAME: &str = "$full";

    /// Serves with this handler.
    pub fn new(service: T) -> Self {
        Self::from_arc(::std::sync::Arc::new(service))
    }

    /// Serves with a handler that others share.
    pub fn from_arc(service: ::std::sync::Arc<T>) -> Self {
        Self { service }
    }
}

impl<T> ::core::clone::Clone for $Server<T> {
    fn clone(&self) -> Self {
        Self { service: ::std::sync::Arc::clone(&self.service) }
    }
}

impl<T> ::core::fmt::Debug for $Server<T> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("$Server").finish_non_exhaustive()
    }
}

impl<T: $Service> $runtime::Service for $Server<T> {
    fn register(self, router: $runtime::Router) -> $runtime::Router {
        $prepare
        $routes
        router.with_schema(&SCHEMA)
    }
}
"#;

pub(super) const BLOCKING_PREPARE: &str = "
let Self { service } = self;
let codecs = $Codecs::new();
";

pub(super) const BLOCKING_ROUTE: &str = r#"
let router = router.route("$path", $method, {
    let service = ::std::sync::Arc::clone(&service);
    $runtime::handler::blocking::$function(codecs.$name, move |context: $runtime::Context, $arguments| {
        <T as $Service>::$name(&service, &context, $arguments)
    })
});
"#;

pub(super) const CLIENT: &str = r#"
/// A client of `$full`. Cheap to clone.
///
$docs
#[derive(Clone)]
pub struct $Client {
    client: $Connection,
    codecs: ::std::sync::Arc<$Codecs>,
}

impl $Client {
    /// The name of the service, with its package.
    pub const NAME: &str = "$full";

    /// Calls the service by this client of its connection.
    pub fn new(client: $Connection) -> Self {
        Self { client, codecs: ::std::sync::Arc::new($Codecs::new()) }
    }

    /// A view of this client whose calls have these options: a deadline, headers, a protocol.
    #[must_use]
    pub fn with(&self, options: impl ::core::convert::Into<$runtime::CallOptions>) -> Self {
        Self { client: self.client.with(options), codecs: ::std::sync::Arc::clone(&self.codecs) }
    }

    /// The client of the connection.
    pub fn client(&self) -> &$Connection {
        &self.client
    }

    $calls
}

impl ::core::fmt::Debug for $Client {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("$Client").field("client", &self.client).finish_non_exhaustive()
    }
}
"#;

pub(super) const CALL_UNARY: &str = r#"
$method_docs
pub $async fn $client_name(
    &self,
    request: $Request,
) -> ::core::result::Result<$runtime::Response<$Response>, $runtime::Status> {
    let options = $runtime::CallOptions::new();
    self.client.unary_with("$path", $method, &self.codecs.$name, request, options)$wait
}
"#;

pub(super) const CALL_SERVER_STREAM: &str = r#"
$method_docs
pub $async fn $client_name(
    &self,
    request: $Request,
) -> ::core::result::Result<$runtime::Receiver<$Response $half>, $runtime::Status> {
    let options = $runtime::CallOptions::new();
    self.client.server_stream_with("$path", $method, &self.codecs.$name, request, options)$wait
}
"#;

pub(super) const CALL_CLIENT_STREAM: &str = r#"
$method_docs
pub $async fn $client_name(
    &self,
) -> ::core::result::Result<$runtime::ClientStream<$Request, $Response $half>, $runtime::Status> {
    let options = $runtime::CallOptions::new();
    self.client.client_stream_with("$path", $method, &self.codecs.$name, options)$wait
}
"#;

pub(super) const CALL_BIDI: &str = r#"
$method_docs
pub $async fn $client_name(
    &self,
) -> ::core::result::Result<$runtime::BidiStream<$Request, $Response $half>, $runtime::Status> {
    let options = $runtime::CallOptions::new();
    self.client.bidi_with("$path", $method, &self.codecs.$name, options)$wait
}
"#;

pub(super) const CODECS: &str = "
/// The codecs of the methods of `$full`.
struct $Codecs {
    $fields
}

impl $Codecs {
    fn new() -> Self {
        Self { $values }
    }
}
";

pub(super) const CODECS_FIELD: &str = "
$name: $runtime::MethodCodecs<$Request, $Response>,
";

pub(super) const CODECS_VALUE: &str = r#"
$name: SCHEMA.method("$request_name", "$response_name"),
"#;

pub(super) const BLOCKING_MODULE: &str = "
/// The same services for threads: handlers that block, and clients that wait.
$cfg
pub mod $name {
    #[allow(unused_imports)]
    use super::*;

    $text
}
";
