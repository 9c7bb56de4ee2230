//! What the head of a request says.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::metadata::is_reserved_bytes;
use crate::codec::timeout::{BadTimeout, parse_connect, parse_grpc};
use crate::fields::Mark;
use crate::head::Origin;
use crate::rpc::connect::Query;
use crate::rpc::inbound::Framing;
use crate::rpc::protocol::ContentType;
use crate::rpc::{Coding, Protocol, RpcConfig};
use crate::{Fields, Head, Instant, Metadata, Status};

/// The verb of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Verb {
    #[default]
    Post,
    Get,
    Other,
}

/// What the head of a request says. Filled anew for each call, keeping its memory.
#[derive(Debug, Default)]
pub(super) struct RequestHead {
    pub(super) verb: Verb,
    pub(super) protocol: Option<Protocol>,
    pub(super) framing: Framing,
    pub(super) codec: String,
    /// The content-type of a good answer: the request's own, without parameters.
    pub(super) content_type: String,
    pub(super) path: String,
    pub(super) metadata: Metadata,
    pub(super) deadline: Option<Instant>,
    pub(super) content_length: Option<usize>,
    pub(super) request_coding: Option<Arc<dyn Coding>>,
    pub(super) response_coding: Option<Arc<dyn Coding>>,
    pub(super) is_get: bool,
    pub(super) get_message: Option<Bytes>,
    /// The request was refused for its coding: the answer lists those that work.
    pub(super) unknown_coding: bool,
    /// The URL is longer than the limit.
    pub(super) too_long: bool,
    /// What is wrong with the request in itself.
    pub(super) fault: Option<Status>,
    /// The last content-type seen, and what it was found to be: the next one is mostly the same.
    last_content_type: Vec<u8>,
    last_found: Option<(Protocol, Framing)>,
    /// The fields that all of this was read from, without the timeout, if they can come again: a POST without a fault.
    /// A client's heads are mostly alike but for the timeout; then nothing else is read twice.
    last_fields: Fields,
    /// Where the last head was from, and the timeout in it.
    last_origin: Origin,
    last_timeout: Option<Duration>,
    /// Where the timeout stood among them.
    timeout_at: Mark,
    repeatable: bool,
    /// Requests in a row that were not like the one before.
    misses: u8,
    /// There was a request before this one: what a place has served once only, a long stream perhaps, is not remembered.
    again: bool,
}

/// After so many requests in a row that differ, only each so manieth is remembered.
const PATIENCE: u8 = 16;

/// The fields that the protocols give a meaning to.
#[derive(Default)]
struct Known<'a> {
    content_type: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    accept_encoding: Option<&'a [u8]>,
    grpc_timeout: Option<&'a [u8]>,
    grpc_encoding: Option<&'a [u8]>,
    grpc_accept_encoding: Option<&'a [u8]>,
    connect_version: Option<&'a [u8]>,
    connect_timeout: Option<&'a [u8]>,
    connect_encoding: Option<&'a [u8]>,
    connect_accept_encoding: Option<&'a [u8]>,
    /// A field of this list is there twice, and only one value can be meant.
    ambiguous: bool,
}

impl RequestHead {
    /// Reads a head, in one pass over its fields. Says whether the answer's head differs from that to the request before.
    pub(super) fn read(&mut self, head: &Head, config: &RpcConfig, now: Instant) -> bool {
        if self.repeatable && head.origin().is(&self.last_origin) {
            self.misses = 0;
            self.set_timeout(self.last_timeout, config, now);
            return false;
        }
        let [method, _, _, target] = head.control_bytes();
        let verb = match method {
            b"POST" => Verb::Post,
            b"GET" => Verb::Get,
            _ => Verb::Other,
        };
        let query = self.set_path(target);
        if self.repeatable && verb == Verb::Post {
            if let Some(timeout) = self.timeout_of_like(&head.fields) {
                self.misses = 0;
                self.set_timeout(timeout, config, now);
                self.last_timeout = timeout;
                self.last_origin = head.origin().clone();
                return false;
            }
        }
        self.read_anew(verb, head, query, config, now)
    }

    #[inline(never)]
    fn read_anew(&mut self, verb: Verb, head: &Head, query: &str, config: &RpcConfig, now: Instant) -> bool {
        self.forget(verb);
        let known = gather(head, &mut self.metadata);
        let changed = match self.verb {
            Verb::Post => self.find_protocol(known.content_type),
            Verb::Get => self.read_get(head.control_bytes()[3].len(), query, config),
            Verb::Other => self.set_protocol(None),
        };
        let before = self.response_coding.take();
        if self.protocol.is_some() {
            self.read_known(&known, config, now);
        }
        self.repeatable = self.verb == Verb::Post && self.protocol.is_some() && self.fault.is_none();
        if self.repeatable {
            self.remember(&head.fields);
            self.last_origin = head.origin().clone();
        }
        let same_coding = match (&before, &self.response_coding) {
            (None, None) => true,
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            _ => false,
        };
        changed || !same_coding || self.unknown_coding
    }

