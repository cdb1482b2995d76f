#![no_main]
use cloudtalker::fuzz;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::segment_names(bytes));
