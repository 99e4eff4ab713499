//! Where log events go: lines on standard error. What is logged about a request is the doors' business.

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Sets up the process's log output. A second call, or a subscriber that is already there, changes nothing.
pub fn init_logging(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.log_level);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    if done.is_err() {
        tracing::debug!("Log output was already set up.");
    }
}
