//! The board's agent, `cloudtalker`, as a library.
//!
//! - [`wire`] turns bytes into types and back. It holds no state, and the server shares it.
#![cfg_attr(feature = "agent", doc = include_str!("tour.md"))]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod wire;

#[cfg(feature = "engine")]
pub mod engine;

#[cfg(feature = "agent")]
pub mod cli;
#[cfg(feature = "agent")]
pub mod config;
#[cfg(feature = "agent")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(feature = "agent")]
pub mod shell;
#[cfg(feature = "agent")]
pub mod tls;
#[cfg(feature = "agent")]
pub mod tools;
