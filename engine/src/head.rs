//! Request and response heads, the same for every version of HTTP.

use std::sync::Arc;

use crate::Fields;

/// The head of an HTTP request or response, neutral to the version of HTTP: control data and [`Fields`].
///
/// A head is flat and reusable: [`Head::clear`] keeps the memory. `http` types stand at the edge, for users and
/// foreign stacks: see [`Head::from_request_parts`] and its relatives.
#[derive(Default)]
pub struct Head {
    origin: Origin,
    control: Vec<u8>,
    method_end: u32,
    scheme_end: u32,
    authority_end: u32,
    has_authority: bool,
    status: u16,
    /// The regular fields, without pseudo-fields and, in requests, without `host`.
    pub fields: Fields,
}

/// What heads have in common that are copies of one, and unchanged: it tells that they are equal without a look at
/// them. None has it but those that a decoder has made again and again, and a clone, which may be changed, has not.
#[derive(Clone, Default, Debug)]
pub(crate) struct Origin(Option<Arc<()>>);

impl Origin {
    pub(crate) fn new() -> Self {
        Self(Some(Arc::new(())))
    }

    /// Whether there is one.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether heads of these origins are equal for sure.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Clone for Head {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.assign(self);
        clone
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.status == other.status && self.has_control_of(other) && self.fields == other.fields
    }
}

impl Eq for Head {}

impl Head {
    /// Where this head is from.
    #[inline]
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Says where this head is from. It must not change from now on but by what begins it anew.
    pub(crate) fn set_origin(&mut self, origin: &Origin) {
        self.origin = origin.clone();
    }

    /// The head of a request. `path` includes the query. `authority` may be empty: then none is sent.
    pub fn request(method: &str, scheme: &str, authority: &str, path: &str) -> Self {
        let mut head = Self::default();
        head.set_request(method, scheme, authority, path);
        head
    }

    /// The head of a response.
    pub fn response(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Turns this head into that of a request, keeping its fields and its memory.
    pub fn set_request(&mut self, method: &str, scheme: &str, authority: &str, path: &str) {
        self.set_request_bytes(method.as_bytes(), scheme.as_bytes(), authority.as_bytes(), path.as_bytes());
    }

    /// [`Head::set_request`] with parts that were validated: all of them ASCII.
    pub(crate) fn set_request_bytes(&mut self, method: &[u8], scheme: &[u8], authority: &[u8], path: &[u8]) {
        self.origin = Origin::default();
        self.status = 0;
        self.control.clear();
        self.control.extend_from_slice(method);
        self.method_end = self.control.len() as u32;
        self.control.extend_from_slice(scheme);
        self.scheme_end = self.control.len() as u32;
        self.control.extend_from_slice(authority);
        self.authority_end = self.control.len() as u32;
        self.has_authority = !authority.is_empty();
        self.control.extend_from_slice(path);
    }

    /// Makes this head a copy of `other`, in the memory that it has.
    pub(crate) fn assign(&mut self, other: &Self) {
        self.origin = Origin::default();
        self.control.clear();
        self.control.extend_from_slice(&other.control);
        self.method_end = other.method_end;
        self.scheme_end = other.scheme_end;
        self.authority_end = other.authority_end;
        self.has_authority = other.has_authority;
        self.status = other.status;
        self.fields.assign(&other.fields);
    }

    /// Turns this head into that of a response, keeping its fields and its memory.
    pub fn set_response(&mut self, status: u16) {
        self.origin = Origin::default();
        self.control.clear();
        (self.method_end, self.scheme_end, self.authority_end) = (0, 0, 0);
        self.has_authority = false;
        self.status = status;
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.set_response(0);
        self.fields.clear();
    }

    /// Whether this is the head of a request.
    pub fn is_request(&self) -> bool {
        self.method_end > 0
    }

    /// The request's method, such as `POST`; empty in a response.
    pub fn method(&self) -> &str {
        self.part(0, self.method_end)
    }

    /// The request's scheme, `http` or `https`; empty in a response and where HTTP/1.1 does not tell.
    pub fn scheme(&self) -> &str {
        self.part(self.method_end, self.scheme_end)
    }

    /// The request's authority: `:authority`, or HTTP/1.1's `Host`.
    pub fn authority(&self) -> Option<&str> {
        self.has_authority.then(|| self.part(self.scheme_end, self.authority_end))
    }

    /// The request's path with its query, undecoded; empty in a response.
    pub fn path(&self) -> &str {
        self.part(self.authority_end, self.control.len() as u32)
    }

    /// The response's status; 0 in a request.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether this is the head of an informational response (1xx).
    pub fn is_informational(&self) -> bool {
        (100..200).contains(&self.status)
    }

    /// The heap memory held, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.control.capacity() + self.fields.capacity_bytes()
    }

    /// Whether method, scheme, authority and path are visible ASCII throughout. All bytes are looked at, whatever is
    /// found: that is faster than to stop.
    pub(crate) fn has_visible_target(&self) -> bool {
        let invisible = |byte: &u8| u8::from(byte.wrapping_sub(b'!') > b'~' - b'!');
        self.control.iter().fold(0, |found, byte| found | invisible(byte)) == 0
    }

