#![no_main]
use cloudtalker_server::fuzz;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::janus_messages(bytes));
