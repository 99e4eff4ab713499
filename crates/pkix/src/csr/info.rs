//! The signed part of a request, as written for a CA's own request to its parent and by agents.

use crate::asn1::{Writer, oid, tag};
use crate::certificate::BasicConstraints;
use crate::certificate::extensions::{
    write_basic_constraints, write_extended_key_usages, write_key_usages, write_subject_alt_names,
};
use crate::name::GeneralName;
use crate::public_key::PublicKey;
use crate::usage::{ExtendedKeyUsage, KeyUsages};

/// What a requester signs (RFC 2986 §4.1); `assemble` makes it a request. Empty sets and lists are left out.
#[derive(Clone, Copy, Debug)]
pub struct CertificationRequestInfo<'a> {
    pub subject_der: &'a [u8],
    pub public_key: &'a PublicKey,
    pub subject_alt_names: &'a [GeneralName],
    pub key_usages: KeyUsages,
    pub extended_key_usages: &'a [ExtendedKeyUsage],
    pub basic_constraints: Option<BasicConstraints>,
}

impl CertificationRequestInfo<'_> {
    pub fn to_der(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512 + self.public_key.spki_der().len());
        out.nested(tag::SEQUENCE, |w| {
            w.primitive(tag::INTEGER, &[0]);
            w.raw(self.subject_der);
            w.raw(self.public_key.spki_der());
            w.nested(0xa0, |w| {
                if self.has_extensions() {
                    w.nested(tag::SEQUENCE, |w| {
                        w.oid_bytes(oid::EXTENSION_REQUEST);
                        w.nested(tag::SET, |w| w.nested(tag::SEQUENCE, |w| self.write_extensions(w)));
                    });
                }
            });
        });
        out.into_bytes()
    }

    fn has_extensions(&self) -> bool {
        !self.subject_alt_names.is_empty()
            || !self.key_usages.is_empty()
            || !self.extended_key_usages.is_empty()
            || self.basic_constraints.is_some()
    }

    fn write_extensions(&self, w: &mut Writer) {
        write_key_usages(w, self.key_usages);
        if let Some(constraints) = self.basic_constraints {
            write_basic_constraints(w, constraints);
        }
        write_subject_alt_names(w, self.subject_alt_names, false);
        write_extended_key_usages(w, self.extended_key_usages);
    }
}
