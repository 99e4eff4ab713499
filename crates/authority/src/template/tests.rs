//! The room judged as a whole: tables of rules and requests, and properties over random ones.

mod build;
mod choosing;
mod judgement;
mod profiles;
mod properties;
mod rereading;
mod saving;
