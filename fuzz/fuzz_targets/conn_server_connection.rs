//! See `server_connection` in `tests/src/fuzz/conn.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::conn::server_connection(data);
});
