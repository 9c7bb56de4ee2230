//! Antiphon: service.
