//! Tells a step that follows its own reservation from one that resumes somebody else's.
//!
//! Before something is asked for that must not be asked for twice, the intention is written down with a word that only
//! this process knows to be fresh. Whoever finds the intention without holding the word (the process died, another node
//! took over, the answer could not be recorded) has to look first whether it was done.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use chancery_model::Randomness;

/// Words that were never fetched: their orders were taken over by somebody else. Forgetting all is safe: it only makes
/// the next steps look twice.
const WORDS_MAX: usize = 4_096;

#[derive(Default)]
pub(crate) struct Fresh(Mutex<HashSet<String>>);

impl Fresh {
    /// A new word, good for one [`Self::take`].
    pub(crate) fn word(&self, randomness: &dyn Randomness) -> String {
        let mut bytes = [0; 12];
        randomness.fill(&mut bytes);
        let word = hex::encode(bytes);
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() >= WORDS_MAX {
            words.clear();
        }
        words.insert(word.clone());
        word
    }

    /// Whether the word is fresh; it is not any more.
    pub(crate) fn take(&self, word: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(word)
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::random::SeededRandomness;

    use super::*;

    #[test]
    fn a_word_is_fresh_once_and_only_where_it_was_made() {
        let (here, elsewhere) = (Fresh::default(), Fresh::default());
        let word = here.word(&SeededRandomness::new(1));
        assert!(!elsewhere.take(&word));
        assert!(here.take(&word));
        assert!(!here.take(&word));
    }

    #[test]
    fn forgotten_words_are_not_fresh_and_memory_is_bounded() {
        let (fresh, randomness) = (Fresh::default(), SeededRandomness::new(2));
        let first = fresh.word(&randomness);
        for _ in 0..WORDS_MAX {
            fresh.word(&randomness);
        }
        assert!(!fresh.take(&first));
        assert!(fresh.0.lock().unwrap().len() <= WORDS_MAX);
    }
}
