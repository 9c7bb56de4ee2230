//! See `hpack_round_trip` in `tests/src/fuzz/hpack.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::hpack::hpack_round_trip(data);
});
