//! What must hold of every byte that reaches the server from elsewhere. Each function takes any bytes and panics where
//! it doesn't hold: the fuzzer calls them (`make fuzz`), and the tests replay what it once found interesting.
//!
//! | function | the bytes are |
//! |---|---|
//! | [`tus_requests`] | header lines of a request to the upload endpoint |
//! | [`janus_messages`] | a browser's message to Janus |
//! | [`join_mp4`], [`join_ts`] | segments of a capture, with [`PART`] between two of them |
//! | [`room_talk`] | what sockets and a controller say to a room, line by line |

mod joined;
mod messages;
mod requests;
mod rooms;

pub use joined::{PART, join_mp4, join_ts};
pub use messages::janus_messages;
pub use requests::tus_requests;
pub use rooms::room_talk;
