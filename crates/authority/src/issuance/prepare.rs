//! Prepare: the approved enrolment becomes to-be-signed bytes, which are linted and compared with what was approved.
//! A certificate that fails lint is never signed, because only this file makes a [`PreparedCertificate`].

use chancery_model::Randomness;
use chancery_model::enrollment::Enrollment;
use chancery_pkix::{
    Certificate, DistinguishedName, ExtendedKeyUsage, Extensions, GeneralName, KeyUsages, LintContext, SerialNumber,
    SignatureAlgorithm, TbsCertificate, Validity, assemble, lint_tbs,
};

use super::decide::ApprovedRequest;
use super::{Ground, SubjectKey};
use crate::error::Error;
use crate::hierarchy::Issuer;
use crate::status::pointers::Pointers;

/// To-be-signed bytes that passed the linter and say what was approved.
pub(crate) struct PreparedCertificate {
    pub(super) tbs_der: Vec<u8>,
    pub(super) serial: SerialNumber,
    pub(super) signature_algorithm: SignatureAlgorithm,
    pub(super) crl_partition: u32,
}

pub(super) fn prepare(
    approved: &ApprovedRequest,
    ground: &Ground,
    key: &SubjectKey,
    random: &dyn Randomness,
    repository_url: Option<&str>,
) -> Result<PreparedCertificate, Error> {
    let enrollment = approved.enrollment();
    let issuer = ground.issued_by.issuer();
    let mut entropy = [0u8; 16];
    random.fill(&mut entropy);
    let serial = SerialNumber::from_random(entropy);
    let subject = DistinguishedName::new(enrollment.subject.iter().map(|it| it.value.clone()).collect())
        .map_err(|error| Error::malformed(error.code, "subject", error.message))?;
    let subject_der = subject.to_der();
    let short_lived = ground.settings().no_rev_avail_below.is_some_and(|below| enrollment.validity.value.ttl < below)
        && !enrollment.basic_constraints.value.is_ca;
    let pointers = match issuer {
        Some(issuer) if !short_lived => issuer.pointers(&serial, repository_url),
        _ => Pointers::default(),
    };
    let crl_partition = pointers.partition;
    let extensions = Extensions {
        ca_issuers: issuer.and_then(|it| it.ca_issuers_url(repository_url)).into_iter().collect(),
        ocsp: pointers.ocsp,
        crl_distribution_points: pointers.crl,
        freshest_crl: pointers.freshest_crl,
        no_rev_avail: short_lived,
        ..extensions(enrollment, issuer, key)
    };
    let tbs_der = TbsCertificate {
        serial: &serial,
        signature_algorithm: enrollment.signature_algorithm.value,
        issuer_der: issuer.map_or(subject_der.as_slice(), Issuer::subject_der),
        validity: validity_of(enrollment),
        subject_der: &subject_der,
        public_key: key.public(),
        extensions: &extensions,
    }
    .to_der()
    .map_err(Error::internal)?;
    lint(&tbs_der, &subject_der, issuer)?;
    compare(&tbs_der, enrollment, key)?;
    Ok(PreparedCertificate {
        tbs_der,
        serial,
        signature_algorithm: enrollment.signature_algorithm.value,
        crl_partition,
    })
}

fn validity_of(enrollment: &Enrollment) -> Validity {
    Validity {
        not_before: enrollment.validity.value.not_before.as_seconds(),
        not_after: enrollment.validity.value.not_after.as_seconds(),
    }
}

/// What the enrolment says, without the places where more is told.
fn extensions(enrollment: &Enrollment, issuer: Option<&Issuer>, key: &SubjectKey) -> Extensions {
    Extensions {
        basic_constraints: Some(enrollment.basic_constraints.value),
        key_usages: key_usages(enrollment),
        extended_key_usages: extended_key_usages(enrollment),
        subject_alt_names: enrollment.sans.iter().map(|it| it.value.clone()).collect(),
        subject_key_id: key.public().key_id().to_vec(),
        // A self-signed certificate that is no CA needs it too (RFC 5280 §4.2.1.1): its own key identifier.
        authority_key_id: Some(issuer.map_or_else(|| key.public().key_id().to_vec(), |it| it.key_id().to_vec())),
        ..Extensions::default()
    }
}

fn key_usages(enrollment: &Enrollment) -> KeyUsages {
    enrollment.key_usages.iter().map(|it| it.value).collect()
}

fn extended_key_usages(enrollment: &Enrollment) -> Vec<ExtendedKeyUsage> {
    enrollment.extended_key_usages.iter().map(|it| it.value).collect()
}

/// Lints to-be-signed bytes: nothing is signed that a rule finds fault with, CA certificates neither.
pub(crate) fn lint(tbs_der: &[u8], own_subject_der: &[u8], issuer: Option<&Issuer>) -> Result<(), Error> {
    let context = LintContext {
        issuer_subject_der: issuer.map_or(own_subject_der, Issuer::subject_der),
        issuer_key_id: issuer.map(Issuer::key_id),
        issuer_validity: issuer.map(Issuer::validity),
        self_signed: issuer.is_none(),
    };
    lint_in(tbs_der, &context)
}

/// The same for an issuer that is known by its certificate only.
pub(crate) fn lint_in(tbs_der: &[u8], context: &LintContext<'_>) -> Result<(), Error> {
    let findings = lint_tbs(tbs_der, context);
    if findings.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = findings.iter().map(|it| format!("{} ({}): {}", it.rule, it.clause, it.message)).collect();
    let message = format!("not signed, because it would be malformed: {}", texts.join("; "));
    Err(Error::malformed("lint.refused", "certificate", message))
}

/// Reads the bytes back and holds them against the approved enrolment, field by field (promise P5).
fn compare(tbs_der: &[u8], enrollment: &Enrollment, key: &SubjectKey) -> Result<(), Error> {
    let unsigned = assemble(tbs_der, enrollment.signature_algorithm.value, &[]);
    let read = Certificate::from_der(&unsigned)
        .map_err(|error| Error::internal(format!("own bytes do not parse: {error}")))?;
    let extensions = read.extensions();
    let names: Vec<&GeneralName> = enrollment.sans.iter().map(|it| &it.value).collect();
    let subject_equal = read
        .subject()
        .is_ok_and(|subject| subject.attributes().iter().eq(enrollment.subject.iter().map(|it| &it.value)));
    let equal = [
        ("subject", subject_equal),
        ("subjectAltName", extensions.subject_alt_names.iter().eq(names)),
        ("validity", read.validity() == validity_of(enrollment)),
        ("keyUsage", extensions.key_usages == key_usages(enrollment)),
        ("extendedKeyUsage", extensions.extended_key_usages == extended_key_usages(enrollment)),
        ("basicConstraints", extensions.basic_constraints.is_some_and(|it| it == enrollment.basic_constraints.value)),
        ("publicKey", read.spki_der() == key.public().spki_der()),
        ("signatureAlgorithm", read.signature_algorithm() == Some(enrollment.signature_algorithm.value)),
    ];
    match equal.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((field, _)) => {
            Err(Error::internal(format!("prepared certificate differs from what was approved in {field}: not signed")))
        }
    }
}
