//! How the fields of one block become a head (RFC 9113 §8.2.3, §8.3).

use super::validate::{self, Fault, Kind};
use super::{DecoderLimits, Verdict};
use crate::Head;

/// A field as it was decoded.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    /// Name and value, side by side.
    pub(super) pair: &'a [u8],
    /// The length of the name.
    pub(super) name: usize,
    /// It came as a literal that may never be indexed (RFC 7541 §6.2.3).
    pub(super) secret: bool,
    pub(super) kind: Kind,
}

impl<'a> Raw<'a> {
    /// A field out of a table.
    #[inline]
    pub(super) fn indexed(pair: &'a [u8], name: usize, kind: Kind) -> Self {
        Self { pair, name, secret: false, kind }
    }

    pub(super) fn name(&self) -> &'a [u8] {
        self.pair.get(..self.name).unwrap_or_default()
    }

    pub(super) fn value(&self) -> &'a [u8] {
        self.pair.get(self.name..).unwrap_or_default()
    }
}

/// Where a value stands in the scratch block.
type Span = Option<(u32, u32)>;

/// What is known of a head while its block is decoded. Recycled: in steady state nothing is allocated.
#[derive(Default)]
pub(super) struct Assembly {
    /// The values of the pseudo-fields and of `host`, in the order of their arrival.
    control: Vec<u8>,
    seen: Seen,
    /// The joined crumbs of the cookie.
    cookies: Vec<u8>,
}

/// What is forgotten between blocks.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// The pseudo-fields are judged and in the head: this is the end of a prefix that was met before.
    judged: bool,
    /// There is a content-length.
    length: bool,
    method: Span,
    scheme: Span,
    authority: Span,
    path: Span,
    host: Span,
    status: Option<u16>,
    regular: bool,
    cookie: bool,
    fault: Option<Fault>,
    count: usize,
    size: usize,
    over: bool,
}

impl Assembly {
    pub(super) fn start(&mut self) {
        self.control.clear();
        self.cookies.clear();
        self.seen = Seen::default();
    }

    /// Goes on where a block with the same fields so far was, all pseudo-fields among them. The head is as it was then.
    pub(super) fn resume(&mut self, seen: &Seen) {
        self.control.clear();
        self.cookies.clear();
        self.seen.clone_from(seen);
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.control.capacity() + self.cookies.capacity()
    }

    /// Gives back memory beyond `bytes` for each buffer.
    pub(super) fn shrink(&mut self, bytes: usize) {
        for buffer in [&mut self.control, &mut self.cookies] {
            if buffer.capacity() > bytes {
                buffer.clear();
                buffer.shrink_to(bytes);
            }
        }
    }

    /// Takes a field. Pseudo-fields are kept here, regular ones go straight into the head.
    #[inline]
    pub(super) fn field(&mut self, raw: Raw<'_>, limits: &DecoderLimits, head: &mut Head) {
        let seen = &mut self.seen;
        seen.count += 1;
        seen.size += raw.pair.len() + super::table::OVERHEAD;
        seen.over |= seen.size > limits.header_list || seen.count > limits.header_fields;
        match raw.kind {
            Kind::Regular | Kind::Secret | Kind::Length => {
                seen.regular = true;
                seen.length |= raw.kind == Kind::Length;
                if !seen.over {
                    head.fields.push_pair(raw.pair, raw.name, raw.secret || raw.kind == Kind::Secret);
                }
            }
            kind => self.special(kind, raw.value(), head),
        }
    }

    fn special(&mut self, kind: Kind, value: &[u8], head: &Head) {
        match kind {
            Kind::Bad(fault) => self.fault(fault),
            Kind::Cookie => self.crumb(value),
            Kind::Host => {
                self.judge_again(head);
                let seen = &mut self.seen;
                seen.regular = true;
                keep(&mut self.control, &mut seen.host, value)
                    .unwrap_or_else(|()| self.fault(Fault::RepeatedHost));
            }
            kind => self.pseudo(kind, value),
        }
    }

