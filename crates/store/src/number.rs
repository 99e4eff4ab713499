//! Row numbers of certificates and requests: integers that grow with time, made without asking the database.
//!
//! `milliseconds since 2020 (41 bits) | node (6 bits) | counter (16 bits)`. A list in order of creation is a walk along
//! these numbers, on several nodes too, and a time is a place in the walk.

use std::sync::{Mutex, PoisonError};

use chancery_model::Timestamp;

/// 2020-01-01T00:00:00Z in milliseconds.
const EPOCH: i64 = 1_577_836_800_000;
const COUNTER_BITS: u32 = 16;
const NODE_BITS: u32 = 6;
/// The lower half of the counters is for numbers made in order, the upper half for those made for a time that has passed.
const COUNTER_MAX: i64 = (1 << (COUNTER_BITS - 1)) - 1;
const NODES: i64 = 1 << NODE_BITS;
/// Until the year 2089.
const MILLIS_MAX: i64 = (1 << 41) - 1;
/// How far a number's time may be ahead of the record's, in milliseconds.
const AHEAD_MAX: i64 = 2_000;

const TOKENS_PER_JOB: i64 = 1 << 8;
const TOKENS_MASK: i64 = (1 << COUNTER_BITS) - 1;

#[derive(Debug)]
pub(crate) struct Numbering {
    node: i64,
    last: Mutex<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    millis: i64,
    counter: i64,
    /// Numbers made for a time that had passed.
    past: i64,
    /// The part of a first token that tells jobs apart.
    tokens: i64,
}

impl Numbering {
    /// Goes on after `largest`, the largest number that the database holds.
    pub fn after(largest: i64, node: i64) -> Self {
        let last =
            Last { millis: largest >> (COUNTER_BITS + NODE_BITS), counter: largest & COUNTER_MAX, past: 0, tokens: 0 };
        Self { node: node.rem_euclid(NODES), last: Mutex::new(last) }
    }

    /// The number for a record made at `created_at`.
    pub fn next(&self, created_at: Timestamp) -> i64 {
        let wanted = millis_of(created_at);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted > last.millis {
            (last.millis, last.counter) = (wanted, 0);
        } else if last.millis - wanted > AHEAD_MAX {
            // The clock went back, or a record carries an old time: it gets its place in the lists, and a counter that
            // was not given out then.
            last.past = (last.past + 1) & COUNTER_MAX;
            return self.compose(wanted, COUNTER_MAX + 1 + last.past);
        } else if last.counter == COUNTER_MAX {
            (last.millis, last.counter) = (last.millis + 1, 0);
        } else {
            last.counter += 1;
        }
        self.compose(last.millis, last.counter)
    }

    /// What the fencing tokens of a new job follow on. The next hundreds are left free for them, and the number grows with
    /// the records made, so that a job which is deleted and made again does not meet the tokens of before.
    pub fn first_token(&self) -> i64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.tokens = (last.tokens + TOKENS_PER_JOB) & TOKENS_MASK;
        self.compose(last.millis, 0) | last.tokens
    }

    const fn compose(&self, millis: i64, counter: i64) -> i64 {
        (millis << (COUNTER_BITS + NODE_BITS)) | (self.node << COUNTER_BITS) | counter
    }
}

fn millis_of(time: Timestamp) -> i64 {
    time.as_millis().saturating_sub(EPOCH).clamp(0, MILLIS_MAX)
}

/// Records made at `time` or later have this number or a larger one.
pub(crate) fn first_at(time: Timestamp) -> i64 {
    millis_of(time) << (COUNTER_BITS + NODE_BITS)
}

/// Records made at `time` or earlier have a smaller number.
pub(crate) fn first_after(time: Timestamp) -> i64 {
    let millis = millis_of(time).saturating_add(AHEAD_MAX + 1).min(MILLIS_MAX);
    if millis == MILLIS_MAX { i64::MAX } else { millis << (COUNTER_BITS + NODE_BITS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_while_the_clock_stands_still_and_after_a_restart() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let numbering = Numbering::after(0, 3);
        let mut largest = 0;
        for _ in 0..70_000 {
            let next = numbering.next(at);
            assert!(next > largest);
            largest = next;
        }
        assert!(Numbering::after(largest, 3).next(at) > largest);
        assert!(first_at(at) <= largest && largest < first_after(at));
    }

    #[test]
    fn a_record_of_the_past_gets_a_place_in_the_past() {
        let numbering = Numbering::after(0, 0);
        let now = numbering.next(Timestamp::from_seconds(1_800_000_000));
        let old = Timestamp::from_seconds(1_700_000_000);
        let (first, second) = (numbering.next(old), numbering.next(old));
        assert!(first < now && second < now && first != second);
        assert!(first_at(old) <= first && first < first_after(old));
    }

    #[test]
    fn jobs_made_one_after_another_share_no_tokens() {
        let numbering = Numbering::after(Numbering::after(0, 0).next(Timestamp::from_seconds(1_800_000_000)), 5);
        let mut firsts: Vec<i64> = (0..255).map(|_| numbering.first_token()).collect();
        firsts.sort_unstable();
        assert!(firsts.windows(2).all(|pair| pair[1] - pair[0] >= 256));
        let other_node = Numbering::after(0, 6);
        other_node.next(Timestamp::from_seconds(1_800_000_000));
        assert!(!firsts.contains(&other_node.first_token()));
    }

    #[test]
    fn times_outside_the_range_still_give_numbers() {
        let numbering = Numbering::after(0, 0);
        assert!(numbering.next(Timestamp::from_millis(5)) >= 0);
        assert!(numbering.next(Timestamp::MAX) > 0);
        assert_eq!(first_after(Timestamp::MAX), i64::MAX);
    }
}
