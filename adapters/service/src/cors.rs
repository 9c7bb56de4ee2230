//! Calls out of browsers, from pages of other origins.

use core::time::Duration;

use antiphon::Metadata;
use antiphon::server::Request;

/// Request headers of the protocols.
const REQUEST_HEADERS: &str = "content-type, connect-protocol-version, connect-timeout-ms, connect-accept-encoding, \
                               connect-content-encoding, grpc-timeout, x-grpc-web, x-user-agent";
/// Response headers of the protocols.
const RESPONSE_HEADERS: &str = "grpc-status, grpc-message, grpc-status-details-bin";

/// Lets scripts of web pages call a router: answers the preflights of CORS, and adds the headers that browsers want to
/// every answer, refusals included (Fetch, "CORS protocol").
///
/// ```
/// use antiphon_service::{Cors, Router};
///
/// let router = Router::new().cors(Cors::origins(["https://app.example"]).request_header("authorization"));
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    /// `None`: any.
    origins: Option<Vec<Box<str>>>,
    credentials: bool,
    request_headers: String,
    response_headers: String,
    max_age: Duration,
}

impl Cors {
    /// For pages of these origins, such as `https://app.example`; they are compared exactly.
    pub fn origins(origins: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self { origins: Some(origins.into_iter().map(Into::into).collect()), ..Self::any() }
    }

    /// For pages of any origin: for public services, which know nobody by a cookie.
    pub fn any() -> Self {
        Self {
            origins: None,
            credentials: false,
            request_headers: REQUEST_HEADERS.to_owned(),
            response_headers: RESPONSE_HEADERS.to_owned(),
            max_age: Duration::from_secs(7200),
        }
    }

    /// Lets scripts send this header beside those of the protocols, such as `authorization`.
    #[must_use]
    pub fn request_header(mut self, name: &str) -> Self {
        self.request_headers.extend([", ", name]);
        self
    }

    /// Lets scripts read this response header beside those of the protocols. Trailers of Connect's unary calls are
    /// headers that begin with `trailer-`.
    #[must_use]
    pub fn response_header(mut self, name: &str) -> Self {
        self.response_headers.extend([", ", name]);
        self
    }

    /// Lets scripts send cookies. Only for [listed origins](Cors::origins): with [any](Cors::any) it does nothing, since
    /// every page on the web could then act in its visitor's name.
    #[must_use]
    pub fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// How long a browser may remember what a preflight said. Default: 2 hours, the most that some take.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// What the answer to a request needs; and whether it is a preflight, which nobody else answers.
    pub(crate) fn judge(&self, request: &Request<'_>) -> Option<(Metadata, bool)> {
        let fields = request.fields();
        let origin = fields.get("origin").map(|origin| core::str::from_utf8(origin).unwrap_or_default());
        // A cache may keep the answer to a GET that came from no page and give it to one (Fetch, "CORS protocol and HTTP
        // caches"); nobody else wants to know.
        if origin.is_none() && request.verb() != "GET" {
            return None;
        }
        let origin = origin.unwrap_or_default();
        let preflight = request.verb() == "OPTIONS" && fields.get("access-control-request-method").is_some();
        let allowed = match &self.origins {
            None => Some("*"),
            Some(origins) => origins.iter().any(|known| **known == *origin).then_some(origin),
        };
        let mut answer = Metadata::new();
        // A name that may not be sent was refused by nobody: it is left out.
        let mut add = |name: &str, value: &str| {
            let _ = answer.append(name, value);
        };
        if self.origins.is_some() {
            add("vary", "origin");
        }
        if let Some(allowed) = allowed {
            add("access-control-allow-origin", allowed);
            if self.credentials && self.origins.is_some() {
                add("access-control-allow-credentials", "true");
            }
            if preflight {
                add("access-control-allow-methods", "GET, POST");
                add("access-control-allow-headers", &self.request_headers);
                add("access-control-max-age", &self.max_age.as_secs().to_string());
            } else {
                add("access-control-expose-headers", &self.response_headers);
            }
        }
        Some((answer, preflight))
    }
}
