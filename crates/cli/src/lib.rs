//! Operator commands over the HTTP API: ask for certificates, renew and fetch them, look at and create what they need.
//!
//! Called by the `chancery` binary, which hands over a parsed [`Command`], and by its quickstart and the tests, which use
//! the [`Client`] alone. This crate stands outside the server: it knows what the API says ([`chancery_wire`]) and what the
//! bytes mean ([`chancery_pkix`]), and nothing of how either is made. It keeps no state but the files it is asked to write.
//!
//! Start reading at [`client`]; a command's arguments and its work stand together in the file named after its noun.

mod app_connection;
pub mod application;
pub mod ca;
pub mod certificate;
pub mod client;
pub mod connection;
pub mod error;
pub mod files;
mod lookup;
pub mod output;
pub mod profile;
mod request;
pub mod template;
mod typed;

use std::process::ExitCode;

use clap::Subcommand;

pub use client::{Client, Reply};
pub use connection::{ConnectionArguments, Credentials};
pub use error::CliError;
pub use output::Output;

/// What an operator does over the API.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Request, renew, look at and fetch certificates.
    #[command(visible_alias = "certificate")]
    Cert(Box<certificate::CertificateArguments>),
    /// What became of certificate requests, and those that wait for an external CA.
    Request(Box<request::RequestsArguments>),
    /// Look at and create certification authorities, those of others too.
    Ca(Box<ca::CaArguments>),
    /// Look at and keep app connections: credentials for DNS providers, external CAs and vaults.
    Connection(Box<app_connection::AppConnectionArguments>),
    /// Look at and create certificate templates: what a request may contain.
    #[command(visible_alias = "policy")]
    Template(Box<template::TemplateArguments>),
    /// Look at and create certificate profiles: a template, an issuer and defaults under one name.
    Profile(Box<profile::ProfileArguments>),
    /// Look at and create applications: groups of certificates with their profiles and members.
    #[command(visible_alias = "app")]
    Application(Box<application::ApplicationArguments>),
}

/// Runs one command to its end. Results go to standard output, everything else to standard error; the exit code follows
/// [`CliError::exit_code`].
pub async fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Cert(arguments) => certificate::run(*arguments).await,
        Command::Request(arguments) => request::run(*arguments).await,
        Command::Ca(arguments) => ca::run(*arguments).await,
        Command::Connection(arguments) => app_connection::run(*arguments).await,
        Command::Template(arguments) => template::run(*arguments).await,
        Command::Profile(arguments) => profile::run(*arguments).await,
        Command::Application(arguments) => application::run(*arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.explain());
            ExitCode::from(error.exit_code())
        }
    }
}
