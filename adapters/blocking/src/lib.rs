//! Antiphon: blocking.
