//! See `encode` in `tests/src/fuzz/json.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::json::encode(data);
});
