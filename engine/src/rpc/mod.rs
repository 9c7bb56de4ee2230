//! Floor b: one call over any HTTP stack.
