//! Answers that a client may have already.

use antiphon::{Misuse, Status};

use crate::Context;

impl Context {
    /// Whether the call came as a GET of Connect, whose answer caches may keep.
    pub fn is_get(&self) -> bool {
        self.call.is_get
    }

    /// Tells the version of the answer to caches, as a header `etag`, and ends the call if the client has it already: use
    /// `?`, before the answer is made. `tag` is any text without quotes, such as a hash or a revision.
    ///
    /// Does nothing for a call that is no GET. A client sees [`Status::is_not_modified`].
    ///
    /// ```
    /// use antiphon_service::{Bytes, Context, Status};
    ///
    /// async fn read(context: Context, _: Bytes) -> Result<Bytes, Status> {
    ///     context.etag("revision-7")?;
    ///     Ok(Bytes::from_static(b"what takes long to make"))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Status::not_modified`] when `if-none-match` has the tag (RFC 9110 §13.1.2). `internal` for a tag that may not be
    /// sent, and after the headers.
    pub fn etag(&self, tag: &str) -> Result<(), Status> {
        if !self.is_get() {
            return Ok(());
        }
        let legal = |byte: u8| byte == 0x21 || matches!(byte, 0x23..=0x7e);
        if !tag.bytes().all(legal) {
            return Err(Misuse::InvalidMetadata.into());
        }
        self.set_header("etag", format!("\"{tag}\"").as_str())?;
        let known = |list: &str| list.trim() == "*" || tags(list).any(|known| known == tag);
        let unchanged = self.headers().get_all("if-none-match").any(known);
        if unchanged { Err(Status::not_modified()) } else { Ok(()) }
    }
}

/// The tags of a list, weak ones too, without their quotes (RFC 9110 §8.8.3): a comma may be part of one.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    core::iter::from_fn(move || {
        loop {
            let start = rest.trim_start_matches([' ', '\t', ',']);
            let start = start.strip_prefix("W/").unwrap_or(start);
            if start.is_empty() {
                return None;
            }
            if let Some((tag, behind)) = start.strip_prefix('"').and_then(|open| open.split_once('"')) {
                rest = behind;
                return Some(tag);
            }
            // What is no tag is passed over.
            rest = start.split_once(',').map_or("", |(_, behind)| behind);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9110 §8.8.3: etagc is any visible character but the quote.
    #[test]
    fn tags_of_a_list() {
        for (list, expected) in [
            ("\"a\"", &["a"][..]),
            ("W/\"a\", \"b,c\" ,\"\",", &["a", "b,c", ""]),
            ("a, \"b\"", &["b"]),
            ("\"a", &[]),
            ("", &[]),
            ("W/", &[]),
            (", ,\"W/\"\"x\"", &["W/", "x"]),
        ] {
            assert_eq!(tags(list).collect::<Vec<_>>(), expected, "{list}");
        }
    }
}
