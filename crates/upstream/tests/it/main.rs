//! The back doors against real programs where there are any, and against strict stand-ins where there are none.

mod acme;
mod bao;
mod certcentral;
mod digicert;
mod dns;
mod pki;
mod site;
mod stand_in;
mod vault;
mod vault_faults;
