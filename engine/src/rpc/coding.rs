//! Compression of messages: an open set of codings, and how one is agreed on.

use core::fmt::Debug;
use std::sync::Arc;

/// A compression of single messages. Each message is a stream of its own: nothing is kept between two.
pub trait Coding: Send + Sync + Debug {
    /// The name on the wire, lower case, such as `gzip`. Never `identity`.
    fn name(&self) -> &'static str;

    /// Appends `message`, compressed, to `out`.
    fn compress(&self, message: &[u8], out: &mut Vec<u8>);

    /// Appends the message that `compressed` holds to `out`, and stops as soon as more than `max` bytes would come out:
    /// at most `max + 1` are ever produced.
    ///
    /// # Errors
    /// [`DecompressError::TooLarge`] above `max`; [`DecompressError::Corrupt`] when the bytes are not of this coding, are
    /// cut short, or go on behind the end.
    fn decompress(&self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError>;
}

/// Why a message could not be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecompressError {
    /// The message is larger than the limit.
    #[error("the message is larger than the limit when decompressed")]
    TooLarge,
    /// The bytes are not of the coding.
    #[error("the compressed message is corrupt")]
    Corrupt,
}

/// The codings that a side knows, in order of preference. Identity is always known and need not be in it.
#[derive(Clone, Debug)]
pub struct Codings {
    list: Arc<[Arc<dyn Coding>]>,
    /// The names with commas between them, as they are advertised.
    names: Arc<str>,
}

impl Default for Codings {
    fn default() -> Self {
        Self { list: Arc::new([]), names: "".into() }
    }
}

impl Codings {
    /// These codings, the most wanted first.
    pub fn new(list: impl IntoIterator<Item = Arc<dyn Coding>>) -> Self {
        let list: Arc<[_]> = list.into_iter().collect();
        let names = list.iter().map(|coding: &Arc<dyn Coding>| coding.name()).collect::<Vec<_>>().join(",");
        Self { list, names: names.into() }
    }

    /// These and one more, wanted less than those before it. It takes the place of one of the same name.
    ///
    /// ```
    /// # #[cfg(all(feature = "gzip", feature = "zstd"))] {
    /// use antiphon::rpc::{Codings, Gzip, Zstd};
    ///
    /// let codings = Codings::default().with(Zstd::with_level(9)).with(Gzip::default());
    /// assert_eq!(codings.names(), "zstd,gzip");
    /// # }
    /// ```
    #[must_use]
    pub fn with(self, coding: impl Coding + 'static) -> Self {
        let mut list = self.list.to_vec();
        let coding: Arc<dyn Coding> = Arc::new(coding);
        match list.iter_mut().find(|known| known.name() == coding.name()) {
            Some(known) => *known = coding,
            None => list.push(coding),
        }
        Self::new(list)
    }

    /// Gzip alone.
    #[cfg(feature = "gzip")]
    pub fn gzip() -> Self {
        Self::new([Arc::new(super::Gzip::default()) as Arc<dyn Coding>])
    }

    /// The coding of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Coding>> {
        self.list.iter().find(|coding| coding.name() == name)
    }

    /// The names with commas between them, as an accept-encoding lists them; without `identity`.
    pub fn names(&self) -> &str {
        &self.names
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The codings, the most wanted first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Coding>> {
        self.list.iter()
    }

    /// The coding that a peer wants most of those that both know, out of its accept-encoding: an ordered list, the most
    /// wanted first (Connect "Accept-Encoding"), unless weights say otherwise (RFC 9110 §12.4.2); weight 0 forbids.
    /// `None` is identity: always acceptable, least preferred.
    pub(crate) fn choose(&self, accept: &[u8]) -> Option<&Arc<dyn Coding>> {
        if self.list.is_empty() {
            return None;
        }
        let mut best: Option<(u16, &Arc<dyn Coding>)> = None;
        for element in accept.split(|byte| *byte == b',') {
            let Some((name, weight)) = parse_element(element) else { continue };
            let Some(coding) = self.find(name) else { continue };
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, coding));
            }
        }
        best.map(|(_, coding)| coding)
    }
}

/// An element of an accept-encoding: the name and its weight in thousandths. A malformed weight forbids.
fn parse_element(element: &[u8]) -> Option<(&str, u16)> {
    let element = core::str::from_utf8(element).ok()?.trim_ascii();
    let mut parts = element.split(';');
    let name = parts.next()?.trim_ascii();
    let mut weight = 1000;
    for parameter in parts {
        let (key, value) = parameter.split_once('=')?;
        if key.trim_ascii().eq_ignore_ascii_case("q") {
            weight = parse_weight(value.trim_ascii().as_bytes())?;
        }
    }
    Some((name, weight))
}

/// `0`, `0.123`, `1`, `1.000` in thousandths (RFC 9110 §12.4.2).
fn parse_weight(value: &[u8]) -> Option<u16> {
    let (whole, digits) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut weight = u16::from(whole - b'0') * 1000;
    let mut place = 100;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += u16::from(digit - b'0') * place;
        place /= 10;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Turns each byte round: enough to tell compressed from plain.
    #[derive(Debug)]
    pub(crate) struct Flip(pub(crate) &'static str);

    impl Coding for Flip {
        fn name(&self) -> &'static str {
            self.0
        }

        fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
            out.extend(message.iter().map(|byte| !byte));
        }

        fn decompress(
            &self,
            compressed: &[u8],
            max: usize,
            out: &mut Vec<u8>,
        ) -> Result<(), DecompressError> {
            if compressed.len() > max {
                return Err(DecompressError::TooLarge);
            }
            if compressed.is_empty() {
                return Err(DecompressError::Corrupt);
            }
            out.extend(compressed.iter().map(|byte| !byte));
            Ok(())
        }
    }

    pub(crate) fn flips(names: &[&'static str]) -> Codings {
        Codings::new(names.iter().map(|name| Arc::new(Flip(name)) as Arc<dyn Coding>))
    }

    // Connect "Accept-Encoding"; RFC 9110 §12.4.2, §12.5.3.
    #[test]
    fn the_peer_s_order_and_weights_decide() {
        let codings = flips(&["a", "b"]);
        let choose = |accept: &str| codings.choose(accept.as_bytes()).map(|coding| coding.name());
        assert_eq!(choose("b, a"), Some("b"));
        assert_eq!(choose("x,identity,a"), Some("a"));
        assert_eq!(choose("b;q=0.5, a;q=0.501"), Some("a"));
        assert_eq!(choose("b;q=0, a;q=0.000"), None);
        assert_eq!(choose("b ; q=1.5,a"), Some("a"));
        assert_eq!(choose(""), None);
        assert_eq!(choose("identity"), None);
        assert_eq!(codings.names(), "a,b");
        assert!(flips(&[]).choose(b"a").is_none());
        assert_eq!(flips(&["a", "b"]).with(Flip("c")).with(Flip("a")).names(), "a,b,c");
    }
}
