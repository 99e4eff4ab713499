//! Taking over a CA that was run elsewhere: its certificate, its key, and what it has done so far.
//!
//! Nothing that the CA has said may become untrue here. Its name and key identifier stay as they are encoded, its serial
//! numbers are not used again, its CRL numbers go on from the last one, and whoever is on its last CRL stays on the next.

use std::collections::HashMap;

use chancery_keys::{PrivateKey, PrivateKeyError};
use chancery_model::audit::AuditEvent;
use chancery_model::authority::{
    AutoRenewal, CaCertificate, CaLevel, CaStatus, CertificationAuthority, InternalCaConfiguration,
    NameConstraintRules, StatusSettings, Subtree,
};
use chancery_model::certificate::{Certificate as InventoryCertificate, Revocation, RevocationReason};
use chancery_model::crl::CrlEntry;
use chancery_model::permission::Permission;
use chancery_model::{CaId, KeyId, Timestamp, Warning};
use chancery_pkix::{
    AttributeType, Certificate, CertificateList, CrlEntryContents, ForeignCertificate, GeneralSubtree, KeyUsage,
    SerialNumber, pkcs12,
};
use chancery_store::{Change, ImportedCertificate, Write};
use zeroize::Zeroizing;

use super::create::check_name;
use super::install::{check_key_id, check_line, read_chain, read_one};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::inventory::import::ImportLabels;

/// The number of the last CRL made elsewhere.
const CRL_NUMBER_MAX: i64 = 1 << 62;
/// Certificates and serial numbers that come along, each.
const LISTED_MAX: usize = 10_000;

/// A CA with its key, as a door was sent it.
pub struct CaImport {
    /// Unique in the project: lower-case letters, digits, hyphens, 1 to 64.
    pub name: String,
    /// PEM; empty where the PKCS#12 file holds it.
    pub certificate: String,
    /// PEM of the issuers above it; empty for a root, or where the issuer is a CA of this server.
    pub chain: String,
    pub key: ImportedKey,
    /// PEM or DER.
    pub last_crl: Option<Vec<u8>>,
    pub last_crl_number: Option<i64>,
    /// PEM, one certificate each.
    pub issued_certificates: Vec<String>,
    /// Hex.
    pub serial_numbers: Vec<String>,
}

pub enum ImportedKey {
    Pem { text: Zeroizing<String>, password: Option<Zeroizing<String>> },
    Pkcs12 { file: Vec<u8>, password: Zeroizing<String> },
}

pub struct ImportedCa {
    pub ca: CertificationAuthority,
    pub warnings: Vec<Warning>,
}

/// Certificate, chain and key, found to belong together.
struct Identity {
    own: Certificate,
    chain: Vec<Certificate>,
    key: PrivateKey,
    warnings: Vec<Warning>,
}

/// What the CA has done elsewhere.
struct Past {
    /// The CRL number last given out.
    crl_number: i64,
    /// By the octets of the serial number, as the inventory has them: without a zero octet in front.
    revoked: HashMap<Vec<u8>, Revoked>,
    issued: Vec<ForeignCertificate>,
    serials: Vec<Vec<u8>>,
    warnings: Vec<Warning>,
}

struct Revoked {
    der: Vec<u8>,
    revocation: Revocation,
}

