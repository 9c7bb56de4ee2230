//! Programs that a user would run first.
