//! The lines of an export and what their signatures cover.

use chancery_model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Unknown fields need no refusal here: a line has to be spelled exactly as it was exported.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Line {
    Entry(EntryLine),
    Checkpoint(CheckpointLine),
    End(EndLine),
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryLine {
    pub node: String,
    pub sequence: i64,
    /// The exact text that was hashed; null for an entry that the exporter may not read.
    pub body: Option<String>,
    #[serde(with = "hexadecimal")]
    pub previous_hash: [u8; 32],
    #[serde(with = "hexadecimal")]
    pub hash: [u8; 32],
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckpointLine {
    pub checkpoint: Checkpoint,
    #[serde(flatten)]
    pub seal: Seal,
}

/// "The chain of this node had this hash at this entry, at this time."
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkpoint {
    pub node: String,
    pub sequence: i64,
    #[serde(with = "hexadecimal")]
    pub hash: [u8; 32],
    pub time: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndLine {
    pub end: End,
    #[serde(flatten)]
    pub seal: Seal,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct End {
    pub entries: u64,
    pub checkpoints: u64,
    /// SHA-256 over every byte before this line.
    #[serde(with = "hexadecimal")]
    pub digest: [u8; 32],
    pub time: String,
}

/// An Ed25519 signature and the key that made it (RFC 8032).
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seal {
    #[serde(with = "hexadecimal")]
    pub signature: [u8; 64],
    #[serde(with = "hexadecimal")]
    pub public_key: [u8; 32],
}

impl Checkpoint {
    pub fn new(node: &str, sequence: i64, hash: [u8; 32], now: Timestamp) -> Self {
        Self { node: node.to_owned(), sequence, hash, time: now.to_string() }
    }

    /// What is signed. The prefix keeps a signature from being taken for one of another kind.
    pub fn message(&self) -> Result<Vec<u8>, serde_json::Error> {
        message("chancery audit checkpoint v1\n", self)
    }
}

impl End {
    pub fn message(&self) -> Result<Vec<u8>, serde_json::Error> {
        message("chancery audit export end v1\n", self)
    }
}

fn message(prefix: &str, value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = prefix.as_bytes().to_vec();
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

pub(super) fn entry_hash(previous_hash: &[u8; 32], body: &str) -> [u8; 32] {
    Sha256::new().chain_update(previous_hash).chain_update(body.as_bytes()).finalize().into()
}

/// One line with its line feed.
pub(super) fn to_text(line: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    Ok(text)
}

/// Byte arrays as lower-case hexadecimal text.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    }
}
