//! Lint of CRLs: rules about the bytes that are about to be signed, or that were. The entries are walked once, without
//! allocation, so that a list of a million does not hold anybody up.

use super::{Finding, Lint, Report};
use crate::algorithm::SignatureAlgorithm;
use crate::asn1::{DerError, Reader, canonical, oid, tag, time};
use crate::certificate::extensions::{self, DistributionPoint};
use crate::crl::REMOVE_FROM_CRL;
use crate::crl::entry::is_meaningful;
use crate::crl::parsed::{self, ParsedList, ParsedTbs, RawPoint, RevokedCertificate};

/// What the bytes of a CRL are compared with.
#[derive(Clone, Copy, Debug)]
pub struct CrlLintContext<'a> {
    /// The subject of the CA's certificate, byte for byte.
    pub issuer_subject_der: &'a [u8],
    /// The subject key identifier of the CA's certificate.
    pub issuer_key_id: &'a [u8],
}

/// A lint of CRLs with its check.
#[derive(Clone, Copy, Debug)]
pub struct CrlRule {
    pub lint: Lint,
    check: fn(&Crl<'_>, &CrlLintContext<'_>, &mut Report<'_>),
}

/// A CRL taken apart once, for all rules.
struct Crl<'a> {
    tbs: ParsedTbs<'a>,
    /// The AlgorithmIdentifier beside the signature; `None` before there is one.
    outer_algorithm: Option<&'a [u8]>,
    malformed: Vec<DerError>,
    authority_key_id: Option<(Option<&'a [u8]>, bool)>,
    number: Option<&'a [u8]>,
    base_number: Option<&'a [u8]>,
    scope: Option<RawPoint<'a>>,
    freshest: Option<Vec<DistributionPoint<'a>>>,
    entries: EntryFaults,
}

/// How many entries break a rule, found in one walk.
#[derive(Default)]
struct EntryFaults {
    malformed: Option<DerError>,
    serial: u64,
    repeated: u64,
    date_form: u64,
    date_late: u64,
    reason: u64,
    removed: u64,
    critical: u64,
    unknown: u64,
}

/// Everything that is wrong with a TBSCertList or a whole CertificateList; empty if nothing is.
pub fn lint_crl(der: &[u8], context: &CrlLintContext<'_>) -> Vec<Finding> {
    let crl = match Crl::read(der) {
        Ok(crl) => crl,
        Err(error) => {
            let message = format!("The CRL is not DER: there is {error}");
            return vec![Finding { rule: DER.id, clause: DER.clause, message }];
        }
    };
    let mut findings = Vec::new();
    for rule in CRL_RULES {
        (rule.check)(&crl, context, &mut Report { lint: &rule.lint, findings: &mut findings });
    }
    findings
}

const DER: Lint = Lint {
    id: "crl_der",
    clause: "X.690 §10",
    description: "The CRL, its entries and its extensions are encoded in DER and have the shape of their types.",
};

macro_rules! crl_rules {
    ($($id:ident, $clause:literal, $description:literal;)+) => {
        &[
            CrlRule { lint: DER, check: crl_der },
            $(CrlRule {
                lint: Lint { id: stringify!($id), clause: $clause, description: $description },
                check: $id,
            },)+
        ]
    };
}

/// Every rule about CRLs, in the order in which it is applied.
#[rustfmt::skip]
pub const CRL_RULES: &[CrlRule] = crl_rules! {
    crl_version, "RFC 5280 §5.1.2.1", "The version is 2.";
    crl_signature_algorithm, "RFC 5280 §5.1.1.2", "The signature algorithm has exactly the bytes of its standard, in both places.";
    crl_issuer, "RFC 5280 §5.1.2.3", "The issuer is the subject of the CA's certificate, byte for byte, and not empty.";
    crl_time_form, "RFC 5280 §5.1.2.4, §5.1.2.5", "Dates through 2049 are UTCTime, later ones GeneralizedTime.";
    crl_next_update, "RFC 5280 §5.1.2.5", "The next update is present and after this one.";
    crl_revoked_certificates, "RFC 5280 §5.1.2.6", "revokedCertificates is absent when there are none.";
    crl_entry_serial, "RFC 5280 §5.1.2.6", "Serial numbers of entries are in the shortest form, and none repeats the one before it.";
    crl_entry_date, "RFC 5280 §5.1.2.6", "Revocation dates are in the form of their year and not after this update.";
    crl_entry_reason, "RFC 5280 §5.3.1", "Reason codes have a meaning, are not unspecified, and remove entries in delta CRLs only.";
    crl_entry_extensions, "RFC 5280 §5.3", "No extension of an entry is critical.";
    crl_extension_unique, "RFC 5280 §5.2", "No extension occurs twice.";
    crl_extension_known, "RFC 5280 §5.2", "Every extension is one that this product issues, without written default values.";
    crl_authority_key_id, "RFC 5280 §5.2.1", "The authority key identifier is present, not critical, and the CA's subject key identifier alone.";
    crl_number, "RFC 5280 §5.2.3", "The CRL number is present, not critical, and has at most 20 octets.";
    crl_delta_indicator, "RFC 5280 §5.2.4", "The delta CRL indicator is critical, and its number is not above the CRL number.";
    crl_issuing_distribution_point, "RFC 5280 §5.2.5", "The issuing distribution point is critical, not empty, of http URIs, and limits nothing but the kind of certificates.";
    crl_freshest, "RFC 5280 §5.2.6", "The freshest CRL is not critical, one place of http URIs, and not on a delta CRL.";
};

impl<'a> Crl<'a> {
    fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(der);
        let whole = outer.expect(tag::SEQUENCE, "something other than a CRL")?;
        outer.finish()?;
        // A TBSCertList of version 2 begins with its version, a CertificateList with its TBSCertList.
        let (body, outer_algorithm) = if whole.content.first() == Some(&tag::INTEGER) {
            (whole.reader(), None)
        } else {
            let list = ParsedList::read(der)?;
            (list.tbs.reader(), Some(list.algorithm.raw))
        };
        let tbs = ParsedTbs::read(body)?;
        canonical::check_at(tbs.issuer.raw, tbs.issuer.offset)?;
        let entries = EntryFaults::of(&tbs);
        let mut crl = Self {
            tbs,
            outer_algorithm,
            malformed: Vec::new(),
            authority_key_id: None,
            number: None,
            base_number: None,
            scope: None,
            freshest: None,
            entries,
        };
        crl.read_extensions();
        Ok(crl)
    }

