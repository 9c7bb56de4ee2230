//! Antiphon: smol.
