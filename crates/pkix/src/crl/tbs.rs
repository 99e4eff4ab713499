//! TBSCertList (RFC 5280 §5.1.2) as this product writes it. The entries may be fifty megabytes: they are copied once,
//! into a buffer that is as large as the signed list will be.

use std::ops::Range;

use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{Writer, header, oid, tag, time};
use crate::certificate::EncodeError;
use crate::certificate::extensions::{extension, write_distribution_point, write_full_name};
use crate::certificate::tbs::{ascii_uris, instant};

/// Which certificates a CRL speaks of, where that is not all of its issuer's (RFC 5280 §5.2.5). Always critical.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IssuingDistributionPoint {
    /// URIs, byte for byte those of the certificates' distribution points.
    pub full_name: Vec<String>,
    pub only_contains_user_certs: bool,
    pub only_contains_ca_certs: bool,
}

impl IssuingDistributionPoint {
    fn write(&self, w: &mut Writer) {
        w.nested(tag::SEQUENCE, |w| {
            if !self.full_name.is_empty() {
                write_full_name(w, &self.full_name);
            }
            for (flag, tag) in [(self.only_contains_user_certs, 0x81), (self.only_contains_ca_certs, 0x82)] {
                if flag {
                    w.primitive(tag, &[0xff]);
                }
            }
        });
    }
}

/// The bytes that are linted and then signed. Equal values give equal bytes. Instants are Unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct TbsCertList<'a> {
    pub signature_algorithm: SignatureAlgorithm,
    /// The subject of the CA's certificate, copied byte for byte.
    pub issuer_der: &'a [u8],
    pub this_update: i64,
    pub next_update: i64,
    /// Encoded entries, concatenated ([`super::CrlEntryContents::to_der`]). None: revokedCertificates is absent.
    pub entries_der: &'a [u8],
    /// The subject key identifier of the CA's certificate.
    pub authority_key_id: &'a [u8],
    /// Not negative.
    pub crl_number: i64,
    pub issuing_distribution_point: Option<&'a IssuingDistributionPoint>,
    /// The number of the complete CRL that this one, a delta CRL, adds to (RFC 5280 §5.2.4). Critical.
    pub base_crl_number: Option<i64>,
    /// URIs of delta CRLs to this complete one (RFC 5280 §5.2.6).
    pub freshest_crl: &'a [String],
}

impl TbsCertList<'_> {
    /// Fails only for what cannot be written at all: an instant before 1950 or after 9999, a negative number, a URI
    /// outside ASCII.
    pub fn to_der(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.write_to(&mut out, 0)?;
        Ok(out)
    }

    /// Appends the encoding, having made room for exactly that and for `more` octets.
    fn write_to(&self, out: &mut Vec<u8>, more: usize) -> Result<(), EncodeError> {
        self.check()?;
        let (fields, extensions) = (self.fields(), self.extensions());
        let list = match self.entries_der {
            [] => Vec::new(),
            entries => header(tag::SEQUENCE, entries.len()),
        };
        let parts = [fields.as_slice(), &list, self.entries_der, &extensions];
        let length = parts.iter().map(|part| part.len()).sum();
        let whole = header(tag::SEQUENCE, length);
        out.reserve_exact(whole.len() + length + more);
        out.extend_from_slice(&whole);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        Ok(())
    }

    /// Everything before revokedCertificates.
    fn fields(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(self.issuer_der.len() + 128);
        w.primitive(tag::INTEGER, &[1]);
        w.raw(self.signature_algorithm.identifier_der());
        w.raw(self.issuer_der);
        time::write(&mut w, self.this_update);
        time::write(&mut w, self.next_update);
        w.into_bytes()
    }

    /// crlExtensions with their explicit tag.
    fn extensions(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(512);
        w.nested(0xa0, |w| {
            w.nested(tag::SEQUENCE, |w| {
                extension(w, oid::AUTHORITY_KEY_IDENTIFIER, false, |w| {
                    w.nested(tag::SEQUENCE, |w| w.primitive(0x80, self.authority_key_id));
                });
                extension(w, oid::CRL_NUMBER, false, |w| w.unsigned(&self.crl_number.to_be_bytes()));
                if let Some(base) = self.base_crl_number {
                    extension(w, oid::DELTA_CRL_INDICATOR, true, |w| w.unsigned(&base.to_be_bytes()));
                }
                if let Some(point) = self.issuing_distribution_point {
                    extension(w, oid::ISSUING_DISTRIBUTION_POINT, true, |w| point.write(w));
                }
                write_distribution_point(w, oid::FRESHEST_CRL, self.freshest_crl);
            });
        });
        w.into_bytes()
    }

    fn check(&self) -> Result<(), EncodeError> {
        instant(self.this_update)?;
        instant(self.next_update)?;
        ascii_uris(self.freshest_crl)?;
        if let Some(point) = self.issuing_distribution_point {
            ascii_uris(&point.full_name)?;
        }
        if let Some(number) = std::iter::once(self.crl_number).chain(self.base_crl_number).find(|one| *one < 0) {
            let message = format!("The CRL number {number} is negative");
            return Err(EncodeError { code: "encode.crl_number", message });
        }
        Ok(())
    }
}

/// A CRL that lacks its signature alone: one buffer with the to-be-signed bytes, room for a header before them and for
/// a signature after them.
pub struct UnsignedCrl {
    buffer: Vec<u8>,
    tbs: Range<usize>,
}

impl UnsignedCrl {
    /// The longest SEQUENCE header.
    const HEADER_MAX: usize = 6;
    /// Room for the algorithm identifier and an ML-DSA-87 signature of 4 627 octets. A longer one only costs a copy.
    const SIGNATURE_ROOM: usize = 5 * 1024;

    /// Fails as [`TbsCertList::to_der`] does.
    pub fn new(tbs: &TbsCertList<'_>) -> Result<Self, EncodeError> {
        let mut buffer = vec![0; Self::HEADER_MAX];
        tbs.write_to(&mut buffer, Self::SIGNATURE_ROOM)?;
        let tbs = Self::HEADER_MAX..buffer.len();
        Ok(Self { buffer, tbs })
    }

    /// What is to be linted and signed.
    pub fn tbs(&self) -> &[u8] {
        self.buffer.get(self.tbs.clone()).unwrap_or_default()
    }

    /// The CertificateList (RFC 5280 §5.1). `algorithm` is the one that stands in the to-be-signed bytes.
    pub fn sign_with(self, algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
        let Self { mut buffer, tbs } = self;
        let mut tail = Writer::with_capacity(signature.len() + 96);
        tail.raw(algorithm.identifier_der());
        tail.bit_string(signature);
        buffer.extend_from_slice(&tail.into_bytes());
        let start = header(tag::SEQUENCE, buffer.len() - tbs.start);
        buffer.splice(..tbs.start, start);
        buffer
    }
}
