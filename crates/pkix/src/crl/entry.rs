//! One element of revokedCertificates (RFC 5280 §5.1.2.6, §5.3).

use crate::asn1::{Writer, oid, tag, time};
use crate::certificate::extensions::extension;

/// The reason code of an entry that takes a certificate off a list; only delta CRLs have it (RFC 5280 §5.3.1).
pub const REMOVE_FROM_CRL: u8 = 8;

/// What a CRL says about one revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlEntryContents<'a> {
    /// Content octets of the serial number's INTEGER, exactly as they stand in the certificate.
    pub serial: &'a [u8],
    /// Unix seconds; what lies outside the years 1950 to 9999 is moved to their nearest end.
    pub revocation_date: i64,
    /// CRLReason (RFC 5280 §5.3.1): 1 to 6, 8 in delta CRLs, 9, 10. `None`, as well as 0, 7 and whatever else has no
    /// meaning, is written as no reason at all.
    pub reason_code: Option<u8>,
    /// Unix seconds since when the key is not to be trusted; may lie before the revocation.
    pub invalidity_date: Option<i64>,
}

impl CrlEntryContents<'_> {
    /// Equal values give equal bytes.
    pub fn to_der(&self) -> Vec<u8> {
        let reason = self.reason_code.filter(|code| is_meaningful(*code));
        let mut out = Writer::with_capacity(self.serial.len() + 64);
        out.nested(tag::SEQUENCE, |w| {
            w.primitive(tag::INTEGER, self.serial);
            time::write(w, within_calendar(self.revocation_date));
            if reason.is_none() && self.invalidity_date.is_none() {
                return;
            }
            w.nested(tag::SEQUENCE, |w| {
                if let Some(code) = reason {
                    extension(w, oid::REASON_CODE, false, |w| w.primitive(tag::ENUMERATED, &[code]));
                }
                if let Some(instant) = self.invalidity_date {
                    extension(w, oid::INVALIDITY_DATE, false, |w| {
                        time::write_generalized(w, within_calendar(instant));
                    });
                }
            });
        });
        out.into_bytes()
    }
}

/// `unspecified` says nothing and is left out (RFC 5280 §5.3.1); 7 is not used.
pub(crate) const fn is_meaningful(code: u8) -> bool {
    matches!(code, 1..=6 | 8..=10)
}

fn within_calendar(seconds: i64) -> i64 {
    seconds.clamp(time::EARLIEST, time::LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_the_octets_of_their_standard() {
        let check = |serial: &[u8], date: i64, reason: Option<u8>, invalid: Option<i64>, expected: &str| {
            let entry =
                CrlEntryContents { serial, revocation_date: date, reason_code: reason, invalidity_date: invalid };
            assert_eq!(hex::encode(entry.to_der()), expected);
        };
        let date = "170d3730303130313030303030305a";
        let with = |rest: &str, length: &str| format!("30{length}020200ff{date}{rest}");
        check(&[0, 0xff], 0, None, None, &with("", "13"));
        check(&[0, 0xff], 0, Some(0), None, &with("", "13"));
        check(&[0, 0xff], 0, Some(7), None, &with("", "13"));
        check(&[0, 0xff], 0, Some(11), None, &with("", "13"));
        check(&[0, 0xff], 0, Some(1), None, &with("300c300a0603551d1504030a0101", "21"));
        check(
            &[0, 0xff],
            0,
            Some(8),
            Some(-1),
            &with("3026300a0603551d1504030a010830180603551d180411180f31393639313233313233353935395a", "3b"),
        );
        check(&[5], 2_524_608_000, None, None, "3014020105180f32303530303130313030303030305a");
        check(&[5], i64::MIN, None, None, "3012020105170d3530303130313030303030305a");
    }
}
