//! Strict DER (X.690 §10) for this crate: a bounded reader that knows where it stands, a canonical-form check over a
//! whole tree, and a writer. Private to the crate; it knows tags and lengths, never what they mean.

pub(crate) mod canonical;
pub(crate) mod oid;
mod reader;
pub(crate) mod strings;
pub(crate) mod time;
mod writer;

pub(crate) use reader::{DerError, Reader, Tlv, unsigned_integer};
pub(crate) use writer::{Writer, header};

/// Universal tags as they stand in the first octet, with the constructed bit.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const NUMERIC_STRING: u8 = 0x12;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const TELETEX_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const VISIBLE_STRING: u8 = 0x1a;
    pub(crate) const UNIVERSAL_STRING: u8 = 0x1c;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const SEQUENCE_PRIMITIVE: u8 = 0x10;
    pub(crate) const SET_PRIMITIVE: u8 = 0x11;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
}
