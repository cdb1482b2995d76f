//! What must hold of every byte that reaches the agent from elsewhere. Each function takes any bytes and panics where
//! it doesn't hold: the fuzzer calls them (`make fuzz`), and the tests replay what it once found interesting.
//!
//! | function | the bytes are |
//! |---|---|
//! | [`local_input`] | what a local program sends to the input socket |
//! | [`cloud_text`] | a cloud's text frames, one a line |
//! | [`segment_names`] | the name of a file |
//! | [`configuration()`] | a configuration file |
//! | [`tus_answers`] | an upload endpoint's answers, with an empty line between two of them |
//! | [`spool_scan`] | a state directory, as a listing |

mod board;
mod cloud;
mod configuration;
mod files;
mod input;
mod names;
mod spool;
mod tus;

pub use cloud::cloud_text;
pub use configuration::configuration;
pub use input::local_input;
pub use names::segment_names;
pub use spool::spool_scan;
pub use tus::tus_answers;
