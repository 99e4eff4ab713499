//! Copies of CRLs elsewhere: in directories that another web server serves, and on servers that take a PUT.
//!
//! Each mirror has a task of its own, so that one that is slow or away keeps nobody waiting: not the others, not the
//! publication, not a revocation. What could not be copied is tried again at every turn; the CRL stays available here all
//! the while. Every node feeds every mirror, since a directory is each node's own.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chancery_authority::status::ServedCrl;
use chancery_authority::{Authority, Error};
use chancery_egress::{
    AddressPolicy, Egress, EgressError, EgressPolicy, EgressRequest, HeaderMap, HeaderValue, Method, Url,
};
use chancery_model::CrlId;

use crate::config::Mirror;

/// How often the numbers are compared: another node may have published, or a mirror may be back.
const TURN: Duration = Duration::from_secs(15);
/// Every so many turns (five minutes) a directory's files are read and compared.
const TURNS_UNTIL_CHECK: u32 = 20;
/// For one CRL, however large.
const PUT_TIMEOUT: Duration = Duration::from_secs(120);
/// RFC 2585 §4.2.
const MEDIA_TYPE: &str = "application/pkix-crl";

#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    #[error(transparent)]
    Authority(#[from] Error),
    #[error("{path} cannot be written: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{url} cannot be reached: {source} {detail}", detail = .source.detail())]
    Unreachable { url: String, source: EgressError },
    #[error("{url} answered {status} to a PUT")]
    Refused { url: String, status: u16 },
    #[error("{0} is not a URL")]
    Address(String),
}

/// What has been done since the start, by all mirrors.
#[derive(Debug, Default)]
pub struct MirrorCounters {
    copied: AtomicU64,
    failed: AtomicU64,
}

impl MirrorCounters {
    pub fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// One CRL as a mirror names it: its id, and whether the delta is meant.
type Name = (CrlId, bool);

/// Keeps one mirror as new as the store.
pub struct MirrorTask {
    mirror: Mirror,
    /// Distinguishes the unfinished files of two nodes that share a directory.
    node: String,
    egress: Egress,
    /// The number of each CRL that is known to be there.
    there: HashMap<Name, i64>,
    counters: Arc<MirrorCounters>,
}

impl MirrorTask {
    /// `egress`: how servers are reached; mirrors are named by the operator, so every address is allowed.
    pub fn new(mirror: Mirror, node: &str, egress: EgressPolicy, counters: Arc<MirrorCounters>) -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).collect();
        let policy = EgressPolicy { addresses: AddressPolicy::new(everywhere, true), timeout: PUT_TIMEOUT, ..egress };
        Self { mirror, node: node.to_owned(), egress: Egress::new(policy), there: HashMap::new(), counters }
    }

    /// Runs until it is dropped: at once when this node has published, and at every turn.
    pub async fn keep_fresh(mut self, authority: Authority) {
        let mut published = authority.crl_published();
        let mut turn = 0_u32;
        loop {
            // Seen before the work, so that what is published during it makes another round.
            published.mark_unchanged();
            if turn.is_multiple_of(TURNS_UNTIL_CHECK) && matches!(self.mirror, Mirror::Directory(_)) {
                self.there.clear();
            }
            if let Err(error) = self.round(&authority).await {
                tracing::warn!(mirror = %self.mirror, %error, "A CRL could not be copied to its mirror; it is tried again.");
            }
            tokio::select! {
                changed = published.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TURN) => turn = turn.wrapping_add(1),
            }
        }
    }

    /// Copies what is not there yet. The first failure ends the round: the mirror is away, or the store is.
    async fn round(&mut self, authority: &Authority) -> Result<(), MirrorError> {
        let crls = authority.reader().all_crls().await.map_err(Error::from)?;
        for crl in crls {
            for (delta, published) in [(false, crl.complete), (true, crl.delta)] {
                let name = (crl.id, delta);
                let Some(published) = published else { continue };
                if self.there.get(&name) == Some(&published.number) {
                    continue;
                }
                let Some(served) = authority.crl(crl.id, delta).await? else { continue };
                let number = served.number;
                match self.copy(name, served).await {
                    Ok(true) => self.counters.copied.fetch_add(1, Ordering::Relaxed),
                    Ok(false) => 0,
                    Err(error) => {
                        self.counters.failed.fetch_add(1, Ordering::Relaxed);
                        return Err(error);
                    }
                };
                self.there.insert(name, number);
            }
        }
        Ok(())
    }

    /// Whether anything had to be written.
    async fn copy(&self, name: Name, crl: ServedCrl) -> Result<bool, MirrorError> {
        let file = file_name(name);
        match &self.mirror {
            Mirror::Directory(directory) => {
                let (directory, node) = (directory.clone(), self.node.clone());
                let path = directory.join(&file);
                let written = tokio::task::spawn_blocking(move || replace(&directory, &file, &node, &crl.der));
                let written = written.await.map_err(io::Error::other).and_then(|result| result);
                written.map_err(|source| MirrorError::File { path, source })
            }
            Mirror::Url(base) => self.put(format!("{base}/{file}"), crl).await.map(|()| true),
        }
    }

    async fn put(&self, url: String, crl: ServedCrl) -> Result<(), MirrorError> {
        let address = Url::parse(&url).map_err(|_| MirrorError::Address(url.clone()))?;
        let request = EgressRequest {
            method: Method::PUT,
            url: address,
            headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]),
            body: Bytes::from_owner(crl.der),
            plain_http: true,
        };
        match self.egress.send(request).await {
            Ok(reply) if reply.status.is_success() => Ok(()),
            Ok(reply) => Err(MirrorError::Refused { url, status: reply.status.as_u16() }),
            Err(source) => Err(MirrorError::Unreachable { url, source }),
        }
    }
}

