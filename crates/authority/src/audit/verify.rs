//! Offline verification of an export: a pure function over its bytes.

use std::io::{BufRead, Read as _};

use chancery_pkix::{PublicKey, SignatureAlgorithm};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::line::{CheckpointLine, EndLine, EntryLine, Line, Seal, entry_hash, to_text};

/// Longer lines are refused before they are parsed.
const LINE_LENGTH_MAX: u64 = 16 * 1024 * 1024;

/// What a verified export holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAudit {
    pub entries: u64,
    /// Entries of other projects: chained and counted, with their text left out.
    pub withheld: u64,
    pub checkpoints: u64,
    pub nodes: Vec<VerifiedChain>,
    /// The key that signed all of it; compare it with the one the server shows.
    pub public_key: [u8; 32],
}

/// One node's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    pub node: String,
    pub last_sequence: i64,
    pub hash: [u8; 32],
}

/// The first thing wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFault {
    /// 1 for the first line.
    pub line: u64,
    /// The entry or checkpoint concerned, as far as it is known.
    pub node: Option<String>,
    pub sequence: Option<i64>,
    pub reason: String,
}

impl std::fmt::Display for AuditFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        if let (Some(node), Some(sequence)) = (&self.node, self.sequence) {
            write!(f, ", entry {sequence} of node {node}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for AuditFault {}

/// Checks that an export is complete and unchanged since it was signed by the key it names.
pub fn verify_export(reader: impl BufRead) -> Result<VerifiedAudit, AuditFault> {
    Verifier::new(None).run(reader)
}

/// As [`verify_export`], and that the key is the given one: the only way to tell a forged export from a true one.
pub fn verify_export_signed_by(reader: impl BufRead, public_key: &[u8; 32]) -> Result<VerifiedAudit, AuditFault> {
    Verifier::new(Some(*public_key)).run(reader)
}

struct Verifier {
    /// The key everything has to be signed by: the expected one, or the first one met.
    key: Option<([u8; 32], PublicKey)>,
    expected_key: Option<[u8; 32]>,
    /// The chain being read is the last one.
    chains: Vec<VerifiedChain>,
    /// Whether the last entry read is covered by a checkpoint.
    is_sealed: bool,
    entries: u64,
    withheld: u64,
    checkpoints: u64,
    digest: Sha256,
    has_ended: bool,
    line: u64,
}

impl Verifier {
    fn new(expected_key: Option<[u8; 32]>) -> Self {
        Self {
            key: None,
            expected_key,
            chains: Vec::new(),
            is_sealed: true,
            entries: 0,
            withheld: 0,
            checkpoints: 0,
            digest: Sha256::new(),
            has_ended: false,
            line: 0,
        }
    }

    fn run(mut self, mut reader: impl BufRead) -> Result<VerifiedAudit, AuditFault> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            self.line += 1;
            let read = reader.by_ref().take(LINE_LENGTH_MAX).read_until(b'\n', &mut bytes);
            match read {
                Ok(0) => break,
                Ok(_) => self.line(&bytes)?,
                Err(error) => return Err(self.fault(format!("the file cannot be read: {error}"))),
            }
        }
        let Some((public_key, _)) = self.key.as_ref().filter(|_| self.has_ended) else {
            return Err(self.next_fault("the export breaks off here; it was cut, or it was never finished"));
        };
        Ok(VerifiedAudit {
            entries: self.entries,
            withheld: self.withheld,
            checkpoints: self.checkpoints,
            public_key: *public_key,
            nodes: self.chains,
        })
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), AuditFault> {
        if self.has_ended {
            return Err(self.fault("something follows the end of the export"));
        }
        let parsed = std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str::<Line>(text).ok());
        let Some(line) = parsed else {
            return Err(self.next_fault("the line is no entry, no checkpoint and no end"));
        };
        // Bytes that JSON does not care about would otherwise be free to change.
        if to_text(&line).ok().as_deref().map(str::as_bytes) != Some(bytes) {
            return Err(self.next_fault("the line is spelled differently from how it was exported"));
        }
        match &line {
            Line::Entry(entry) => self.entry(entry)?,
            Line::Checkpoint(checkpoint) => self.checkpoint(checkpoint)?,
            Line::End(end) => self.end(end)?,
        }
        self.digest.update(bytes);
        Ok(())
    }

    fn entry(&mut self, entry: &EntryLine) -> Result<(), AuditFault> {
        let fault = |reason: String| Err(self.fault_at(&entry.node, entry.sequence, reason));
        let (sequence, previous) = match self.chains.last() {
            Some(chain) if chain.node == entry.node => (chain.last_sequence, chain.hash),
            Some(chain) if !self.is_sealed => {
                let reason =
                    format!("no checkpoint covers the end of node {}, entry {}", chain.node, chain.last_sequence);
                return fault(reason);
            }
            Some(chain) if chain.node >= entry.node => {
                return fault(format!("the entry is out of place: it follows those of node {}", chain.node));
            }
            _ => (0, [0; 32]),
        };
        if entry.sequence != sequence.saturating_add(1) {
            return fault(format!(
                "entry {} is expected here; entries are missing or in another order",
                sequence.saturating_add(1)
            ));
        }
        if entry.previous_hash != previous {
            return fault("its previous hash is not the hash of the entry before it".to_owned());
        }
        match &entry.body {
            None => self.withheld += 1,
            Some(body) if entry_hash(&previous, body) != entry.hash => {
                return fault("its hash does not fit its text: the entry was changed".to_owned());
            }
            Some(body) if !names_place(body, entry) => {
                return fault("its text names another place in the log".to_owned());
            }
            Some(_) => {}
        }
        self.entries += 1;
        self.is_sealed = false;
        let chain = VerifiedChain { node: entry.node.clone(), last_sequence: entry.sequence, hash: entry.hash };
        match self.chains.last_mut() {
            Some(last) if last.node == chain.node => *last = chain,
            _ => self.chains.push(chain),
        }
        Ok(())
    }

    fn checkpoint(&mut self, line: &CheckpointLine) -> Result<(), AuditFault> {
        let checkpoint = &line.checkpoint;
        let at = |this: &Self, reason: &str| Err(this.fault_at(&checkpoint.node, checkpoint.sequence, reason));
        if let Err(reason) = self.check_seal(&line.seal, checkpoint.message()) {
            return at(self, &format!("the checkpoint is not valid: {reason}"));
        }
        let Some(chain) = self.chains.last().filter(|chain| chain.node == checkpoint.node) else {
            return at(self, "a checkpoint was signed for this node, but its entries are missing here");
        };
        if checkpoint.sequence > chain.last_sequence {
            return at(
                self,
                "a checkpoint was signed for this entry, but the chain ends before it: entries were removed",
            );
        }
        if checkpoint.sequence < chain.last_sequence {
            return at(self, "the checkpoint is out of place: it belongs right behind its entry");
        }
        if checkpoint.hash != chain.hash {
            return at(self, "the signed checkpoint has another hash: this entry or one before it was rewritten");
        }
        self.checkpoints += 1;
        self.is_sealed = true;
        Ok(())
    }

    fn end(&mut self, line: &EndLine) -> Result<(), AuditFault> {
        if !self.is_sealed {
            return Err(self.next_fault("no checkpoint covers the end of the last node's chain"));
        }
        if let Err(reason) = self.check_seal(&line.seal, line.end.message()) {
            return Err(self.fault(format!("the end line is not valid: {reason}")));
        }
        let digest: [u8; 32] = self.digest.clone().finalize().into();
        if (line.end.entries, line.end.checkpoints) != (self.entries, self.checkpoints) {
            let reason = format!(
                "{} entries and {} checkpoints were exported, {} and {} are here",
                line.end.entries, line.end.checkpoints, self.entries, self.checkpoints
            );
            return Err(self.fault(reason));
        }
        if line.end.digest != digest {
            return Err(self.fault("a line before was changed, added, removed or moved after the export was signed"));
        }
        self.has_ended = true;
        Ok(())
    }

    /// Whether the signature is good and made by the one key of this export.
    fn check_seal(&mut self, seal: &Seal, message: Result<Vec<u8>, serde_json::Error>) -> Result<(), &'static str> {
        if self.expected_key.is_some_and(|expected| expected != seal.public_key) {
            return Err("it is signed by another key than the expected one");
        }
        if self.key.is_none() {
            let key = PublicKey::from_spki_der(&spki(&seal.public_key))
                .map_err(|_| "its public key is not an Ed25519 key")?;
            self.key = Some((seal.public_key, key));
        }
        let Some((bytes, key)) = &self.key else { return Err("there is no key") };
        if *bytes != seal.public_key {
            return Err("it is signed by another key than the lines before");
        }
        let message = message.map_err(|_| "it cannot be read")?;
        if key.verify(SignatureAlgorithm::Ed25519, &message, &seal.signature) {
            Ok(())
        } else {
            Err("its signature is wrong")
        }
    }

    fn fault(&self, reason: impl Into<String>) -> AuditFault {
        AuditFault { line: self.line, node: None, sequence: None, reason: reason.into() }
    }

    fn fault_at(&self, node: &str, sequence: i64, reason: impl Into<String>) -> AuditFault {
        AuditFault { line: self.line, node: Some(node.to_owned()), sequence: Some(sequence), reason: reason.into() }
    }

    /// A fault where the entry after the last good one should be.
    fn next_fault(&self, reason: &str) -> AuditFault {
        match self.chains.last() {
            Some(chain) => self.fault_at(&chain.node, chain.last_sequence.saturating_add(1), reason),
            None => self.fault(reason),
        }
    }
}