impl Authority {
    /// Takes over a CA that was run elsewhere. It signs here from then on; whoever ran it must stop.
    pub async fn import_ca(&self, call: &Call, import: CaImport) -> Result<ImportedCa, Error> {
        call.requester.require(Permission::CaCreate)?;
        check_name(&import.name)?;
        let CaImport { name, certificate, chain, key, last_crl, last_crl_number, issued_certificates, serial_numbers } =
            import;
        let mut identity = identity(certificate, chain, key).await?;
        let signer = self.signer_here(call, &identity.own).await?;
        if let Some(signer) = signer.as_ref().filter(|_| identity.chain.is_empty()) {
            identity.chain = parsed_line(signer)?;
        }
        check_identity(&mut identity, self.now())?;
        self.refuse_known_key(call, &identity.own).await?;
        let past = Past::read(&identity.own, last_crl, last_crl_number, issued_certificates, serial_numbers)?;
        let sealed = self.sealed_ca_key(call.project_id(), &identity.key).await?;
        let (ca, certificate) = self.adopted(call, (name, sealed.id), &identity, signer.as_ref());
        let mut warnings = identity.warnings;
        warnings.extend(past.warnings.iter().cloned());
        let details = serde_json::json!({
            "name": ca.name,
            "caCertificateId": certificate.id,
            "serialNumber": certificate.serial_number,
            "parentCaId": certificate.parent_ca_id,
            "crlNumber": past.crl_number,
            "revoked": past.revoked.len(),
            "certificates": past.issued.len(),
            "serialNumbers": past.serials.len(),
            "warnings": warnings,
        });
        let audit = call.audit(self.now(), AuditEvent::CaImported, Some(("ca", ca.id.as_uuid())), details);
        let mut write = Write::default()
            .with(Change::InsertKey(sealed))
            .with(Change::InsertCa(Box::new(ca.clone())))
            .with(Change::ImportCaCertificate(Box::new(certificate.clone())))
            .audited(audit);
        write.changes.extend(self.past_changes(call, &ca, &certificate, past));
        self.commit(write).await?;
        self.wake_jobs();
        Ok(ImportedCa { ca, warnings })
    }

    /// The certificate of a CA here that signed this one.
    async fn signer_here(&self, call: &Call, own: &Certificate) -> Result<Option<CaCertificate>, Error> {
        if own.is_self_issued() {
            return Ok(None);
        }
        for ca in self.reader().cas(call.project_id()).await? {
            for candidate in self.reader().ca_certificates(ca.id).await?.into_iter().rev() {
                let parsed = Certificate::from_der(&candidate.der).map_err(Error::internal)?;
                let signed = parsed.subject_der() == own.issuer_der()
                    && parsed.public_key().is_ok_and(|key| own.is_signed_by(&key));
                if signed {
                    return Ok(Some(candidate));
                }
            }
        }
        Ok(None)
    }

    /// One key, one CA: two would give out CRLs against each other.
    async fn refuse_known_key(&self, call: &Call, own: &Certificate) -> Result<(), Error> {
        for ca in self.reader().cas(call.project_id()).await? {
            for known in self.reader().ca_certificates(ca.id).await? {
                let known = Certificate::from_der(&known.der).map_err(Error::internal)?;
                if known.spki_der() == own.spki_der() {
                    let text = format!("certificate: the CA '{}' of this project has this key already", ca.name);
                    return Err(Error::conflict("ca.key_known", text));
                }
            }
        }
        Ok(())
    }

    fn adopted(
        &self,
        call: &Call,
        (name, key_id): (String, KeyId),
        identity: &Identity,
        signer: Option<&CaCertificate>,
    ) -> (CertificationAuthority, CaCertificate) {
        let now = self.now();
        let mut ca = CertificationAuthority {
            id: CaId::generate(now, self.random()),
            project_id: call.project_id(),
            name,
            status: CaStatus::Active,
            configuration: configuration(&identity.own, &identity.key),
            direct_issuance_template: None,
            active_certificate: None,
            key_id,
            last_renewal: None,
            created_at: now,
            updated_at: now,
        };
        let mut certificate = self.as_imported(&ca, &identity.own, &identity.chain, 1);
        certificate.parent_ca_id = signer.map(|it| it.ca_id);
        certificate.parent_certificate_id = signer.map(|it| it.id);
        ca.active_certificate = Some(certificate.id);
        (ca, certificate)
    }

    fn past_changes(
        &self,
        call: &Call,
        ca: &CertificationAuthority,
        certificate: &CaCertificate,
        past: Past,
    ) -> Vec<Change> {
        let now = self.now();
        let mut changes = self.coming_into_force(ca, certificate);
        for change in &mut changes {
            if let Change::InsertCrl(crl) = change {
                crl.number = past.crl_number;
                crl.base_number = past.crl_number;
            }
        }
        let Past { mut revoked, issued, serials, .. } = past;
        let entry = |serial: Vec<u8>, revoked: Revoked, not_after: Timestamp| CrlEntry {
            key_id: ca.key_id,
            partition: 0,
            serial,
            der: revoked.der,
            reason: revoked.revocation.reason,
            not_after,
            recorded_at: now,
        };
        for foreign in issued {
            let mut row = self.imported_row(call, &foreign, &ImportLabels::default(), now);
            row.ca_id = Some(ca.id);
            row.ca_certificate_id = Some(certificate.id);
            if let Some((serial, revoked)) = revoked_entry(&mut revoked, &row) {
                row.revocation = Some(revoked.revocation);
                changes.push(Change::InsertCrlEntry(entry(serial, revoked, row.not_after)));
            }
            let imported = ImportedCertificate { certificate: row, chain: Vec::new() };
            changes.push(Change::ImportCertificate(Box::new(imported)));
        }
        changes.push(Change::RegisterSerials { issuer: ca.id, serials });
        for (serial, revoked) in revoked {
            // Nobody says when that certificate ends, but the CA's own end is the last moment that matters.
            changes.push(Change::InsertCrlEntry(entry(serial, revoked, certificate.not_after)));
        }
        changes
    }
}

