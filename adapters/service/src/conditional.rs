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
        let known = |list: &str| {
            list.split(',').map(str::trim).any(|known| {
                let known = known.strip_prefix("W/").unwrap_or(known);
                known == "*" || known.strip_prefix('"').and_then(|known| known.strip_suffix('"')) == Some(tag)
            })
        };
        let unchanged = self.headers().get_all("if-none-match").any(known);
        if unchanged { Err(Status::not_modified()) } else { Ok(()) }
    }
}