    fn read_extensions(&mut self) {
        for one in &self.tbs.extensions {
            let decoded = canonical::check_at(one.value, one.value_offset).and_then(|()| {
                match one.oid {
                    oid::AUTHORITY_KEY_IDENTIFIER => self.authority_key_id = Some(extensions::authority_key_id(one)?),
                    oid::CRL_NUMBER => self.number = Some(parsed::number(one)?),
                    oid::DELTA_CRL_INDICATOR => self.base_number = Some(parsed::number(one)?),
                    oid::ISSUING_DISTRIBUTION_POINT => self.scope = Some(parsed::issuing_distribution_point(one)?),
                    oid::FRESHEST_CRL => self.freshest = Some(extensions::distribution_points(one)?),
                    _ => {}
                }
                Ok(())
            });
            self.malformed.extend(decoded.err());
        }
    }

    fn criticality(&self, oid: &[u8]) -> Option<bool> {
        self.tbs.extension(oid).map(|one| one.critical)
    }

    fn is_delta(&self) -> bool {
        self.tbs.extension(oid::DELTA_CRL_INDICATOR).is_some()
    }
}

impl EntryFaults {
    fn of(tbs: &ParsedTbs<'_>) -> Self {
        let mut faults = Self::default();
        let this_update = tbs.this_update.seconds;
        let mut previous: &[u8] = &[];
        for entry in tbs.entries() {
            match entry {
                Ok(entry) => {
                    faults.repeated += u64::from(entry.serial == previous);
                    faults.count(&entry, this_update);
                    previous = entry.serial;
                }
                Err(error) => faults.malformed = Some(error),
            }
        }
        faults
    }

