//! The codings that come with the engine, each behind the feature of its name.
//!
//! All of them decompress into [`pour`], which bounds what comes out; what a window may take is bounded by each format.

#[cfg(feature = "br")]
mod brotli;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(any(feature = "gzip", feature = "deflate"))]
mod flate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(feature = "br")]
pub use brotli::Brotli;
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
#[cfg(feature = "gzip")]
pub use gzip::Gzip;
#[cfg(feature = "snappy")]
pub use snappy::Snappy;
#[cfg(feature = "zstd")]
pub use zstd::Zstd;

use super::Codings;

impl Codings {
    /// The codings of all enabled features with their default levels, in this order of preference: `zstd`, `br`, `gzip`,
    /// `deflate`, `snappy`. With no such feature there is none.
    ///
    /// ```
    /// use antiphon::rpc::Codings;
    ///
    /// assert_eq!(Codings::all().find("gzip").is_some(), cfg!(feature = "gzip"));
    /// ```
    #[allow(clippy::let_and_return)] // without features there is nothing between the two
    pub fn all() -> Self {
        let all = Self::default();
        #[cfg(feature = "zstd")]
        let all = all.with(Zstd::default());
        #[cfg(feature = "br")]
        let all = all.with(Brotli::default());
        #[cfg(feature = "gzip")]
        let all = all.with(Gzip::default());
        #[cfg(feature = "deflate")]
        let all = all.with(Deflate::default());
        #[cfg(feature = "snappy")]
        let all = all.with(Snappy::default());
        all
    }
}

#[cfg(any(feature = "br", feature = "gzip", feature = "deflate", feature = "snappy", feature = "zstd"))]
mod pour {
    use crate::rpc::DecompressError;

    /// `out` grows by so much at a time, at least and at most.
    const LEAST_GROWTH: usize = 1 << 10;
    const MOST_GROWTH: usize = 64 << 10;

    /// What one step of a decoder wrote.
    pub(super) enum Step {
        /// So many bytes; there may be more.
        More(usize),
        /// So many bytes, and they were the last ones.
        Last(usize),
    }

    /// Lets a decoder write behind `out` until it has written its last byte, or until `out` holds more than `most`
    /// bytes: it never holds more than `most + 1`, also between two steps. A step is given where to write, never
    /// nothing, and answers an error when it can neither write nor read on. `compressed` is the length of what is read.
    pub(super) fn pour(
        out: &mut Vec<u8>,
        most: usize,
        compressed: usize,
        mut step: impl FnMut(&mut [u8]) -> Result<Step, DecompressError>,
    ) -> Result<(), DecompressError> {
        let growth = compressed.saturating_mul(4).clamp(LEAST_GROWTH, MOST_GROWTH);
        // Bytes behind this are zeros for the decoder to write to.
        let mut written = out.len();
        let result = loop {
            if written == out.len() {
                let room = most.saturating_add(1).saturating_sub(written);
                if room == 0 {
                    break Err(DecompressError::TooLarge);
                }
                out.resize(written.saturating_add(growth.min(room)), 0);
            }
            match step(out.get_mut(written..).unwrap_or_default()) {
                Ok(Step::More(count)) => written = written.saturating_add(count).min(out.len()),
                Ok(Step::Last(count)) => {
                    written = written.saturating_add(count).min(out.len());
                    break if written > most { Err(DecompressError::TooLarge) } else { Ok(()) };
                }
                Err(error) => break Err(error),
            }
        };
        out.truncate(written);
        result
    }
}
