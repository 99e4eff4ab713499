//! Checking passwords, a few at a time: one check takes tens of megabytes and a tenth of a second of CPU.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use crate::Authority;
use crate::error::Error;

/// Checks that run at once.
const CHECKS_MAX: usize = 2;
/// Callers that may wait for their turn; further ones are told to come back.
const WAITING_MAX: usize = 64;

/// Lets a few callers at a time look at a password. A turn is held from reading the failure count to writing it, so
/// that guessing in parallel does not outrun the count.
pub(super) struct PasswordGate {
    turns: Semaphore,
    waiting: AtomicUsize,
    /// Hash of a password that nobody has, checked when the account does not exist, so that both take equal time.
    decoy: OnceLock<String>,
}

impl Default for PasswordGate {
    fn default() -> Self {
        Self { turns: Semaphore::new(CHECKS_MAX), waiting: AtomicUsize::new(0), decoy: OnceLock::new() }
    }
}

impl PasswordGate {
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        let place = Place::take(&self.waiting)?;
        let turn = self.turns.acquire().await.map_err(Error::internal)?;
        drop(place);
        Ok(turn)
    }
}

/// A place in the waiting line, given back however the wait ends.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Error> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::SeqCst) >= WAITING_MAX {
            return Err(Error::RateLimited { retry_after_seconds: 1 });
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Authority {
    /// Whether the password is the one behind `hash`. Without a hash the same work is done and the answer is no.
    pub(super) async fn is_password(&self, password: &str, hash: Option<&str>) -> Result<bool, Error> {
        let authority = self.clone();
        let password = Zeroizing::new(password.to_owned());
        let hash = hash.map(str::to_owned);
        let check = move || {
            // Made by the first check of either kind, so that making it tells nothing.
            let decoy = authority.access_state().passwords.decoy.get_or_init(|| decoy(&authority));
            let matches = chancery_keys::verify_password(&password, hash.as_deref().unwrap_or(decoy));
            matches && hash.is_some()
        };
        tokio::task::spawn_blocking(check).await.map_err(Error::internal)
    }

    pub(super) async fn password_hash(&self, password: &str) -> Result<String, Error> {
        let authority = self.clone();
        let password = Zeroizing::new(password.to_owned());
        let hash = move || chancery_keys::hash_password(&password, authority.random());
        tokio::task::spawn_blocking(hash).await.map_err(Error::internal)
    }
}

fn decoy(authority: &Authority) -> String {
    let mut nobody = Zeroizing::new([0u8; 32]);
    authority.random().fill(nobody.as_mut_slice());
    chancery_keys::hash_password(&Zeroizing::new(hex::encode(nobody.as_slice())), authority.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_for_password_checks_is_bounded() {
        let gate = PasswordGate::default();
        let first = gate.turn().await.unwrap();
        let second = gate.turn().await.unwrap();
        {
            let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(gate.turn())).collect();
            for wait in &mut waiting {
                assert!(futures_poll_once(wait.as_mut()).await.is_none());
            }
            assert!(matches!(gate.turn().await, Err(Error::RateLimited { .. })));
        }
        // Those who gave up waiting left their places.
        drop((first, second));
        assert!(gate.turn().await.is_ok());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }

    async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
