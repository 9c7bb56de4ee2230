//! Floor c: HTTP/1.1.
