//! The service that the cases implement and call.

include!(concat!(env!("OUT_DIR"), "/feed.v1.rs"));
