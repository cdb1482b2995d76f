//! The agent as its owner runs it: the real program against the real server, over real sockets.
#![allow(clippy::unwrap_used)]

mod harness;

mod bad_input;
mod bundle;
mod check;
mod commands;
mod configuration;
mod eviction;
mod examples;
mod handed;
mod kill;
mod latency;
mod links;
mod metrics;
mod pace;
mod peers;
mod power;
mod restarts;
mod round_trip;
mod signals;
mod supervision;
mod tls;
mod tools;
mod watch;
mod watchdog;
