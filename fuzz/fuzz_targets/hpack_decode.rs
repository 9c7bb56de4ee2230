//! See `hpack_decode` in `tests/src/fuzz/hpack.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::hpack::hpack_decode(data);
});
