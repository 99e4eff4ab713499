//! Exporting the audit log: a stream of lines, read in small steps so that a log of any length fits.

use std::collections::VecDeque;

use chancery_model::ProjectId;
use chancery_model::audit::{AuditEntry, AuditEvent};
use chancery_model::permission::Permission;
use chancery_store::{Change, Write};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::line::{Checkpoint, CheckpointLine, End, EndLine, EntryLine, Seal, entry_hash, to_text};
use crate::error::Error;
use crate::{Authority, Call};

/// Name of the record that holds the checkpoints of the last finished export.
const CHECKPOINTS: &str = "audit-checkpoints";
/// Entries read at once.
const STEP: u32 = 256;

/// An export under way. Call [`AuditExport::next_lines`] until it answers `None`.
pub struct AuditExport {
    authority: Authority,
    project: ProjectId,
    /// Nodes still to come with the last sequence number to export, in the order of names.
    nodes: VecDeque<(String, i64)>,
    current: Option<Section>,
    /// Checkpoints of the last finished export that did not come up yet.
    earlier: Vec<CheckpointLine>,
    /// Whether an earlier checkpoint contradicts the log as it is now.
    is_contradicted: bool,
    fresh: Vec<CheckpointLine>,
    digest: Sha256,
    entries: u64,
    checkpoints: u64,
    has_ended: bool,
}

/// The chain being exported: how far, and up to where.
struct Section {
    node: String,
    sequence: i64,
    hash: [u8; 32],
    last: i64,
}

impl Authority {
    /// The Ed25519 key that signs checkpoints, to be kept where exports are verified.
    #[must_use]
    pub fn audit_public_key(&self) -> [u8; 32] {
        self.sealer().audit_signing_key().public()
    }

    /// Begins an export of everything that is in the log now, this export's own entry included. Entries of projects that
    /// the caller cannot see are exported as hashes only.
    pub async fn export_audit(&self, call: &Call) -> Result<AuditExport, Error> {
        call.requester.require(Permission::AuditRead)?;
        let record = call.audit(self.now(), AuditEvent::AuditExported, None, serde_json::json!({}));
        self.commit(Write::default().audited(record)).await?;
        let mut nodes = self.reader().audit_nodes().await?;
        nodes.sort();
        let earlier = match self.reader().meta(CHECKPOINTS).await? {
            Some(text) => serde_json::from_slice(&text)
                .map_err(|_| Error::internal("the stored audit checkpoints are damaged"))?,
            None => Vec::new(),
        };
        Ok(AuditExport {
            authority: self.clone(),
            project: call.project_id(),
            nodes: nodes.into(),
            current: None,
            earlier,
            is_contradicted: false,
            fresh: Vec::new(),
            digest: Sha256::new(),
            entries: 0,
            checkpoints: 0,
            has_ended: false,
        })
    }
}

impl AuditExport {
    /// Some more whole lines; `None` after the end line. An error ends the export: what was given out does not verify.
    pub async fn next_lines(&mut self) -> Result<Option<String>, Error> {
        let mut text = String::new();
        while text.is_empty() {
            if self.has_ended {
                return Ok(None);
            }
            self.advance(&mut text).await?;
        }
        Ok(Some(text))
    }

    async fn advance(&mut self, text: &mut String) -> Result<(), Error> {
        if self.current.is_none() {
            let Some((node, last)) = self.nodes.pop_front() else { return self.end(text).await };
            self.current = Some(Section { node, sequence: 0, hash: [0; 32], last });
        }
        let Some(mut section) = self.current.take() else { return Ok(()) };
        let wanted = section.last.saturating_sub(section.sequence).clamp(0, i64::from(STEP));
        let wanted = u32::try_from(wanted).unwrap_or(STEP);
        let found = if wanted == 0 {
            Vec::new()
        } else {
            self.authority.reader().audit_chain(&section.node, section.sequence, wanted).await?
        };
        if found.is_empty() {
            return self.close_section(&section, text);
        }
        for entry in found {
            self.entry(&entry, text)?;
            (section.sequence, section.hash) = (entry.sequence, entry.hash);
            self.earlier_checkpoints(&section, text)?;
        }
        self.current = Some(section);
        Ok(())
    }

