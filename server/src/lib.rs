//! The cloud of cloudtalker's cameras, as one process: it takes captures over mutual TLS, keeps them, joins them
//! and shows them.
//!
//! | module | what it is |
//! |---|---|
//! | [`serve`] | the process: opens everything, runs until told to stop |
//! | [`server`] | what all parts share: the store, the blobs, the bus |
//! | [`device`] | the cameras' side: sessions, original clients, tus |
//! | [`library`] | captures: intake, states, joining |
//! | [`viewer`] | the people's side |
//! | [`room`] | cameras in browsers, by Janus |
//! | [`store`], [`blobs`] | state and finished files |
//! | [`pki`], [`net`] | our own CA; connections with bounds |
//! | [`control`], [`cli`] | the commands, through a running server or without one |
//!
//! # Threads, files and signals
//!
//! tokio's worker and blocking threads; the database's own one a connection. Everything on disk is beneath the
//! data directory ([`server::DataDir`]). `serve` handles SIGTERM and SIGINT, and nothing else does.

#![forbid(unsafe_code)]

pub mod blobs;
pub mod bus;
pub mod cli;
pub mod commands;
pub mod control;
pub mod device;
#[doc(hidden)]
pub mod fuzz;
pub mod library;
pub mod log;
pub mod net;
pub mod pki;
pub mod room;
pub mod serve;
pub mod server;
pub mod store;
pub mod viewer;
