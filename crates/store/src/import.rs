//! Certificates that were made elsewhere: their serial numbers, and the chains that came with them.
//!
//! Serial numbers are unique per issuer (RFC 5280 §4.1.2.2), and for the CAs of this store the store sees to it. Issuers
//! elsewhere are known to break the rule (every appliance that signs for itself as number 1), and two of them may have one
//! name. So the issuer of a foreign certificate stands for nothing but the certificate itself: see
//! [`foreign_issuer`]. What stays unique is the certificate: each once in a project.

use chancery_model::certificate::Certificate;
use chancery_model::{CertificateId, KeyId, ProjectId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::StoreError;
use crate::authority::{joined, parted};
use crate::certificate;
use crate::change::Effects;
use crate::number::Numbering;
use crate::reader::Reader;
use crate::statement::{Query, Statement, params};

/// A certificate on its way into the inventory, and what came with it.
#[derive(Clone, Debug)]
pub struct ImportedCertificate {
    /// With a CA of this store as its issuer, or none.
    pub certificate: Certificate,
    /// DER of the certificates above it, nearest first; empty where its issuer is a CA of this store.
    pub chain: Vec<Vec<u8>>,
}

/// What stands as the issuer beside the serial number of a certificate made elsewhere: an id of version 8 (RFC 9562 §5.8)
/// from a hash of project and certificate. No id made here is of that version, so that no issuer here is ever met.
fn foreign_issuer(project: ProjectId, der: &[u8]) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"foreign certificate\0");
    hash.update(project.as_bytes());
    hash.update(der);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

pub(crate) fn insert(effects: &mut Effects, it: ImportedCertificate, numbering: &Numbering) -> Result<(), StoreError> {
    let ImportedCertificate { certificate, chain } = it;
    let (id, serial) = (certificate.id, certificate::serial_bytes(&certificate.serial_number)?);
    let issuer = match certificate.ca_id {
        Some(ca) => {
            // A number that was only set aside, when the CA itself was imported.
            effects.push(Statement::new(
                "DELETE FROM serial_number WHERE serial = $1 AND issuer = $2 AND n IS NULL",
                params![serial, ca],
            ));
            ca.as_uuid()
        }
        None => {
            let issuer = foreign_issuer(certificate.project_id, &certificate.der);
            // One that was taken out of the inventory may come back.
            effects.push(Statement::new(
                "DELETE FROM serial_number WHERE serial = $1 AND issuer = $2 AND NOT EXISTS (\
                 SELECT 1 FROM certificate c WHERE c.n = serial_number.n AND c.project > 0)",
                params![serial, issuer],
            ));
            issuer
        }
    };
    certificate::insert_under(effects, certificate, issuer, numbering)?;
    if !chain.is_empty() {
        effects.push(Statement::new(
            "INSERT INTO foreign_chain (certificate_id, chain) VALUES ($1, $2)",
            params![id, joined(&chain)],
        ));
    }
    Ok(())
}

impl Reader {
    /// The entry that CRLs under this key have for a serial number (its octets as the inventory keeps them), DER: of a
    /// certificate that was revoked before its CA came here, or before it did itself.
    pub async fn listed_revocation(&self, key: KeyId, serial: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let sql =
            "SELECT der FROM crl_entry WHERE key_id = $1 AND partition = 0 AND serial = $2 AND released_at IS NULL";
        let row = self.point(Query::new("crl_entry", sql, params![key, serial.to_vec()])).await?;
        row.map(|mut row| row.blob("der")).transpose()
    }

    /// DER of the certificates that came with an imported one, nearest issuer first; empty when none did.
    pub async fn foreign_chain(&self, id: CertificateId) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT chain FROM foreign_chain WHERE certificate_id = $1";
        let Some(mut row) = self.point(Query::new("foreign_chain", sql, params![id])).await? else {
            return Ok(Vec::new());
        };
        let bytes = row.blob("chain")?;
        parted(&bytes).ok_or_else(|| row.inconsistent("chain"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_issuer_is_one_certificate_of_one_project_and_never_an_id_made_here() {
        let project = |byte| ProjectId::from_uuid(Uuid::from_bytes([byte; 16]));
        let one = foreign_issuer(project(1), b"a");
        assert_eq!(one, foreign_issuer(project(1), b"a"));
        assert_ne!(one, foreign_issuer(project(2), b"a"));
        assert_ne!(one, foreign_issuer(project(1), b"b"));
        assert_eq!(one.get_version_num(), 8);
    }
}
