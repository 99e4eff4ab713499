//! Which of the certificates that came along stand above a certificate, and in which order.

use chancery_pkix::{Certificate, ForeignCertificate};

/// The chain that could be made, nearest issuer first.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub above: Vec<ForeignCertificate>,
    /// Those that belong to no place in it.
    pub unrelated: Vec<ForeignCertificate>,
    /// Whether it ends with a certificate that is its own issuer.
    pub is_complete: bool,
}

impl Chain {
    /// Puts what came along in order. Twins and the certificate itself are passed over, because bundles often repeat them.
    pub fn of(leaf: &ForeignCertificate, mut others: Vec<ForeignCertificate>) -> Self {
        let mut seen: Vec<Vec<u8>> = vec![leaf.der().to_vec()];
        others.retain(|one| {
            let is_new = !seen.iter().any(|known| known == one.der());
            if is_new {
                seen.push(one.der().to_vec());
            }
            is_new
        });
        let mut above: Vec<ForeignCertificate> = Vec::new();
        loop {
            let last = above.last().unwrap_or(leaf);
            if last.is_self_issued() {
                return Self { above, unrelated: others, is_complete: true };
            }
            let Some(place) = issuer_among(last, &others) else {
                return Self { above, unrelated: others, is_complete: false };
            };
            above.push(others.swap_remove(place));
        }
    }

    pub fn into_der(self) -> Vec<Vec<u8>> {
        self.above.iter().map(|one| one.der().to_vec()).collect()
    }

    /// What is wrong with it, in words.
    pub fn fault(&self, leaf: &ForeignCertificate) -> Option<String> {
        if let Some(stranger) = self.unrelated.first() {
            return Some(format!("the certificate of {:?} is no issuer of it", shortened(&stranger.subject_text)));
        }
        if self.is_complete {
            return None;
        }
        let missing = &self.above.last().unwrap_or(leaf).issuer_text;
        Some(format!("the chain ends early: the certificate of {:?} is missing", shortened(missing)))
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Of several with the issuer's name (a CA that has changed its key), the one whose key made the signature.
fn issuer_among(child: &ForeignCertificate, others: &[ForeignCertificate]) -> Option<usize> {
    let named: Vec<usize> = (0..others.len())
        .filter(|place| others.get(*place).is_some_and(|it| it.subject_der() == child.issuer_der()))
        .collect();
    let signer =
        named.iter().copied().find(|place| others.get(*place).is_some_and(|it| has_signed(it, child) == Some(true)));
    signer.or_else(|| {
        // Where the signature cannot be checked here, the name has to do.
        named.iter().copied().find(|place| others.get(*place).is_some_and(|it| has_signed(it, child).is_none()))
    })
}

/// `None` where key or signature are of a kind that is not checked here.
pub(crate) fn has_signed(issuer: &ForeignCertificate, child: &ForeignCertificate) -> Option<bool> {
    let child = Certificate::from_der(child.der()).ok()?;
    child.signature_algorithm()?;
    let key = Certificate::from_der(issuer.der()).ok()?.public_key().ok()?;
    Some(child.is_signed_by(&key))
}
