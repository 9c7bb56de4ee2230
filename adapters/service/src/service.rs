//! What generated code registers.

use crate::Router;

/// A service that can be served: what generated code makes of a user's implementation.
///
/// ```
/// use antiphon_service::{Bytes, Context, Router, Service};
///
/// struct Echo;
///
/// impl Service for Echo {
///     fn register(self, router: Router) -> Router {
///         router.unary("/echo.v1.Echo/Unary", |_: Context, request: Bytes| async move { Ok(request) })
///     }
/// }
///
/// let router = Router::new().add_service(Echo);
/// assert_eq!(router.service_names(), ["echo.v1.Echo"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served as it is",
    label = "this is no `Service`",
    note = "an implementation of a generated trait `Name` is served as `NameServer::new(…)`"
)]
pub trait Service {
    /// Adds its methods, and the schema of their messages, to a router.
    #[must_use]
    fn register(self, router: Router) -> Router;
}
