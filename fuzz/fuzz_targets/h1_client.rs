//! See `h1_client` in `tests/src/fuzz/http1.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::http1::h1_client(data);
});
