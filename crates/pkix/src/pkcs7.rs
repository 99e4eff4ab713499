//! CMS SignedData that signs nothing and carries certificates: "certs-only" (RFC 5652 §5, RFC 8551 §3.8), what files
//! called .p7b hold and what EST answers with (RFC 7030 §4.1.3, RFC 8951).

use crate::asn1::{Writer, oid, tag};

/// The certificates in the order given, the leaf first by custom. The SET is not sorted: what is not signed may be BER
/// (RFC 5652 §5.1), and people turn such files into chains by their order.
pub fn certs_only(certificates: &[&[u8]]) -> Vec<u8> {
    let mut out = Writer::with_capacity(certificates.iter().map(|one| one.len()).sum::<usize>() + 64);
    out.nested(tag::SEQUENCE, |w| {
        w.oid_bytes(oid::SIGNED_DATA);
        w.nested(0xa0, |w| {
            w.nested(tag::SEQUENCE, |w| {
                w.primitive(tag::INTEGER, &[1]);
                // No digest algorithms, contents or signers.
                w.primitive(tag::SET, &[]);
                w.nested(tag::SEQUENCE, |w| w.oid_bytes(oid::PKCS7_DATA));
                w.nested(0xa0, |w| certificates.iter().for_each(|der| w.raw(der)));
                w.primitive(tag::SET, &[]);
            });
        });
    });
    out.into_bytes()
}