fn revoked_entry(revoked: &mut HashMap<Vec<u8>, Revoked>, row: &InventoryCertificate) -> Option<(Vec<u8>, Revoked)> {
    let serial = SerialNumber::parse_hex(&row.serial_number).ok()?;
    revoked.remove_entry(serial.as_bytes())
}

/// Reads key and certificates. The derivation of a key from a password may take a second, and goes to another thread.
async fn identity(certificate: String, chain: String, key: ImportedKey) -> Result<Identity, Error> {
    let read = move || match key {
        ImportedKey::Pem { text, password } => {
            let own = read_one(&certificate)?;
            let key = PrivateKey::from_pem(&text, password.as_ref().map(|it| it.as_str())).map_err(|error| {
                let wrong = matches!(error, PrivateKeyError::WrongPassword);
                let field = if wrong { "privateKeyPassword" } else { "privateKey" };
                Error::malformed("ca_import.key", field, error.to_string())
            })?;
            Ok(Identity { own, chain: read_chain(&chain)?, key, warnings: Vec::new() })
        }
        ImportedKey::Pkcs12 { file, password } => from_pkcs12(&file, &password, &certificate, &chain),
    };
    tokio::task::spawn_blocking(read).await.map_err(Error::internal)?
}

fn from_pkcs12(file: &[u8], password: &str, certificate: &str, chain: &str) -> Result<Identity, Error> {
    let refuse = |code, text: &str| Error::malformed(code, "pkcs12", text);
    let entries = pkcs12::read(file, password).map_err(|error| {
        let field = if error.code == "pkcs12.password" { "pkcs12Password" } else { "pkcs12" };
        Error::malformed(error.code, field, error.message)
    })?;
    let mut with_key = entries.into_iter().filter_map(|entry| entry.private_key_pkcs8.clone().map(|key| (entry, key)));
    let (Some((entry, key)), None) = (with_key.next(), with_key.next()) else {
        return Err(refuse("ca_import.pkcs12", "the file must hold exactly one private key with its certificate"));
    };
    let key = PrivateKey::from_pkcs8_der(&key).map_err(|error| refuse("ca_import.key", &error.to_string()))?;
    let parse = |der: &[u8]| Certificate::from_der(der).map_err(|error| refuse("certificate.der", &error.to_string()));
    let own = if certificate.trim().is_empty() { parse(&entry.certificate_der)? } else { read_one(certificate)? };
    let mut above = read_chain(chain)?;
    if above.is_empty() {
        above = entry.chain.iter().map(|der| parse(der)).collect::<Result<_, _>>()?;
        // Some programs repeat the certificate itself in the chain.
        above.retain(|it| it.der() != own.der());
    }
    Ok(Identity { own, chain: above, key, warnings: Vec::new() })
}

/// A certificate of a CA here and everything above it.
fn parsed_line(signer: &CaCertificate) -> Result<Vec<Certificate>, Error> {
    std::iter::once(&signer.der)
        .chain(&signer.chain)
        .map(|der| Certificate::from_der(der).map_err(Error::internal))
        .collect()
}

