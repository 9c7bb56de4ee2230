//! See `h2_pair` in `tests/src/fuzz/http2.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::http2::h2_pair(data);
});
