//! Text frames between the agent and the cloud.
//!
//! [`ToCloud`] is what an agent says, [`ToAgent`] what a cloud says. Both sides ignore keys that they do not
//! know, so that each can be newer than the other. An agent whose [`State`] has no version is an original
//! one: it sends its segments as binary frames after [`SegmentInfo`], and knows no receipts.
//!
//! A cloud's text is taken key by key ([`ToAgent::parse`]): what has a wrong type is reported and left out,
//! and the rest counts.

mod to_agent;
mod to_cloud;

pub use to_agent::{CloudTextError, Receipt, ToAgent, WrongKey};
pub use to_cloud::{
    Alarm, Backlog, CaptureEnd, CaptureStart, ListedSegment, LostSegment, Report, SegmentInfo, State, ToCloud,
};