    fn entry(&mut self, entry: &AuditEntry, text: &mut String) -> Result<(), Error> {
        let is_default = self.project == self.authority.default_project_id();
        let is_visible = entry.project_id.map_or(is_default, |project| project == self.project);
        let is_sound = entry_hash(&entry.previous_hash, &entry.body) == entry.hash;
        let body = match (is_visible, is_sound) {
            (true, _) => Some(entry.body.clone()),
            // Nobody can check a text that is left out, so it is checked here. An empty text never fits its hash: who
            // verifies the export learns that this entry was changed.
            (false, false) => Some(String::new()),
            (false, true) => None,
        };
        self.entries += 1;
        let line = EntryLine {
            node: entry.node.clone(),
            sequence: entry.sequence,
            body,
            previous_hash: entry.previous_hash,
            hash: entry.hash,
        };
        self.write(&line, text)
    }

    /// Checkpoints of the last export stand where they were signed, so that a chain rewritten since does not fit them.
    fn earlier_checkpoints(&mut self, section: &Section, text: &mut String) -> Result<(), Error> {
        let is_here =
            |it: &CheckpointLine| it.checkpoint.node == section.node && it.checkpoint.sequence == section.sequence;
        if !self.earlier.iter().any(is_here) {
            return Ok(());
        }
        let (here, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.earlier).into_iter().partition(is_here);
        self.earlier = later;
        self.is_contradicted |= here.iter().any(|it| it.checkpoint.hash != section.hash);
        self.give_out(here, text)
    }

    /// A checkpoint of the last export beyond the end of the chain is evidence that entries were removed: it is given
    /// out before the fresh one.
    fn close_section(&mut self, section: &Section, text: &mut String) -> Result<(), Error> {
        let is_ours = |it: &CheckpointLine| it.checkpoint.node == section.node;
        let (beyond, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.earlier).into_iter().partition(is_ours);
        self.earlier = others;
        self.is_contradicted |= !beyond.is_empty();
        self.give_out(beyond, text)?;
        let checkpoint = Checkpoint::new(&section.node, section.sequence, section.hash, self.authority.now());
        let seal = self.seal(&checkpoint.message().map_err(Error::internal)?);
        let line = CheckpointLine { checkpoint, seal };
        self.fresh.push(line.clone());
        self.give_out(vec![line], text)
    }

    fn give_out(&mut self, lines: Vec<CheckpointLine>, text: &mut String) -> Result<(), Error> {
        for line in lines {
            self.checkpoints += 1;
            self.write(&line, text)?;
        }
        Ok(())
    }

    async fn end(&mut self, text: &mut String) -> Result<(), Error> {
        // What is left belongs to nodes whose entries have all vanished.
        let orphans = std::mem::take(&mut self.earlier);
        self.is_contradicted |= !orphans.is_empty();
        self.give_out(orphans, text)?;
        let end = End {
            entries: self.entries,
            checkpoints: self.checkpoints,
            digest: self.digest.clone().finalize().into(),
            time: self.authority.now().to_string(),
        };
        let seal = self.seal(&end.message().map_err(Error::internal)?);
        self.write(&EndLine { end, seal }, text)?;
        // Evidence stays for the next export too: fresh checkpoints would cover it up.
        if !self.is_contradicted {
            let value = serde_json::to_vec(&self.fresh).map_err(Error::internal)?;
            let write = Write::default().with(Change::SetMeta { key: CHECKPOINTS.to_owned(), value });
            self.authority.commit(write).await?;
        }
        self.has_ended = true;
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize, text: &mut String) -> Result<(), Error> {
        let line = to_text(line).map_err(Error::internal)?;
        self.digest.update(line.as_bytes());
        text.push_str(&line);
        Ok(())
    }

    fn seal(&self, message: &[u8]) -> Seal {
        let key = self.authority.sealer().audit_signing_key();
        Seal { signature: key.sign(message), public_key: key.public() }
    }
}