    fn count(&mut self, entry: &RevokedCertificate<'_>, this_update: i64) {
        let is_padded = match entry.serial {
            [0, next, ..] => *next < 0x80,
            [0xff, next, ..] => *next >= 0x80,
            _ => false,
        };
        self.serial += u64::from(is_padded);
        self.date_form += u64::from(!time::is_in_required_form(entry.date_tag, entry.revocation_date));
        self.date_late += u64::from(entry.revocation_date > this_update);
        self.reason += u64::from(entry.reason.is_some_and(|code| !is_meaningful(code)));
        self.removed += u64::from(entry.reason == Some(REMOVE_FROM_CRL));
        self.critical += u64::from(entry.has_known_critical);
        self.unknown += u64::from(entry.has_unknown_critical);
    }
}

fn add_count(report: &mut Report<'_>, count: u64, message: &str) {
    if count > 0 {
        report.add(format!("{message} in {count} entries"));
    }
}

fn crl_der(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    for error in crl.malformed.iter().chain(&crl.entries.malformed) {
        report.add(format!("There is {error}"));
    }
}

fn crl_version(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    report.add_if(crl.tbs.version != Some(&[1]), "The version is not 2");
}

fn crl_signature_algorithm(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    let is_known = SignatureAlgorithm::from_identifier_der(crl.tbs.signature).is_some();
    report.add_if(!is_known, "The signature algorithm is unknown or has other parameters than its standard says");
    let differs = crl.outer_algorithm.is_some_and(|outer| outer != crl.tbs.signature);
    report.add_if(differs, "The signature algorithms inside and outside the signed bytes differ");
}

fn crl_issuer(crl: &Crl<'_>, context: &CrlLintContext<'_>, report: &mut Report<'_>) {
    report.add_if(crl.tbs.issuer.content.is_empty(), "The issuer is empty");
    report.add_if(crl.tbs.issuer.raw != context.issuer_subject_der, "The issuer differs from the CA's subject");
}

fn crl_time_form(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    let instants = std::iter::once(crl.tbs.this_update).chain(crl.tbs.next_update);
    for instant in instants.filter(|one| !time::is_in_required_form(one.tag, one.seconds)) {
        report.add(format!("The update of {} is not in the form its year asks for", instant.seconds));
    }
}

fn crl_next_update(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    match crl.tbs.next_update {
        None => report.add("The next update is missing"),
        Some(next) => {
            let is_late = next.seconds <= crl.tbs.this_update.seconds;
            report.add_if(is_late, "The next update is not after this update");
        }
    }
}

fn crl_revoked_certificates(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    let is_empty = crl.tbs.revoked.is_some_and(|list| list.content.is_empty());
    report.add_if(is_empty, "revokedCertificates is an empty list");
}

fn crl_entry_serial(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    add_count(report, crl.entries.serial, "The serial number is not in the shortest form");
    add_count(report, crl.entries.repeated, "The serial number is that of the entry before");
}

fn crl_entry_date(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    add_count(report, crl.entries.date_form, "The revocation date is not in the form its year asks for");
    add_count(report, crl.entries.date_late, "The revocation date is after this update");
}

fn crl_entry_reason(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    add_count(report, crl.entries.reason, "The reason code is unspecified or has no meaning");
    if !crl.is_delta() {
        add_count(report, crl.entries.removed, "removeFromCRL stands in a complete CRL");
    }
}

fn crl_entry_extensions(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    add_count(report, crl.entries.critical, "The reason code or invalidity date is critical");
    add_count(report, crl.entries.unknown, "An unknown extension is critical");
}

