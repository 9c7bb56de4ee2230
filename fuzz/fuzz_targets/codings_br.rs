//! See `br` in `tests/src/fuzz/codings.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::codings::br(data);
});
