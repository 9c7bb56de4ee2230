//! See `connect_error` in `tests/src/fuzz/codec.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::codec::connect_error(data);
});
