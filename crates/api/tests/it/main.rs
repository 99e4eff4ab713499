//! The JSON door over a real core on a temporary SQLite store, without a socket.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod external;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod insight;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod wire_rules;
#[cfg(test)]
mod workflow;
#[cfg(test)]
mod world;
