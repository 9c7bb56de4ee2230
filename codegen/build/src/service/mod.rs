//! What is generated for a service: a trait, a server and a client, for tasks and once more for threads.
//!
//! The text names nothing by a short name that a message may have as well: paths are given in full.

use std::collections::{BTreeSet, HashMap};

use prost_build::{Method, Module, Service, ServiceGenerator};
use prost_types::method_options::IdempotencyLevel;

use crate::docs::full_name;
use crate::names::{Package, ServiceNames, free};
use crate::template::Values;

mod texts;

/// What the writer is told to write.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The path of the runtime crate, `::antiphon_service`.
    pub(crate) runtime: String,
    pub(crate) server: bool,
    pub(crate) client: bool,
    pub(crate) blocking: bool,
    /// The cargo feature that the blocking half stands behind.
    pub(crate) blocking_feature: Option<String>,
}

/// Writes services behind the messages that prost-build has written.
pub(crate) struct Writer {
    wanted: Wanted,
    packages: HashMap<Module, Package>,
    /// What blocks, of each package: it goes into one module behind all else.
    blocking: HashMap<Module, String>,
}

impl Writer {
    pub(crate) fn new(wanted: Wanted, packages: HashMap<Module, Package>) -> Self {
        Self { wanted, packages, blocking: HashMap::new() }
    }
}

impl ServiceGenerator for Writer {
    fn generate(&mut self, service: Service, buf: &mut String) {
        let module = Module::from_protobuf_package_name(&service.package);
        let full = full_name(&service.package, &service.proto_name);
        // What is in no package was not asked for.
        let Some(names) = self.packages.get(&module).and_then(|package| package.services.get(&full)) else {
            return;
        };
        let rpcs = rpcs(&service, &full);
        let text =
            Text { wanted: &self.wanted, full: &full, names, docs: docs(&service.comments), rpcs: &rpcs };
        buf.push_str(&text.flavour(&ASYNC));
        buf.push_str(&text.codecs());
        if self.wanted.blocking {
            self.blocking.entry(module).or_default().push_str(&text.flavour(&BLOCKING));
        }
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        let module = Module::from_protobuf_package_name(package);
        let (Some(text), Some(names)) = (self.blocking.remove(&module), self.packages.get(&module)) else {
            return;
        };
        let cfg =
            self.wanted.blocking_feature.as_ref().map(|feature| format!("#[cfg(feature = {feature:?})]"));
        let values = Values::default()
            .set("name", &*names.blocking)
            .set("cfg", cfg.unwrap_or_default())
            .set("text", text);
        buf.push_str(&values.fill(texts::BLOCKING_MODULE));
    }
}

/// The line that stands for a comment.
fn docs(comments: &prost_build::Comments) -> String {
    comments.leading.iter().map(|line| format!("/// {}\n", line.trim())).collect()
}

/// What differs between tasks and threads.
struct Flavour {
    blocking: bool,
    asynchronous: &'static str,
    wait: &'static str,
    method: &'static str,
    server: &'static str,
    prepare: &'static str,
    route: &'static str,
}

const ASYNC: Flavour = Flavour {
    blocking: false,
    asynchronous: "async",
    wait: ".await",
    method: texts::ASYNC_METHOD,
    server: texts::ASYNC_SERVER,
    prepare: texts::ASYNC_PREPARE,
    route: texts::ASYNC_ROUTE,
};

const BLOCKING: Flavour = Flavour {
    blocking: true,
    asynchronous: "",
    wait: "",
    method: texts::BLOCKING_METHOD,
    server: texts::BLOCKING_SERVER,
    prepare: texts::BLOCKING_PREPARE,
    route: texts::BLOCKING_ROUTE,
};

/// One method, in names that fit.
struct Rpc<'a> {
    method: &'a Method,
    name: String,
    client_name: String,
    path: String,
    docs: String,
}

fn rpcs<'a>(service: &'a Service, full: &str) -> Vec<Rpc<'a>> {
    let mut names = BTreeSet::new();
    // The client has methods of its own.
    let mut client_names: BTreeSet<String> = ["new", "with", "client"].map(str::to_owned).into();
    let mut rpcs = Vec::with_capacity(service.methods.len());
    for method in &service.methods {
        let name = free(method.name.clone(), &mut names);
        rpcs.push(Rpc {
            client_name: free(name.clone(), &mut client_names),
            name,
            path: format!("/{full}/{}", method.proto_name),
            docs: docs(&method.comments),
            method,
        });
    }
    rpcs
}

