//! Writes DER into one growing buffer; lengths are put in when a nested value ends.

use super::tag;

#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(octets: usize) -> Self {
        Self { out: Vec::with_capacity(octets) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Appends an already encoded value.
    pub(crate) fn raw(&mut self, der: &[u8]) {
        self.out.extend_from_slice(der);
    }

    pub(crate) fn primitive(&mut self, tag: u8, content: &[u8]) {
        self.out.push(tag);
        let (octets, count) = length_octets(content.len());
        self.out.extend(octets.iter().skip(octets.len() - count));
        self.out.extend_from_slice(content);
    }

    /// A value whose contents are whatever `body` writes.
    pub(crate) fn nested(&mut self, tag: u8, body: impl FnOnce(&mut Self)) {
        self.out.push(tag);
        let start = self.out.len();
        self.out.push(0);
        body(self);
        let (octets, count) = length_octets(self.out.len() - start - 1);
        self.out.splice(start..=start, octets.iter().skip(octets.len() - count).copied());
    }

    pub(crate) fn oid_bytes(&mut self, content: &[u8]) {
        self.primitive(tag::OID, content);
    }

    /// A BIT STRING of whole octets.
    pub(crate) fn bit_string(&mut self, octets: &[u8]) {
        self.nested(tag::BIT_STRING, |w| {
            w.out.push(0);
            w.raw(octets);
        });
    }

    /// A non-negative INTEGER from its big-endian magnitude.
    pub(crate) fn unsigned(&mut self, magnitude: &[u8]) {
        let first = magnitude.iter().position(|octet| *octet != 0).unwrap_or(magnitude.len());
        let digits = magnitude.get(first..).unwrap_or_default();
        let pad = digits.first().is_none_or(|octet| *octet >= 0x80);
        self.nested(tag::INTEGER, |w| {
            if pad {
                w.out.push(0);
            }
            w.raw(digits);
        });
    }
}

/// Tag and length of a value whose contents are put behind them by somebody else.
pub(crate) fn header(tag: u8, length: usize) -> Vec<u8> {
    let (octets, count) = length_octets(length);
    std::iter::once(tag).chain(octets.into_iter().skip(octets.len() - count)).collect()
}

/// The length octets, right-aligned, and how many of them count (X.690 §10.1: as few as possible).
fn length_octets(length: usize) -> ([u8; 5], usize) {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    match length {
        0..=0x7f => ([0, 0, 0, 0, d], 1),
        0x80..=0xff => ([0, 0, 0, 0x81, d], 2),
        0x100..=0xffff => ([0, 0, 0x82, c, d], 3),
        0x1_0000..=0xff_ffff => ([0, 0x83, b, c, d], 4),
        _ => ([0x84, a, b, c, d], 5),
    }
}