    /// Takes the pseudo-fields back from the head: they are to be compared with what follows.
    fn judge_again(&mut self, head: &Head) {
        if !std::mem::take(&mut self.seen.judged) {
            return;
        }
        let seen = &mut self.seen;
        let spans = [&mut seen.method, &mut seen.scheme, &mut seen.authority, &mut seen.path];
        for (span, value) in spans.into_iter().zip(head.control_bytes()) {
            if !value.is_empty() {
                let _ = keep(&mut self.control, span, value);
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.seen.fault = self.seen.fault.or(Some(fault));
    }

    /// RFC 9113 §8.2.3: crumbs are joined with a semicolon and a space. Empty ones have nothing to be joined: the space
    /// would stand at an end of the value.
    fn crumb(&mut self, value: &[u8]) {
        self.seen.regular = true;
        if self.seen.over {
            return;
        }
        if !self.cookies.is_empty() && !value.is_empty() {
            self.cookies.extend_from_slice(b"; ");
        }
        self.seen.cookie = true;
        self.cookies.extend_from_slice(value);
    }

    fn pseudo(&mut self, kind: Kind, value: &[u8]) {
        let seen = &mut self.seen;
        if seen.regular {
            return self.fault(Fault::LatePseudo);
        }
        let span = match kind {
            Kind::Method => &mut seen.method,
            Kind::Scheme => &mut seen.scheme,
            Kind::Authority => &mut seen.authority,
            Kind::Path => &mut seen.path,
            _ => {
                if seen.status.is_some() {
                    return self.fault(Fault::RepeatedPseudo);
                }
                seen.status = validate::status(value);
                return;
            }
        };
        if keep(&mut self.control, span, value).is_err() {
            self.fault(Fault::RepeatedPseudo);
        }
    }

    /// Judges the whole, and completes the head.
    pub(super) fn finish(&mut self, head: &mut Head) -> Verdict {
        let seen = &self.seen;
        let request = [seen.method, seen.scheme, seen.authority, seen.path].iter().any(Span::is_some);
        let fault = match seen.fault {
            Some(fault) => Err(fault),
            None if seen.judged => Ok(()),
            None if request => self.request(head),
            None => {
                head.set_response(seen.status.unwrap_or(0));
                if seen.host.is_some() {
                    head.fields.push_bytes(b"host", self.text(seen.host), false);
                }
                Ok(())
            }
        };
        if let Err(fault) = fault {
            head.clear();
            return Verdict::Malformed(fault.text());
        }
        if self.seen.over {
            head.fields.clear();
            return Verdict::TooLarge;
        }
        if self.seen.cookie {
            head.fields.push_bytes(b"cookie", &self.cookies, true);
        }
        Verdict::Good
    }

    /// RFC 9113 §8.3.1, and §8.5 for CONNECT.
    fn request(&self, head: &mut Head) -> Result<(), Fault> {
        let seen = &self.seen;
        if seen.status.is_some() {
            return Err(Fault::MixedPseudo);
        }
        let (method, scheme, path) = (self.text(seen.method), self.text(seen.scheme), self.text(seen.path));
        let authority = self.authority()?;
        if method.is_empty() {
            return Err(Fault::MissingPseudo);
        }
        if method == b"CONNECT" {
            if seen.scheme.is_some()
                || seen.path.is_some()
                || seen.authority.is_none()
                || authority.is_empty()
            {
                return Err(Fault::Connect);
            }
        } else if scheme.is_empty() || path.is_empty() {
            return Err(Fault::MissingPseudo);
        } else if path == b"*" && method != b"OPTIONS" {
            return Err(Fault::Path);
        }
        head.set_request_bytes(method, scheme, authority, path);
        Ok(())
    }

    /// `host` stands in for an absent `:authority` and may not differ from a present one.
    fn authority(&self) -> Result<&[u8], Fault> {
        let (authority, host) = (self.text(self.seen.authority), self.text(self.seen.host));
        match (self.seen.authority, self.seen.host) {
            (None, _) => Ok(host),
            (Some(_), Some(_)) if !authority.eq_ignore_ascii_case(host) => Err(Fault::OtherHost),
            _ => Ok(authority),
        }
    }

    fn text(&self, span: Span) -> &[u8] {
        let (start, end) = span.unwrap_or((0, 0));
        self.control.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Seen {
    /// The size of the list so far, as RFC 9113 §6.5.2 counts it.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether there is a content-length.
    pub(super) fn has_length(&self) -> bool {
        self.length
    }

    /// Whether there is an `:authority`.
    pub(super) fn has_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// Whether a field has come behind which there are no pseudo-fields.
    pub(super) fn is_past_pseudo(&self) -> bool {
        self.regular
    }

    /// What a later block can go on from, given the good head of the block whose first fields these are.
    pub(super) fn judged(mut self, head: &Head) -> Self {
        let spans = [&mut self.method, &mut self.scheme, &mut self.authority, &mut self.path];
        spans.into_iter().for_each(|span| *span = None);
        self.judged = head.is_request();
        self
    }
}

/// Keeps a value that may come once.
fn keep(control: &mut Vec<u8>, span: &mut Span, value: &[u8]) -> Result<(), ()> {
    if span.is_some() {
        return Err(());
    }
    let start = control.len() as u32;
    control.extend_from_slice(value);
    *span = Some((start, control.len() as u32));
    Ok(())
}
