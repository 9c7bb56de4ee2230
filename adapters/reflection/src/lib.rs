//! The reflection protocol of gRPC, `grpc.reflection.v1` and `v1alpha`: grpcurl, buf curl and their kind ask by it what
//! a server serves, and call it without a .proto file at hand.
//!
//! ```
//! use antiphon_reflection::Reflection;
//! use antiphon_service::{Bytes, Context, Router};
//!
//! let router = Router::new()
//!     .unary("/demo.Choir/Greet", |_: Context, name: Bytes| async move { Ok(name) })
//!     .add_service(Reflection::new()); // the last: it tells of what was there before
//! # assert_eq!(router.service_names(), [
//! #     "demo.Choir", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"
//! # ]);
//! ```
//!
//! ```sh
//! grpcurl -plaintext 127.0.0.1:8080 list
//! grpcurl -plaintext 127.0.0.1:8080 describe feed.v1.FeedService
//! grpcurl -plaintext -d '{"topic": "news"}' 127.0.0.1:8080 feed.v1.FeedService/Watch
//! ```
//!
//! # What is told
//! All services of the router are listed, and reflection itself. What their messages are made of comes from the
//! schemas that generated services bring along ([`Router::with_schema`] adds others); a service without one is listed
//! and can be called, but not described. Files are told of as they are in the schemas, whatever syntax they are
//! written in; one that stands in several schemas is one file. Two different files of one name cannot both be told of:
//! the first counts, and who asks for what is only in the other learns which name clashes. A schema that cannot be
//! read fails the questions that nothing else answers.
//!
//! Schemas are read when the first question comes, once, and until then nothing is.
//!
//! Everybody who can call the server can ask. To keep a service to those who know of it, add it after reflection. A
//! router's interceptors stand around reflection as well: one that wants a token wants it of grpcurl too. To leave
//! reflection outside, wrap the router:
//!
//! ```
//! # use antiphon_reflection::Reflection;
//! # use antiphon_service::Router;
//! # fn open(router: Router) -> Router {
//! Router::new().merge(router).add_service(Reflection::new())
//! # }
//! ```
//!
//! A client asks with [`v1::ServerReflectionClient`].
#![forbid(unsafe_code)]

mod answers;
mod index;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use antiphon_service::{Context, Method, Receiver, Router, Schema, Sender, Service, Shape, Status, handler};

use answers::Session;
use index::Index;
use v1::{ServerReflectionRequest, ServerReflectionResponse};

/// The protocol's messages and clients, generated from `proto/grpc/reflection/v1/reflection.proto`. The messages are
/// those of `v1alpha` as well: the two differ in the names of their packages alone.
pub mod v1 {
    include!("generated/grpc.reflection.v1.rs");
}

static V1ALPHA_SCHEMA: Schema = Schema::new(include_bytes!("generated/grpc.reflection.v1alpha.bin"));

/// Both versions, by their packages.
static VERSIONS: [(&str, &Schema); 2] =
    [("grpc.reflection.v1", &v1::SCHEMA), ("grpc.reflection.v1alpha", &V1ALPHA_SCHEMA)];

/// The largest request that is answered, in bytes: it holds some names, and the answer repeats them.
const MOST_OF_A_REQUEST: usize = 16 << 10;

/// The reflection service. It tells of what is in the router when it is added: add it last.
///
/// See the [front page](crate).
#[derive(Clone, Debug, Default)]
pub struct Reflection {
    _private: (),
}

impl Reflection {
    /// Both versions of it.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Service for Reflection {
    fn register(self, router: Router) -> Router {
        let knowledge = Arc::new(Knowledge::new(&router));
        VERSIONS.iter().fold(router, |router, (package, schema)| {
            let name = |part: &str| format!("{package}.ServerReflection{part}");
            let codecs = schema.method(&name("Request"), &name("Response"));
            let knowledge = Arc::clone(&knowledge);
            let answer =
                move |_: Context, inbound, outbound| answer(Arc::clone(&knowledge), inbound, outbound);
            let path = format!("/{}/ServerReflectionInfo", name(""));
            let mut method = Method::new(Shape::Bidi);
            method.max_receive = MOST_OF_A_REQUEST;
            router.route(&path, method, handler::bidi_with(codecs, answer)).with_schema(schema)
        })
    }
}

/// What a router had when reflection was added to it.
struct Knowledge {
    services: Vec<String>,
    schemas: Vec<&'static Schema>,
    /// Made when it is needed.
    index: OnceLock<Index>,
}

impl Knowledge {
    fn new(router: &Router) -> Self {
        let mut services: Vec<String> = router.service_names().into_iter().map(str::to_owned).collect();
        let mut schemas = router.schemas().to_vec();
        for (package, schema) in &VERSIONS {
            services.push(format!("{package}.ServerReflection"));
            schemas.push(schema);
        }
        services.sort_unstable();
        services.dedup();
        Self { services, schemas, index: OnceLock::new() }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let sets = self.schemas.iter().map(|schema| schema.file_descriptor_set());
            Index::new(self.services.clone(), sets)
        })
    }
}

async fn answer(
    knowledge: Arc<Knowledge>,
    mut inbound: Receiver<ServerReflectionRequest>,
    mut outbound: Sender<ServerReflectionResponse>,
) -> Result<(), Status> {
    let mut session = Session::new(knowledge.index());
    while let Some(request) = inbound.recv().await? {
        outbound.send(session.answer(request)).await?;
    }
    Ok(())
}