    /// Method, scheme, authority (empty when there is none) and path, as bytes.
    pub(crate) fn control_bytes(&self) -> [&[u8]; 4] {
        let part = |start: u32, end: u32| self.control.get(start as usize..end as usize).unwrap_or_default();
        [
            part(0, self.method_end),
            part(self.method_end, self.scheme_end),
            part(self.scheme_end, self.authority_end),
            part(self.authority_end, self.control.len() as u32),
        ]
    }

    /// Whether method, scheme, authority and path are those of `other`.
    pub(crate) fn has_control_of(&self, other: &Self) -> bool {
        let ends = |head: &Self| (head.method_end, head.scheme_end, head.authority_end, head.has_authority);
        ends(self) == ends(other) && self.control == other.control
    }

    fn part(&self, start: u32, end: u32) -> &str {
        core::str::from_utf8(&self.control[start as usize..end as usize]).unwrap_or_default()
    }
}

impl core::fmt::Debug for Head {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("Head");
        if self.is_request() {
            out.field("method", &self.method());
            out.field("authority", &self.authority()).field("path", &self.path());
        } else {
            out.field("status", &self.status);
        }
        out.field("fields", &self.fields).finish()
    }
}

/// Conversions at the edge, for users and for foreign HTTP stacks.
impl Head {
    /// The head of a request that a foreign HTTP stack received.
    pub fn from_request_parts(parts: &http::request::Parts) -> Self {
        let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = parts.uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or("");
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let scheme = parts.uri.scheme_str().unwrap_or("");
        let mut head = Self::request(parts.method.as_str(), scheme, authority, path);
        push_header_map(&mut head.fields, &parts.headers, true);
        head
    }

    /// The head of a response that a foreign HTTP stack received.
    pub fn from_response_parts(parts: &http::response::Parts) -> Self {
        let mut head = Self::response(parts.status.as_u16());
        push_header_map(&mut head.fields, &parts.headers, false);
        head
    }

    /// This request head as `http` parts.
    ///
    /// # Errors
    /// When a part is not what `http` accepts, such as a method with a space in it.
    pub fn to_request_parts(&self) -> Result<http::request::Parts, http::Error> {
        let uri = match self.authority() {
            Some(authority) => {
                let scheme = if self.scheme().is_empty() { "http" } else { self.scheme() };
                http::Uri::builder()
                    .scheme(scheme)
                    .authority(authority)
                    .path_and_query(self.path())
                    .build()?
            }
            None => http::Uri::try_from(self.path())?,
        };
        let (mut parts, ()) = http::Request::builder().method(self.method()).uri(uri).body(())?.into_parts();
        parts.headers = self.fields.to_header_map()?;
        Ok(parts)
    }

    /// This response head as `http` parts.
    ///
    /// # Errors
    /// When the status is below 100 or above 999, or a field is not what `http` accepts.
    pub fn to_response_parts(&self) -> Result<http::response::Parts, http::Error> {
        let (mut parts, ()) = http::Response::builder().status(self.status).body(())?.into_parts();
        parts.headers = self.fields.to_header_map()?;
        Ok(parts)
    }
}

impl Fields {
    /// The fields of an `http::HeaderMap`, in its order.
    pub fn from_header_map(map: &http::HeaderMap) -> Self {
        let mut fields = Self::new();
        push_header_map(&mut fields, map, false);
        fields
    }

    /// These fields as an `http::HeaderMap`.
    ///
    /// # Errors
    /// When a name or value is not what `http` accepts, or there are more than it can hold (32,768).
    pub fn to_header_map(&self) -> Result<http::HeaderMap, http::Error> {
        let mut map = http::HeaderMap::new();
        for field in self {
            let name = http::HeaderName::from_bytes(field.name.as_bytes())?;
            let mut value = http::HeaderValue::from_bytes(field.value)?;
            value.set_sensitive(field.sensitive);
            map.try_append(name, value)?;
        }
        Ok(map)
    }
}

fn push_header_map(fields: &mut Fields, map: &http::HeaderMap, skip_host: bool) {
    for (name, value) in map {
        if skip_host && name == http::header::HOST {
            continue;
        }
        if value.is_sensitive() {
            fields.push_sensitive(name.as_str(), value.as_bytes());
        } else {
            fields.push(name.as_str(), value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        let mut head = Head::request("POST", "http", "example.com", "/a?b=c");
        assert_eq!((head.method(), head.scheme(), head.path()), ("POST", "http", "/a?b=c"));
        assert_eq!(head.authority(), Some("example.com"));
        head.set_response(404);
        assert!(!head.is_request());
        assert_eq!((head.status(), head.path(), head.authority()), (404, "", None));
    }

    #[test]
    fn http_parts_round_trip() {
        let mut head = Head::request("POST", "https", "example.com", "/a?b=c");
        head.fields.push("x-tag", b"1");
        head.fields.push_sensitive("authorization", b"secret");
        let parts = head.to_request_parts().unwrap();
        assert_eq!(Head::from_request_parts(&parts), head);

        let mut head = Head::response(201);
        head.fields.push("x-tag", b"1");
        assert_eq!(Head::from_response_parts(&head.to_response_parts().unwrap()), head);
    }
}
