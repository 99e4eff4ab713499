//! A whole server for tests, builders, and foreign judges.

pub mod foreign;
pub mod judge;
pub mod world;