    /// The timeout in these fields, if all others are those of the request before, and there is nothing wrong with it.
    #[inline]
    fn timeout_of_like(&self, fields: &Fields) -> Option<Option<Duration>> {
        if *fields == self.last_fields { Some(None) } else { self.timeout_of_other(fields) }
    }

    fn timeout_of_other(&self, fields: &Fields) -> Option<Option<Duration>> {
        let value = fields.only_beside(&self.last_fields, self.timeout_at, self.timeout_name())?;
        self.parse_timeout(value).ok().map(Some)
    }

    /// Takes note of fields that may come again. A client whose heads are all different is not listened to each time.
    fn remember(&mut self, fields: &Fields) {
        if !core::mem::replace(&mut self.again, true) {
            self.repeatable = false;
            return;
        }
        self.misses = self.misses.wrapping_add(1);
        self.repeatable = self.misses < PATIENCE || self.misses % PATIENCE == 0;
        if !self.repeatable {
            return;
        }
        let name = self.timeout_name();
        self.last_fields.clear();
        self.timeout_at = Mark::default();
        for (field, value, sensitive) in fields.raw() {
            if field == name {
                self.timeout_at = self.last_fields.mark();
            } else {
                self.last_fields.push_bytes(field, value, sensitive);
            }
        }
    }

    fn timeout_name(&self) -> &'static [u8] {
        if self.protocol == Some(Protocol::Connect) { b"connect-timeout-ms" } else { b"grpc-timeout" }
    }

    fn parse_timeout(&self, value: &[u8]) -> Result<Duration, BadTimeout> {
        if self.protocol == Some(Protocol::Connect) { parse_connect(value) } else { parse_grpc(value) }
    }

    /// The rules have changed: what was read by the old ones is not to be used again.
    pub(super) fn forget_fields(&mut self) {
        self.repeatable = false;
    }

    fn forget(&mut self, verb: Verb) {
        self.verb = verb;
        self.metadata.clear();
        self.deadline = None;
        self.content_length = None;
        self.request_coding = None;
        self.is_get = false;
        self.get_message = None;
        self.unknown_coding = false;
        self.too_long = false;
        self.fault = None;
    }

    /// Takes the path and returns the query. The path is mostly that of the call before.
    #[inline]
    fn set_path<'a>(&mut self, target: &'a [u8]) -> &'a str {
        if target == self.path.as_bytes() { "" } else { self.set_other_path(target) }
    }

    fn set_other_path<'a>(&mut self, target: &'a [u8]) -> &'a str {
        let target = core::str::from_utf8(target).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.path.clear();
        self.path.push_str(path);
        query
    }

    fn find_protocol(&mut self, content_type: Option<&[u8]>) -> bool {
        let value = content_type.unwrap_or_default();
        if self.last_found.is_some() && value == self.last_content_type {
            return self.set_protocol(self.last_found);
        }
        let found = ContentType::parse(value).map(|found| {
            let framing = match (found.protocol, found.enveloped) {
                (Protocol::GrpcWebText, _) => Framing::Text,
                (_, true) => Framing::Envelopes,
                (_, false) => Framing::Bare,
            };
            self.codec.clear();
            self.codec.push_str(found.codec);
            (found.protocol, framing)
        });
        self.content_type.clear();
        if found.is_some() {
            let bare = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            self.content_type.push_str(core::str::from_utf8(bare).unwrap_or_default());
        } else {
            self.codec.clear();
        }
        if self.again {
            self.last_content_type.clear();
            self.last_content_type.extend_from_slice(value);
            self.last_found = found;
        }
        self.set_protocol(found);
        true
    }

    fn set_protocol(&mut self, found: Option<(Protocol, Framing)>) -> bool {
        self.protocol = found.map(|(protocol, _)| protocol);
        self.framing = found.map_or(Framing::Bare, |(_, framing)| framing);
        if found.is_none() {
            self.codec.clear();
            self.content_type.clear();
            self.last_found = None;
            return true;
        }
        false
    }

    /// Reads a GET, if it is one of Connect.
    fn read_get(&mut self, length: usize, query: &str, config: &RpcConfig) -> bool {
        if !Query::is_connect(query) {
            return self.set_protocol(None);
        }
        self.is_get = true;
        self.protocol = Some(Protocol::Connect);
        self.framing = Framing::Bare;
        self.codec.clear();
        self.content_type.clear();
        self.last_found = None;
        if length > config.max_url {
            self.too_long = true;
            return true;
        }
        match Query::parse(query) {
            Err(rule) => self.fault = Some(Status::invalid_argument(rule)),
            Ok(query) => self.take_query(query, config),
        }
        true
    }

    fn take_query(&mut self, query: Query, config: &RpcConfig) {
        let codec =
            query.encoding.as_deref().and_then(|codec| core::str::from_utf8(codec).ok()).unwrap_or("");
        self.codec.push_str(codec);
        ContentType::print(Protocol::Connect, false, codec, &mut self.content_type);
        match query.version.as_deref() {
            Some(b"v1") => {}
            None if !config.require_connect_protocol_version => {}
            _ => self.fault = Some(Status::invalid_argument("the query must have connect=v1")),
        }
        match query.message {
            Some(message) => self.get_message = Some(message.into()),
            None => self.fault = Some(Status::invalid_argument("the query has no message")),
        }
        if let Some(name) = query.compression {
            self.set_request_coding(&name, config);
        }
    }

    /// What the fields mean in the protocol that was found.
    fn read_known(&mut self, known: &Known<'_>, config: &RpcConfig, now: Instant) {
        let connect = self.protocol == Some(Protocol::Connect);
        let (coding, accept) = match (connect, self.framing) {
            (true, Framing::Bare) => (known.content_encoding, known.accept_encoding),
            (true, _) => (known.connect_encoding, known.connect_accept_encoding),
            (false, _) => (known.grpc_encoding, known.grpc_accept_encoding),
        };
        if let Some(name) = coding.filter(|_| !self.is_get) {
            self.set_request_coding(name, config);
        }
        self.response_coding = match accept {
            Some(accept) => config.codings.choose(accept).cloned(),
            // A Connect client that does not say takes what it sends.
            None if connect => self.request_coding.clone(),
            None => None,
        };
        self.content_length = known.content_length.and_then(parse_length);
        if known.ambiguous {
            self.fault = Some(self.bad_head("a header of the protocol is given twice"));
        }
        if connect && !self.is_get {
            match known.connect_version {
                Some(b"1") => {}
                None if !config.require_connect_protocol_version => {}
                _ => self.fault = Some(self.bad_head("connect-protocol-version must be 1")),
            }
        }
        let timeout = if connect { known.connect_timeout } else { known.grpc_timeout };
        match timeout.map(|value| self.parse_timeout(value)).transpose() {
            Ok(timeout) => {
                self.last_timeout = timeout;
                self.set_timeout(timeout, config, now);
            }
            Err(_) => self.fault = Some(self.bad_head("the timeout is malformed")),
        }
    }

    #[inline]
    fn set_timeout(&mut self, timeout: Option<Duration>, config: &RpcConfig, now: Instant) {
        self.deadline = config.clamp_timeout(timeout).map(|timeout| now + timeout);
    }

    fn set_request_coding(&mut self, name: &[u8], config: &RpcConfig) {
        let name = core::str::from_utf8(name).unwrap_or_default().trim_ascii();
        if name.is_empty() || name == "identity" {
            return;
        }
        match config.codings.find(name) {
            Some(coding) => self.request_coding = Some(Arc::clone(coding)),
            None => {
                self.unknown_coding = true;
                let known = config.codings.iter().map(|coding| coding.name());
                let known: Vec<_> = known.chain(["identity"]).collect();
                self.fault = Some(Status::unimplemented(format!(
                    "the compression of the request is not supported; supported are {}",
                    known.join(", ")
                )));
            }
        }
    }

    fn bad_head(&self, rule: &'static str) -> Status {
        match self.protocol {
            Some(Protocol::Connect) => Status::invalid_argument(rule),
            _ => Status::internal(rule),
        }
    }
}