/// The part of a body that says which entry it is.
#[derive(Deserialize)]
struct Place {
    node: String,
    sequence: i64,
}

fn names_place(body: &str, entry: &EntryLine) -> bool {
    serde_json::from_str::<Place>(body).is_ok_and(|place| place.node == entry.node && place.sequence == entry.sequence)
}

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4).
fn spki(public_key: &[u8; 32]) -> Vec<u8> {
    const HEADER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [HEADER.as_slice(), public_key.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use chancery_keys::{AuditSigningKey, Kek, Sealer};
    use chancery_model::Timestamp;
    use chancery_model::random::SeededRandomness;

    use super::super::line::{Checkpoint, End};
    use super::*;

    fn key(seed: u64) -> AuditSigningKey {
        let kek = Kek::from_text(&"5a".repeat(32)).unwrap();
        Sealer::initialise(&kek, &SeededRandomness::new(seed)).0.audit_signing_key()
    }

    fn sealed(key: &AuditSigningKey, message: &[u8]) -> Seal {
        Seal { signature: key.sign(message), public_key: key.public() }
    }

    fn entry(node: &str, sequence: i64, previous_hash: [u8; 32], is_withheld: bool) -> EntryLine {
        let body = format!(
            r#"{{"node":"{node}","sequence":{sequence},"event":"auth.login","details":{{"name":"ä \"x\"\n"}}}}"#
        );
        let hash = entry_hash(&previous_hash, &body);
        EntryLine { node: node.to_owned(), sequence, body: (!is_withheld).then_some(body), previous_hash, hash }
    }

    fn checkpoint(key: &AuditSigningKey, entry: &EntryLine) -> CheckpointLine {
        let checkpoint = Checkpoint::new(&entry.node, entry.sequence, entry.hash, Timestamp::from_seconds(1_000));
        let seal = sealed(key, &checkpoint.message().unwrap());
        CheckpointLine { checkpoint, seal }
    }

    /// Lines without an end, as they come out for two nodes; entries that the predicate names are withheld.
    fn chains(key: &AuditSigningKey, is_withheld: impl Fn(&str, i64) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (node, last) in [("node-1", 6), ("node-2", 3)] {
            let mut previous = [0; 32];
            for sequence in 1..=last {
                let entry = entry(node, sequence, previous, is_withheld(node, sequence));
                previous = entry.hash;
                lines.push(to_text(&entry).unwrap());
                if sequence == last || sequence == 4 {
                    lines.push(to_text(&checkpoint(key, &entry)).unwrap());
                }
            }
        }
        lines
    }

    fn ended(key: &AuditSigningKey, lines: &[String]) -> Vec<String> {
        let text = lines.concat();
        let count = |needle: &str| u64::try_from(lines.iter().filter(|line| line.starts_with(needle)).count()).unwrap();
        let end = End {
            entries: count("{\"node\""),
            checkpoints: count("{\"checkpoint\""),
            digest: Sha256::digest(text.as_bytes()).into(),
            time: "2026-01-01T00:00:00.000Z".to_owned(),
        };
        let seal = sealed(key, &end.message().unwrap());
        [lines, &[to_text(&EndLine { end, seal }).unwrap()]].concat()
    }

    fn export() -> Vec<String> {
        let key = key(1);
        ended(&key, &chains(&key, |_, _| false))
    }

    fn fault_of(text: &str) -> AuditFault {
        verify_export(text.as_bytes()).expect_err("the export must be found faulty")
    }

    #[test]
    fn an_untouched_export_verifies() {
        let found = verify_export(export().concat().as_bytes()).unwrap();
        assert_eq!((found.entries, found.withheld, found.checkpoints), (9, 0, 3));
        let nodes: Vec<_> = found.nodes.iter().map(|it| (it.node.as_str(), it.last_sequence)).collect();
        assert_eq!(nodes, [("node-1", 6), ("node-2", 3)]);
        assert_eq!(found.public_key, key(1).public());
        assert!(verify_export_signed_by(export().concat().as_bytes(), &key(1).public()).is_ok());
    }

    #[test]
    fn every_changed_byte_is_found() {
        let text = export().concat().into_bytes();
        for at in 0..text.len() {
            for flip in [0x01, 0x20] {
                let mut changed = text.clone();
                changed[at] ^= flip;
                assert!(verify_export(changed.as_slice()).is_err(), "byte {at} ^ {flip:#x}");
            }
        }
    }

    #[test]
    fn every_changed_byte_is_found_where_texts_are_withheld() {
        let key = key(1);
        let text = ended(&key, &chains(&key, |node, sequence| node == "node-2" || sequence == 2)).concat().into_bytes();
        assert_eq!(verify_export(text.as_slice()).map(|it| (it.entries, it.withheld)), Ok((9, 4)));
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 0x01;
            assert!(verify_export(changed.as_slice()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn every_removed_doubled_or_moved_line_is_found() {
        let lines = export();
        for at in 0..lines.len() {
            let mut removed = lines.clone();
            removed.remove(at);
            assert!(verify_export(removed.concat().as_bytes()).is_err(), "line {at} removed");
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at].clone());
            assert!(verify_export(doubled.concat().as_bytes()).is_err(), "line {at} doubled");
            for other in at + 1..lines.len() {
                let mut moved = lines.clone();
                moved.swap(at, other);
                assert!(verify_export(moved.concat().as_bytes()).is_err(), "lines {at} and {other} swapped");
            }
        }
    }

    #[test]
    fn every_cut_is_found() {
        let text = export().concat();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(verify_export(&text.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    /// What the fault names: its line, its node and its sequence number.
    fn check_named(lines: &[String], line: u64, node: &str, sequence: i64) {
        let fault = fault_of(&lines.concat());
        assert_eq!((fault.line, fault.node.as_deref(), fault.sequence), (line, Some(node), Some(sequence)), "{fault}");
    }

    #[test]
    fn the_first_bad_entry_is_named() {
        let mut changed = export();
        changed[2] = changed[2].replace("auth.login", "auth.nothing");
        check_named(&changed, 3, "node-1", 3);
        let mut removed = export();
        removed.remove(1);
        check_named(&removed, 2, "node-1", 3);
        let mut cut = export();
        cut.truncate(3);
        check_named(&cut, 4, "node-1", 4);
        let mut garbled = export();
        garbled[8] = "nonsense\n".to_owned();
        check_named(&garbled, 9, "node-1", 7);
    }

    #[test]
    fn a_chain_rewritten_after_a_checkpoint_does_not_fit_it() {
        let key = key(1);
        let first = entry("node-1", 1, [0; 32], false);
        let second = entry("node-1", 2, first.hash, false);
        let earlier = checkpoint(&key, &second);
        // The attacker owns the database but not the key: the second entry is replaced and correctly chained.
        let mut forged = entry("node-1", 2, first.hash, false);
        forged.body = forged.body.map(|body| body.replace("auth.login", "auth.logout"));
        forged.hash = entry_hash(&first.hash, forged.body.as_deref().unwrap());
        let texts = |second: &EntryLine| {
            let fresh = checkpoint(&key, second);
            ended(&key, &[&first as &dyn ToLine, second, &earlier, &fresh].map(ToLine::line))
        };
        assert!(verify_export(texts(&second).concat().as_bytes()).is_ok());
        check_named(&texts(&forged), 3, "node-1", 2);
        // The same, and the second entry is just gone.
        let cut = ended(&key, &[&first as &dyn ToLine, &earlier, &checkpoint(&key, &first)].map(ToLine::line));
        check_named(&cut, 2, "node-1", 2);
        // All entries are gone.
        check_named(&ended(&key, &[earlier.line()]), 1, "node-1", 2);
    }

    trait ToLine {
        fn line(&self) -> String;
    }

    impl<T: serde::Serialize> ToLine for T {
        fn line(&self) -> String {
            to_text(self).unwrap()
        }
    }

    #[test]
    fn a_forged_export_is_told_by_its_key() {
        let forged = { ended(&key(2), &chains(&key(2), |_, _| false)).concat() };
        assert!(verify_export(forged.as_bytes()).is_ok(), "it agrees with itself");
        let fault = verify_export_signed_by(forged.as_bytes(), &key(1).public()).unwrap_err();
        assert!(fault.reason.contains("another key"), "{fault}");
        // Two keys in one export are found without knowing either.
        let mixed = ended(&key(2), &chains(&key(1), |_, _| false)).concat();
        assert!(verify_export(mixed.as_bytes()).is_err());
    }

    #[test]
    fn an_entry_moved_into_another_place_is_found_even_when_it_is_hashed_anew() {
        let key = key(1);
        let mut first = entry("node-1", 2, [0; 32], false);
        first.sequence = 1;
        let lines = [first.line(), checkpoint(&key, &first).line()];
        check_named(&ended(&key, &lines), 1, "node-1", 1);
    }

    proptest::proptest! {
        #[test]
        fn verification_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            proptest::prop_assert!(verify_export(bytes.as_slice()).is_err());
        }
    }
}