fn crl_extension_unique(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    for (position, one) in crl.tbs.extensions.iter().enumerate() {
        let is_repeated = crl.tbs.extensions.iter().take(position).any(|earlier| earlier.oid == one.oid);
        report.add_if(is_repeated, "An extension occurs twice");
    }
}

fn crl_extension_known(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    const KNOWN: [&[u8]; 5] = [
        oid::AUTHORITY_KEY_IDENTIFIER,
        oid::CRL_NUMBER,
        oid::DELTA_CRL_INDICATOR,
        oid::ISSUING_DISTRIBUTION_POINT,
        oid::FRESHEST_CRL,
    ];
    for one in &crl.tbs.extensions {
        report.add_if(!KNOWN.contains(&one.oid), "There is an extension that is not known");
        report.add_if(one.has_explicit_default, "An extension says that it is not critical instead of leaving it out");
    }
}

fn crl_authority_key_id(crl: &Crl<'_>, context: &CrlLintContext<'_>, report: &mut Report<'_>) {
    match crl.criticality(oid::AUTHORITY_KEY_IDENTIFIER) {
        None => report.add("The authority key identifier is missing"),
        Some(critical) => report.add_if(critical, "The authority key identifier is critical"),
    }
    if let Some((id, has_more)) = crl.authority_key_id {
        let is_it = id == Some(context.issuer_key_id) && !has_more;
        report.add_if(!is_it, "The authority key identifier is not the CA's key identifier alone");
    }
}

fn crl_number(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    match crl.criticality(oid::CRL_NUMBER) {
        None => report.add("The CRL number is missing"),
        Some(critical) => report.add_if(critical, "The CRL number is critical"),
    }
    report.add_if(crl.number.is_some_and(|number| number.len() > 20), "The CRL number has more than 20 octets");
}

fn crl_delta_indicator(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    let critical = crl.criticality(oid::DELTA_CRL_INDICATOR);
    report.add_if(critical == Some(false), "The delta CRL indicator is not critical");
    // Non-negative numbers in the shortest form compare by length first.
    if let (Some(base), Some(number)) = (crl.base_number, crl.number) {
        let is_above = (base.len(), base) > (number.len(), number);
        report.add_if(is_above, "The number of the base is above the CRL number");
    }
}

fn crl_issuing_distribution_point(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    let critical = crl.criticality(oid::ISSUING_DISTRIBUTION_POINT);
    report.add_if(critical == Some(false), "The issuing distribution point is not critical");
    let Some(scope) = &crl.scope else { return };
    let is_empty = scope.names.is_empty() && !scope.user_certs && !scope.ca_certs;
    report.add_if(is_empty, "The issuing distribution point says nothing");
    report.add_if(scope.has_more, "The CRL is indirect, for some reasons only, or for attribute certificates");
    report.add_if(scope.user_certs && scope.ca_certs, "The CRL is limited to user certificates and to CA certificates");
    let all_http = scope.names.iter().all(super::extensions::is_http);
    report.add_if(!all_http, "A name of the issuing distribution point is not an http URI");
}

fn crl_freshest(crl: &Crl<'_>, _: &CrlLintContext<'_>, report: &mut Report<'_>) {
    report.add_if(crl.criticality(oid::FRESHEST_CRL) == Some(true), "The freshest CRL is critical");
    let Some(points) = &crl.freshest else { return };
    report.add_if(crl.is_delta(), "A delta CRL points to a fresher one");
    let is_plain = |point: &DistributionPoint<'_>| {
        point.is_plain && !point.names.is_empty() && point.names.iter().all(super::extensions::is_http)
    };
    let is_one_plain = matches!(points.as_slice(), [point] if is_plain(point));
    report.add_if(!is_one_plain, "The freshest CRL is not one place of http URIs");
}

#[cfg(test)]
mod tests;
