//! Floor a: pure functions and small decoders.
