#![no_main]

#[path = "../relay.rs"]
#[allow(dead_code)]
mod relay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| relay::framing(bytes));