/// The shape of a method, the handler's function and the client's.
fn shape(method: &Method) -> (&'static str, &'static str, &'static str) {
    match (method.client_streaming, method.server_streaming) {
        (false, false) => ("Unary", "unary_with", texts::CALL_UNARY),
        (false, true) => ("ServerStream", "server_stream_with", texts::CALL_SERVER_STREAM),
        (true, false) => ("ClientStream", "client_stream_with", texts::CALL_CLIENT_STREAM),
        (true, true) => ("Bidi", "bidi_with", texts::CALL_BIDI),
    }
}

struct Text<'a> {
    wanted: &'a Wanted,
    full: &'a str,
    names: &'a ServiceNames,
    docs: String,
    rpcs: &'a [Rpc<'a>],
}

impl Text<'_> {
    /// All that is generated for tasks, or for threads.
    fn flavour(&self, flavour: &Flavour) -> String {
        let mut out = String::new();
        if self.wanted.server {
            let methods = self.each(flavour, |_| flavour.method);
            out.push_str(&self.values().set("methods", methods).fill(texts::SERVICE));
            let prepare = if self.rpcs.is_empty() { "let _ = self;" } else { flavour.prepare };
            let values = self.values();
            let prepare = values.fill(prepare);
            let routes = self.each(flavour, |_| flavour.route);
            out.push_str(&values.set("prepare", prepare).set("routes", routes).fill(flavour.server));
        }
        if self.wanted.client {
            let calls = self.each(flavour, |rpc| shape(rpc.method).2);
            let runtime = &self.wanted.runtime;
            let wait = if flavour.blocking { format!("<{runtime}::Blocking>") } else { String::new() };
            let values =
                self.values().set("Connection", format!("{runtime}::Client{wait}")).set("calls", calls);
            out.push_str(&values.fill(texts::CLIENT));
        }
        out
    }

    /// The codecs of all methods, for servers and clients of both kinds.
    fn codecs(&self) -> String {
        let fields = self.each(&ASYNC, |_| texts::CODECS_FIELD);
        let values = self.each(&ASYNC, |_| texts::CODECS_VALUE);
        self.values().set("fields", fields).set("values", values).fill(texts::CODECS)
    }

    /// One text for each method.
    fn each(&self, flavour: &Flavour, template: impl Fn(&Rpc<'_>) -> &'static str) -> String {
        self.rpcs.iter().map(|rpc| self.rpc_values(rpc, flavour).fill(template(rpc))).collect()
    }

    fn values(&self) -> Values {
        Values::default()
            .set("runtime", &*self.wanted.runtime)
            .set("full", self.full)
            .set("docs", &*self.docs)
            .set("Service", &*self.names.service)
            .set("Server", &*self.names.server)
            .set("Client", &*self.names.client)
            .set("Codecs", &*self.names.codecs)
    }

    fn rpc_values(&self, rpc: &Rpc<'_>, flavour: &Flavour) -> Values {
        let (method, runtime) = (rpc.method, &self.wanted.runtime);
        let half = if flavour.blocking { format!(", {runtime}::Blocking") } else { String::new() };
        // What blocks is in a module further in, where the names around are at hand; only its `super` is another.
        let from_here = |path: &str| {
            if flavour.blocking && path.starts_with("super::") {
                format!("super::{path}")
            } else {
                path.to_owned()
            }
        };
        let (request, response) = (from_here(&method.input_type), from_here(&method.output_type));
        let mut parameters = vec![match method.client_streaming {
            true => ("inbound", format!("{runtime}::Receiver<{request}{half}>")),
            false => ("request", request.clone()),
        }];
        if method.server_streaming {
            parameters.push(("outbound", format!("{runtime}::Sender<{response}{half}>")));
        }
        let arguments: Vec<_> = parameters.iter().map(|(name, _)| *name).collect();
        let parameters: Vec<_> = parameters.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        let (shape, function, _) = shape(method);
        let level = match method.options.idempotency_level() {
            IdempotencyLevel::NoSideEffects => ".without_side_effects()",
            IdempotencyLevel::Idempotent => ".idempotent()",
            IdempotencyLevel::IdempotencyUnknown => "",
        };
        self.values()
            .set("method_docs", &*rpc.docs)
            .set("name", &*rpc.name)
            .set("client_name", &*rpc.client_name)
            .set("path", &*rpc.path)
            .set("parameters", parameters.join(", "))
            .set("arguments", arguments.join(", "))
            .set("Reply", if method.server_streaming { "()" } else { &response })
            .set("half", half)
            .set("request_name", method.input_proto_type.trim_start_matches('.'))
            .set("response_name", method.output_proto_type.trim_start_matches('.'))
            .set("function", function)
            .set("method", format!("{runtime}::Method::new({runtime}::Shape::{shape}){level}"))
            .set("async", flavour.asynchronous)
            .set("wait", flavour.wait)
            .set("Request", request)
            .set("Response", response)
    }
}