/// Sorts the fields of a head: known ones apart, reserved ones out, the rest into the metadata.
fn gather<'a>(head: &'a Head, metadata: &mut Metadata) -> Known<'a> {
    let mut known = Known::default();
    for (name, value, sensitive) in head.fields.raw() {
        let (slot, single) = match name {
            b"content-type" => (&mut known.content_type, true),
            b"content-length" => (&mut known.content_length, false),
            b"content-encoding" => (&mut known.content_encoding, true),
            b"accept-encoding" => (&mut known.accept_encoding, false),
            b"grpc-timeout" => (&mut known.grpc_timeout, true),
            b"grpc-encoding" => (&mut known.grpc_encoding, true),
            b"grpc-accept-encoding" => (&mut known.grpc_accept_encoding, false),
            b"connect-protocol-version" => (&mut known.connect_version, true),
            b"connect-timeout-ms" => (&mut known.connect_timeout, true),
            b"connect-content-encoding" => (&mut known.connect_encoding, true),
            b"connect-accept-encoding" => (&mut known.connect_accept_encoding, false),
            name if is_reserved_bytes(name) => continue,
            name => {
                metadata.as_fields_mut().push_bytes(name, value, sensitive);
                continue;
            }
        };
        known.ambiguous |= single && slot.is_some();
        slot.get_or_insert(value);
    }
    known
}

fn parse_length(value: &[u8]) -> Option<usize> {
    core::str::from_utf8(value).ok()?.parse().ok()
}
