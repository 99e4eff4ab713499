//! Configuration, wiring, listeners and graceful stop. Floor 5.
//!
//! Called by the binary and by whole-server tests: [`Config::load`], then [`start`], then [`RunningServer::stop`].
//! It wires the core to the doors and owns the sockets; it decides nothing about certificates and knows no route.
//! It prints nothing: what there is to say goes to `tracing`, whose subscriber [`init_logging`] sets up.
//!
//! Start reading at [`start`]; [`config`] says what can be set.

mod challenge;
pub mod config;
mod files;
mod listener;
mod logging;
mod mirror;
mod outbound;
mod peer;
mod repository;
mod start;
mod tls;

pub use config::{Config, ConfigError};
pub use files::FileError;
pub use logging::init_logging;
pub use start::{RunningServer, StartError, start};
pub use tls::TlsError;
