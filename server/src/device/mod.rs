//! The cameras' side.
pub mod upload;
