//! The pool never lets more callers in than it can serve, and never loses a place.

use std::collections::HashSet;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use chancery_keys::{KeyPool, KeyPoolError};
use chancery_pkix::KeyAlgorithm;

#[tokio::test]
async fn callers_beyond_the_queue_are_turned_away_at_once() {
    let pool = KeyPool::new(1, 2);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut caller = Box::pin(pool.generate(KeyAlgorithm::Rsa3072));
        assert!(caller.as_mut().poll(&mut context).is_pending());
        waiting.push(caller);
    }
    let full = pin!(pool.generate(KeyAlgorithm::Rsa3072)).poll(&mut context);
    assert!(matches!(full, Poll::Ready(Err(KeyPoolError::Full))));
    let quick = pin!(pool.generate(KeyAlgorithm::EcP256)).poll(&mut context);
    assert!(matches!(quick, Poll::Ready(Ok(_))), "elliptic-curve keys need no place in the queue");

    waiting.pop();
    let mut next = Box::pin(pool.generate(KeyAlgorithm::Rsa2048));
    assert!(next.as_mut().poll(&mut context).is_pending(), "a caller that went away gave its place back");
    waiting.push(next);
    for caller in waiting {
        assert!(caller.await.is_ok());
    }
}

#[tokio::test]
async fn every_key_is_handed_out_once() {
    let pool = KeyPool::new(1, 8);
    let mut seen = HashSet::new();
    for _ in 0..7 {
        let key = pool.generate(KeyAlgorithm::Rsa2048).await.unwrap();
        assert_eq!(key.algorithm(), KeyAlgorithm::Rsa2048);
        assert!(seen.insert(key.public_key().spki_der().to_vec()));
    }
}

#[tokio::test]
async fn every_algorithm_comes_out_of_the_pool() {
    let pool = KeyPool::for_this_machine();
    for algorithm in KeyAlgorithm::ALL.iter().copied().filter(|one| *one != KeyAlgorithm::Rsa4096) {
        assert_eq!(pool.generate(algorithm).await.unwrap().algorithm(), algorithm);
    }
}
