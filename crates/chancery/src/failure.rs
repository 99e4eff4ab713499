//! Why a command ended early: words for the operator and an exit code for scripts.

use std::process::ExitCode;

use chancery_cli::CliError;

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something failed while it ran.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The command line or the configuration is wrong; nothing was begun.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// An error with all its causes in one line.
    pub fn caused(what: &str, error: &dyn std::error::Error) -> Self {
        Self::failed(format!("{what}: {}", causes(error)))
    }

    pub fn report(self) -> ExitCode {
        let first = if self.message.starts_with("error:") { "" } else { "error: " };
        eprintln!("{first}{}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self { code: error.exit_code(), message: error.explain() }
    }
}

/// An error and what caused it, outermost first. A cause that the text before it already tells is left out.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = deeper.source();
    }
    text
}