fn file_name((id, delta): Name) -> String {
    if delta { format!("{id}.delta.crl") } else { format!("{id}.crl") }
}

/// Puts a file in the place of an older one such that a reader, or a crash, finds the one or the other, never a part.
/// Whether it had to: the same bytes are left alone.
///
/// The directory must be there: one that is missing may be a mount that is, and what is written below it would be lost.
fn replace(directory: &Path, name: &str, node: &str, contents: &[u8]) -> io::Result<bool> {
    let path = directory.join(name);
    let length = u64::try_from(contents.len()).unwrap_or(u64::MAX);
    if std::fs::metadata(&path).is_ok_and(|found| found.len() == length)
        && std::fs::read(&path).is_ok_and(|found| found == contents)
    {
        return Ok(false);
    }
    let unfinished = directory.join(format!(".{name}.{node}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&unfinished)?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written.and_then(|()| std::fs::rename(&unfinished, &path)) {
        std::fs::remove_file(&unfinished).ok();
        return Err(error);
    }
    // The new name is on disk only once its directory is.
    File::open(directory)?.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn listing(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_left_alone_when_it_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.crl");
        assert!(replace(directory.path(), "a.crl", "node-1", b"first").unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o444, 0o444, "web servers can read it");
        assert!(!replace(directory.path(), "a.crl", "node-1", b"first").unwrap());
        // The same length, so that only the contents tell.
        assert!(replace(directory.path(), "a.crl", "node-1", b"secnd").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"secnd");
        assert_eq!(listing(directory.path()), ["a.crl"], "nothing unfinished is left");
    }

    #[test]
    fn a_reader_of_the_older_file_keeps_it_whole() {
        use std::io::Read as _;
        let directory = tempfile::tempdir().unwrap();
        replace(directory.path(), "a.crl", "node-1", b"first").unwrap();
        let mut reader = File::open(directory.path().join("a.crl")).unwrap();
        replace(directory.path(), "a.crl", "node-1", b"another one").unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"first");
    }

    #[test]
    fn what_a_crash_left_unfinished_does_not_stand_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".a.crl.node-1.new"), b"a longer text that was cut off").unwrap();
        replace(directory.path(), "a.crl", "node-1", b"first").unwrap();
        assert_eq!(std::fs::read(directory.path().join("a.crl")).unwrap(), b"first");
        assert_eq!(listing(directory.path()), ["a.crl"]);
    }

    #[test]
    fn a_missing_directory_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("mount");
        assert_eq!(replace(&missing, "a.crl", "node-1", b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!missing.exists());
        // A directory in the file's place cannot be replaced, and nothing unfinished stays.
        std::fs::create_dir(directory.path().join("a.crl")).unwrap();
        assert!(replace(directory.path(), "a.crl", "node-1", b"x").is_err());
        assert_eq!(listing(directory.path()), ["a.crl"]);
    }

    #[test]
    fn deltas_have_a_name_of_their_own() {
        let id: CrlId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(file_name((id, false)), "01890a5d-ac96-774b-bcce-b302099a8057.crl");
        assert_eq!(file_name((id, true)), "01890a5d-ac96-774b-bcce-b302099a8057.delta.crl");
    }
}