/// The key must be the certificate's, and the certificate one that may sign, now, under a chain that holds.
fn check_identity(identity: &mut Identity, now: Timestamp) -> Result<(), Error> {
    let Identity { own, chain, key, warnings } = identity;
    if own.spki_der() != key.public_key().spki_der() {
        let text = "it is not the key of this certificate; give the key that belongs to the CA certificate";
        return Err(Error::malformed("ca_import.key_mismatch", "privateKey", text));
    }
    if own.is_self_issued() {
        // A root stands alone: what was given above it can only be itself again.
        chain.retain(|it| it.der() != own.der());
        if !chain.is_empty() {
            let text = "a self-signed CA has nothing above it; leave the chain out";
            return Err(Error::malformed("certificate.chain", "certificateChain", text));
        }
    }
    warnings.extend(check_line(own, chain, now)?);
    check_key_id(own)?;
    let usages = own.extensions().key_usages;
    if !usages.is_empty() && !usages.contains(KeyUsage::CrlSign) {
        let text = "its key usage does not include cRLSign, so relying parties will refuse its CRLs; OCSP answers are not touched by that";
        warnings.push(Warning::new("ca_import.crl_sign", "certificate", text));
    }
    if !own.unknown_extensions().is_empty() {
        let names: Vec<String> = own.unknown_extensions().iter().map(ToString::to_string).collect();
        let text =
            format!("a renewal made here will not repeat these extensions of the certificate: {}", names.join(", "));
        warnings.push(Warning::new("ca_import.extensions", "certificate", text));
    }
    Ok(())
}

/// What an administrator would have configured to get this certificate.
fn configuration(own: &Certificate, key: &PrivateKey) -> InternalCaConfiguration {
    let subject = own.subject().ok();
    let text = |kind: AttributeType| {
        let value = subject.as_ref().and_then(|it| it.first(kind));
        value.unwrap_or_default().to_owned()
    };
    let rules = |all: &[GeneralSubtree]| {
        all.iter().map(|it| Subtree { kind: it.kind(), value: it.value() }).collect::<Vec<_>>()
    };
    let name_constraints = own.extensions().name_constraints.as_ref();
    InternalCaConfiguration {
        level: if own.is_self_issued() { CaLevel::Root } else { CaLevel::Intermediate },
        friendly_name: String::new(),
        common_name: text(AttributeType::CommonName),
        organization: text(AttributeType::Organization),
        organizational_unit: text(AttributeType::OrganizationalUnit),
        country: text(AttributeType::Country),
        state: text(AttributeType::State),
        locality: text(AttributeType::Locality),
        key_algorithm: key.algorithm(),
        // A root's own signature shows what it has signed with so far.
        signature_algorithm: own
            .signature_algorithm()
            .filter(|it| own.is_self_issued() && it.fits(key.algorithm()))
            .filter(|it| *it != key.algorithm().default_signature()),
        not_before: None,
        not_after: None,
        path_length_max: own.extensions().basic_constraints.and_then(|it| it.path_length).map(i64::from),
        name_constraints: name_constraints
            .map(|it| NameConstraintRules { permitted: rules(&it.permitted), excluded: rules(&it.excluded) }),
        status: StatusSettings::default(),
        auto_renewal: AutoRenewal::default(),
        signing: None,
    }
}

impl Past {
    fn read(
        own: &Certificate,
        last_crl: Option<Vec<u8>>,
        last_crl_number: Option<i64>,
        issued_certificates: Vec<String>,
        serial_numbers: Vec<String>,
    ) -> Result<Self, Error> {
        let mut past = Self {
            crl_number: last_crl_number.unwrap_or(0),
            revoked: HashMap::new(),
            issued: Vec::new(),
            serials: Vec::new(),
            warnings: Vec::new(),
        };
        if !(0..=CRL_NUMBER_MAX).contains(&past.crl_number) {
            let text = format!("must be from 0 to {CRL_NUMBER_MAX}, so that there is room for those to come");
            return Err(Error::malformed("ca_import.crl_number", "lastCrlNumber", text));
        }
        let asked = [("issuedCertificates", issued_certificates.len()), ("serialNumbers", serial_numbers.len())];
        if let Some((field, _)) = asked.iter().find(|(_, count)| *count > LISTED_MAX) {
            return Err(Error::malformed("ca_import.too_many", *field, format!("give at most {LISTED_MAX}")));
        }
        match last_crl {
            Some(bytes) => past.read_crl(own, &bytes)?,
            None if last_crl_number.is_none() => {
                let text = "no last CRL was given, so CRL numbers start anew and nobody is revoked; if the CA has published CRLs, import it with the last one";
                past.warnings.push(Warning::new("ca_import.no_crl", "lastCrl", text));
            }
            None => {}
        }
        past.read_issued(own, &issued_certificates)?;
        for (index, text) in serial_numbers.iter().enumerate() {
            let serial = SerialNumber::parse_hex(text.trim()).map_err(|error| {
                Error::malformed("ca_import.serial", format!("serialNumbers[{index}]"), error.to_string())
            })?;
            past.serials.push(serial.as_bytes().to_vec());
        }
        Ok(past)
    }

