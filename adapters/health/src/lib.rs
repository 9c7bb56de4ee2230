//! The health checking protocol of gRPC, `grpc.health.v1`: load balancers, orchestrators and clients ask by it whether
//! a server and its services are well.
//!
//! ```
//! use antiphon_health::{Health, ServingStatus};
//! use antiphon_service::{Bytes, Context, Router};
//!
//! let router = Router::new().unary("/demo.Choir/Greet", |_: Context, name: Bytes| async move { Ok(name) });
//! let health = Health::of(&router); // the server as a whole and demo.Choir: serving
//! let router = router.add_service(health.clone());
//!
//! health.set("demo.Choir", ServingStatus::NotServing); // and whoever watches it is told
//! # assert_eq!(router.service_names(), ["demo.Choir", "grpc.health.v1.Health"]);
//! ```
//!
//! Servers of every kind take it, async and blocking ones. On a blocking server each `Watch` parks a thread of the
//! pool, as every stream does.
//!
//! A client asks with [`v1::HealthClient`] or [`v1::blocking::HealthClient`]:
//!
//! ```
//! # async fn ask(client: antiphon_service::Client) -> Result<(), antiphon_service::Status> {
//! use antiphon_health::v1::{HealthCheckRequest, HealthClient};
//!
//! let request = HealthCheckRequest { service: "demo.Choir".into() };
//! let mut states = HealthClient::new(client).watch(request).await?;
//! while let Some(state) = states.recv().await? {
//!     println!("{:?}", state.status());
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod registry;

use std::collections::HashMap;
use std::sync::Arc;

use antiphon_service::{Context, Router, Rules, Sender, Service, Shutdown, Status};

use registry::{Registry, Watcher};
use v1::health_check_response::ServingStatus as Wire;
use v1::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, HealthServer};

/// The protocol's messages, clients and service traits, generated from `proto/grpc/health/v1/health.proto`.
pub mod v1 {
    include!("generated/grpc.health.v1.rs");
}

/// The largest request that is answered, in bytes: it holds the name of one service.
const MOST_OF_A_REQUEST: usize = 4 << 10;

/// How a service is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ServingStatus {
    /// Calls are welcome.
    Serving,
    /// Calls should go elsewhere. They are served as ever: this tells clients, and refuses nothing.
    NotServing,
}

/// What a server says of its services' health, and the service that says it: add it to a router, and keep a clone to
/// change what it says. Cheap to clone; all clones are one.
///
/// Services go by their full names, such as `feed.v1.FeedService` (generated servers have it as `NAME`); the empty
/// name stands for the server as a whole. No name depends on another. What is said of a name can be changed from any
/// thread at any time; whoever watches it is told then, and nobody asks at intervals. A client that reads slower than
/// the name changes misses what lay between, never the last.
#[derive(Clone, Debug)]
pub struct Health {
    registry: Arc<Registry>,
}

impl Health {
    /// The server as a whole serves; of its services nothing is known.
    pub fn new() -> Self {
        let health = Self { registry: Arc::default() };
        health.set("", ServingStatus::Serving);
        health
    }

    /// The server as a whole serves, and each service of the router.
    pub fn of(router: &Router) -> Self {
        let health = Self::new();
        for service in router.service_names() {
            health.set(service, ServingStatus::Serving);
        }
        health
    }

    /// Says how a service is, or by the empty name the server as a whole. After [`shutdown`](Health::shutdown) it does
    /// nothing.
    pub fn set(&self, service: &str, status: ServingStatus) {
        self.registry.set(service, Some(status));
    }

    /// Forgets a service: from now on it is unknown. After [`shutdown`](Health::shutdown) it does nothing.
    pub fn remove(&self, service: &str) {
        self.registry.set(service, None);
    }

    /// How a service is, or by the empty name the server as a whole. `None` when nothing is known of it.
    pub fn get(&self, service: &str) -> Option<ServingStatus> {
        self.registry.get(service)
    }

    /// Says of everything that it does not serve, for good. Who watches is told, and then its call ends
    /// `unavailable`: a server that waits for its open calls would wait for these forever.
    pub fn shutdown(&self) {
        self.registry.shutdown();
    }

    /// Has [`shutdown`](Health::shutdown) happen when the server begins to end: at [`Shutdown::drain`] or
    /// [`Shutdown::abort`].
    ///
    /// ```
    /// use antiphon_health::{Health, ServingStatus};
    /// use antiphon_service::Shutdown;
    ///
    /// let (health, shutdown) = (Health::new(), Shutdown::new()); // or a server's own: `server.shutdown()`
    /// health.follow(&shutdown);
    /// shutdown.drain();
    /// assert_eq!(health.get(""), Some(ServingStatus::NotServing));
    /// ```
    pub fn follow(&self, shutdown: &Shutdown) {
        let health = self.clone();
        shutdown.on_drain(move || health.shutdown());
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Service for Health {
    fn register(self, router: Router) -> Router {
        // The name in a request is kept as long as it is watched.
        let rules = Rules::new().max_receive(MOST_OF_A_REQUEST);
        HealthServer::new(self).register(router).rules(HealthServer::<Self>::NAME, rules)
    }
}

impl v1::Health for Health {
    async fn check(&self, _: &Context, request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
        match self.get(&request.service) {
            Some(status) => Ok(response(Some(status))),
            None => Err(Status::not_found("nothing is known of the health of a service of this name")),
        }
    }

    async fn list(&self, _: &Context, _: HealthListRequest) -> Result<HealthListResponse, Status> {
        let statuses: HashMap<_, _> =
            self.registry.all().map(|(name, status)| (name, response(Some(status)))).collect();
        Ok(HealthListResponse { statuses })
    }

    async fn watch(
        &self,
        _: &Context,
        request: HealthCheckRequest,
        mut outbound: Sender<HealthCheckResponse>,
    ) -> Result<(), Status> {
        let mut watcher = Watcher::new(Arc::clone(&self.registry), &request.service);
        while let Some(status) = watcher.changed().await {
            outbound.send(response(status)).await?;
        }
        Err(Status::unavailable("the server is shutting down"))
    }
}

fn response(status: Option<ServingStatus>) -> HealthCheckResponse {
    let status = match status {
        Some(ServingStatus::Serving) => Wire::Serving,
        Some(ServingStatus::NotServing) => Wire::NotServing,
        None => Wire::ServiceUnknown,
    };
    HealthCheckResponse { status: status.into() }
}
