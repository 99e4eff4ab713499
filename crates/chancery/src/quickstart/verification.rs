//! Judging what was issued as a TLS client would, with a library that had no part in making it; and whether it is
//! revoked, by the CRL that the certificate itself points to.

use std::time::Duration;

use chancery_pkix::Certificate;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

/// Whether a chain (PEM, the server's certificate first) leads to the root, is good for the name now, and is not revoked
/// by this CRL (DER), if there is one.
pub fn verify(name: &str, chain: &str, root: &str, crl: Option<&[u8]>, now_seconds: i64) -> Result<(), String> {
    let chain = ders(chain)?;
    let (leaf, intermediates) = chain.split_first().ok_or("it is empty")?;
    let roots = ders(root)?;
    let root = roots.first().ok_or("the root is missing")?;
    let anchor = anchor_from_trusted_cert(root).map_err(|error| format!("the root is not usable: {error}"))?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|error| format!("the certificate is not usable: {error}"))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now_seconds).unwrap_or(0)));
    let crl = crl.map(BorrowedCertRevocationList::from_der).transpose();
    let crl = crl.map_err(|error| format!("the CRL is not usable: {error}"))?.map(CertRevocationList::from);
    let crls: Vec<&CertRevocationList<'_>> = crl.iter().collect();
    // Without a CRL there is nothing to ask.
    let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::EndEntity)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], intermediates, now, usage, revocation, None)
        .map_err(|error| error.to_string())?;
    let host = ServerName::try_from(name).map_err(|_| format!("{name} is not a host name"))?;
    leaf.verify_is_valid_for_subject_name(&host).map_err(|error| error.to_string())
}

fn ders(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    Ok(certificates.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect())
}
