//! See `h2_client` in `tests/src/fuzz/http2.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::http2::h2_client(data);
});
