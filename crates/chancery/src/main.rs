//! The `chancery` program: the server, its first set-up, and the operator's commands, in one binary.
//!
//! This crate only parses the command line and puts the others together: `server` runs, `cli` asks, `authority` is called
//! directly where no server is involved (checking an audit export). The clock and the randomness of the machine enter
//! here and nowhere below. Start reading at [`serve`]; [`quickstart`] is the same server walked through once.

mod audit;
mod bootstrap;
mod config;
mod failure;
mod quickstart;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Start here:
  chancery quickstart                  a CA, a template, profiles and certificates from nothing, then keeps serving
  chancery serve --config chancery.toml
  chancery cert request --profile tls-server --common-name www.example.internal

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reached, 4 not authenticated or not permitted,
5 not found.";

/// A certificate manager: certification authorities, rules about who may have which certificate, issuance and renewal.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, about, after_help = EXAMPLES, propagate_version = true, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArguments),
    /// Go from nothing to the first certificates, show how, and keep serving
    Quickstart(quickstart::QuickstartArguments),
    /// Show the configuration in force
    Config(config::ConfigArguments),
    /// Export the audit log, or check an export without the server
    Audit(audit::AuditArguments),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    #[command(flatten)]
    Operator(chancery_cli::Command),
}

fn main() -> ExitCode {
    let program = Program::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("The program cannot start its threads: {error}")).report(),
    };
    runtime.block_on(run(program.command))
}

async fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Quickstart(arguments) => quickstart::run(arguments).await,
        Command::Config(arguments) => config::run(&arguments),
        Command::Audit(arguments) => audit::run(arguments).await,
        Command::Openapi => {
            chancery_cli::output::print_bytes(format!("{}\n", chancery_api::openapi().trim_end()).as_bytes())
                .map_err(Failure::from)
        }
        Command::Operator(command) => return chancery_cli::run(command).await,
    };
    outcome.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}
