//! See `client_cuts` in `tests/src/fuzz/rpc.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    antiphon_tests::fuzz::rpc::client_cuts(data);
});
