//! Antiphon: tokio.
