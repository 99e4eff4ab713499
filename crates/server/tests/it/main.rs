//! The server from outside: what can be configured, and what is refused with which words.

#[cfg(test)]
mod config;
#[cfg(test)]
mod start;
