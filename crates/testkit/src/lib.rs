//! A whole server for tests, builders, and foreign judges.

pub mod crowd;
pub mod demonstration;
pub mod foreign;
pub mod judge;
pub mod screen;
pub mod world;