    fn read_crl(&mut self, own: &Certificate, bytes: &[u8]) -> Result<(), Error> {
        let refuse = |code, text: String| Err(Error::malformed(code, "lastCrl", text));
        let list = match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_start().starts_with("-----BEGIN") => CertificateList::from_pem(text),
            _ => CertificateList::from_der(bytes),
        };
        let list = match list {
            Ok(list) => list,
            Err(error) => return refuse(error.code, error.message),
        };
        if list.issuer_der() != own.subject_der() || !own.public_key().is_ok_and(|key| list.is_signed_by(&key)) {
            return refuse(
                "ca_import.crl_signature",
                "it is not signed by this CA's key; give the last CRL of this CA".to_owned(),
            );
        }
        let partial = list
            .issuing_distribution_point()
            .is_some_and(|it| it.only_contains_ca_certs || it.only_contains_user_certs);
        if list.is_delta() || partial {
            return refuse("ca_import.crl_partial", "it lists a part only; give the last complete CRL".to_owned());
        }
        match (list.number(), list.number_octets()) {
            (Some(number), _) if number <= CRL_NUMBER_MAX => self.crl_number = self.crl_number.max(number),
            (None, None) => {}
            _ => {
                return refuse(
                    "ca_import.crl_number",
                    "its number does not leave room for others below 2^63".to_owned(),
                );
            }
        }
        for entry in list.entries() {
            let reason = entry.reason.map_or(Some(RevocationReason::Unspecified), RevocationReason::from_code);
            let Some(reason) = reason else {
                return refuse(
                    "ca_import.crl_entry",
                    format!(
                        "the entry of serial number {} has a reason that no complete CRL has",
                        hex::encode(entry.serial)
                    ),
                );
            };
            let revocation = Revocation { at: Timestamp::from_seconds(entry.revocation_date), reason };
            let Some(serial) =
                SerialNumber::from_bytes(entry.serial).ok().filter(|it| it.to_content_octets() == entry.serial)
            else {
                // Negative, or zero: no number of ours, but whoever has it stays revoked.
                self.revoked.insert(entry.serial.to_vec(), Revoked { der: entry.der.to_vec(), revocation });
                continue;
            };
            // In our own encoding: others write extensions that a relying party must not meet again.
            let der = CrlEntryContents {
                serial: entry.serial,
                revocation_date: entry.revocation_date,
                reason_code: (reason != RevocationReason::Unspecified).then(|| reason.code()),
                invalidity_date: entry.invalidity_date,
            }
            .to_der();
            self.serials.push(serial.as_bytes().to_vec());
            self.revoked.insert(serial.as_bytes().to_vec(), Revoked { der, revocation });
        }
        Ok(())
    }

    fn read_issued(&mut self, own: &Certificate, texts: &[String]) -> Result<(), Error> {
        let key =
            own.public_key().map_err(|error| Error::malformed("certificate.key", "certificate", error.message))?;
        let mut seen = std::collections::HashSet::new();
        for (index, text) in texts.iter().enumerate() {
            let field = format!("issuedCertificates[{index}]");
            let strict = Certificate::from_pem(text)
                .map_err(|error| Error::malformed(error.code, field.clone(), error.message))?;
            if strict.der() == own.der() {
                continue;
            }
            // One signed with SHA-1 cannot be checked, but its name and number can be kept from being used again.
            let genuine = strict.issuer_der() == own.subject_der()
                && (strict.signature_algorithm().is_none() || strict.is_signed_by(&key));
            if !genuine {
                let text = "it was not issued by this CA; leave it out";
                return Err(Error::malformed("ca_import.not_issued", field, text));
            }
            if seen.insert(strict.serial().to_hex()) {
                let foreign = ForeignCertificate::from_der(strict.der())
                    .map_err(|error| Error::malformed(error.code, field, error.message))?;
                self.issued.push(foreign);
            }
        }
        Ok(())
    }
}
