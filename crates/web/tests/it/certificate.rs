//! One certificate and its actions, as its visitors see them.
//!
//! ```text
//! root "root" ── profile "web" (tls-server, key kept, key reuse) ── www.acme.com
//!             └─ profile "once" (key in the answer only)
//! ```

use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::hierarchy::NewCa;
use chancery_authority::inventory::{ImportOutcome, ImportRequest};
use chancery_authority::profile::{NewProfile, ProfileSettingsPatch};
use chancery_authority::template::NewTemplate;
use chancery_model::authority::CaStatus;
use chancery_model::certificate::{Certificate, CertificateStatus, RevocationReason};
use chancery_model::permission::Role;
use chancery_model::profile::{KeyCustody, ProfileIssuer, RenewAt};
use chancery_model::{CertificateId, ProfileId, Timestamp};

use crate::place::{PASSWORD, Place};

/// A place with a CA and a template, and its two profiles.
pub struct World {
    pub place: Place,
    pub kept: ProfileId,
    pub once: ProfileId,
}

impl World {
    pub async fn new() -> Self {
        let place = Place::new().await;
        let (authority, call) = (&place.authority, place.call().await);
        let configuration = serde_json::json!({
            "level": "root", "common_name": "Test Root", "key_algorithm": "EC_prime256v1",
            "not_after": Timestamp::parse_date("2046-01-01").unwrap(),
        });
        let new = NewCa {
            name: "root".to_owned(),
            status: CaStatus::Active,
            configuration: serde_json::from_value(configuration).unwrap(),
            direct_issuance_template: None,
        };
        let root = authority.create_ca(&call, new).await.unwrap();
        let preset = Some("tls-server".to_owned());
        let new = NewTemplate { name: "web".to_owned(), preset, ..NewTemplate::default() };
        let template = authority.create_template(&call, new).await.unwrap();
        let profile = async |slug: &str, custody| {
            let settings = ProfileSettingsPatch {
                allow_key_reuse: Some(true),
                key_custody: Some(custody),
                ..ProfileSettingsPatch::default()
            };
            let new = NewProfile {
                slug: slug.to_owned(),
                description: None,
                issuer: ProfileIssuer::Ca(root.id),
                template_id: template.id,
                enrollment: None,
                settings,
            };
            authority.create_profile(&call, new).await.unwrap().id
        };
        let kept = profile("web", KeyCustody::Stored).await;
        let once = profile("once", KeyCustody::ReturnOnce).await;
        Self { place, kept, once }
    }

    pub async fn issue(&self, profile_id: ProfileId, name: &str) -> Certificate {
        let request = IssueRequest {
            target: Target::Profile { profile_id, application_id: None },
            csr: None,
            attributes: Attributes {
                common_name: Field::Value(name.to_owned()),
                ttl: Some("90d".to_owned()),
                ..Attributes::default()
            },
            metadata: vec![("team".to_owned(), "<b>edge</b>".to_owned())],
        };
        let issued = self.place.authority.issue(&self.place.call().await, request).await.unwrap();
        issued.into_issued().unwrap().certificate
    }

    async fn now(&self, id: CertificateId) -> Certificate {
        self.place.authority.certificate_of(&self.place.call().await, id).await.unwrap()
    }
}

fn at(id: CertificateId, rest: &str) -> String {
    format!("/ui/certificates/{id}{rest}")
}

#[tokio::test]
async fn the_page_tells_everything_about_a_certificate() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let answer = admin.get(&at(it.id, "")).await;
    assert!(answer.ok().len() < 100_000);
    let words = answer.words();
    for expected in [
        "www.acme.com",
        "Active",
        &it.serial_number,
        &hex::encode(it.fingerprint_sha256),
        "Lifetime granted 90 days",
        "TLS server",
        "Digital signature",
        "DNS name",
        "Basic constraints",
        "Not a certification authority",
        "Test Root",
        "Common name www.acme.com as asked",
        "copied from the common name",
        "version 1 allowed it",
        "team <b>edge</b>",
        "Issued",
        "admin@example.internal",
        "Made by the server",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert!(answer.text().contains(&format!("href=\"/ui/authorities/{}\"", it.ca_id.unwrap())));
    assert!(!answer.text().contains("<b>edge"));
}

#[tokio::test]
async fn an_auditor_sees_all_and_can_do_nothing() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let auditor = world.place.visitor(Role::Auditor).await;
    let page = auditor.get(&at(it.id, "")).await;
    assert!(page.words().contains(&it.serial_number));
    for action in ["/renew", "/revoke", "/delete", "/labels", "/auto-renewal"] {
        assert!(!page.text().contains(&at(it.id, action)), "{action}");
        assert_eq!(auditor.get(&at(it.id, action)).await.status, 403, "{action}");
    }
    for action in ["/renew", "/revoke", "/release", "/delete", "/labels", "/auto-renewal", "/private-key", "/pkcs12"] {
        assert_eq!(auditor.post(&at(it.id, action), &[("reason", "SUPERSEDED")]).await.status, 403, "{action}");
    }
    let download = auditor.get(&at(it.id, "/download")).await;
    assert!(download.words().contains("you may not") && !download.text().contains("/private-key"));
    assert!(auditor.get(&at(it.id, "/file?format=fullchain")).await.text().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(world.now(it.id).await.status(world.place.now()), CertificateStatus::Active);
}

#[tokio::test]
async fn an_operator_manages_nothing_that_others_requested() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let operator = world.place.visitor(Role::Operator).await;
    let page = operator.get(&at(it.id, "")).await.ok();
    for action in ["/renew", "/revoke", "/delete", "/labels", "/auto-renewal"] {
        assert!(!page.contains(&at(it.id, action)), "{action}");
        assert_eq!(operator.get(&at(it.id, action)).await.status, 403, "{action}");
    }
    let key = operator.post(&at(it.id, "/private-key"), &[("understood", "on")]).await;
    assert_eq!(key.status, 403);
    assert!(!key.text().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_renewal_leads_to_the_successor_and_happens_once() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let form = admin.get(&at(it.id, "/renew")).await.ok();
    assert!(form.contains("value=\"new\" required checked"));
    let fields = [("key", "new"), ("_once", "7")];
    let successor = admin.post(&at(it.id, "/renew"), &fields).await.sent();
    assert_eq!(admin.post(&at(it.id, "/renew"), &fields).await.sent(), successor, "the same form again");
    let old = world.now(it.id).await;
    assert_eq!(successor, at(old.renewal.renewed_by.unwrap(), ""));
    let page = admin.get(&successor).await;
    assert!(page.words().contains("Line of renewals") && page.text().contains(&at(it.id, "")));
    let page = admin.get(&at(it.id, "")).await;
    assert!(page.words().contains("go to its successor"), "{}", page.words());
    assert!(!page.text().contains(&at(it.id, "/renew")));
    assert!(admin.get(&at(it.id, "/renew")).await.words().contains("already renewed"));
}

#[tokio::test]
async fn a_wrong_renewal_stays_in_its_form() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let check = async |fields: &[(&str, &str)], said: &str| {
        let answer = admin.post(&at(it.id, "/renew"), fields).await;
        assert_eq!(answer.status, 422, "{fields:?}");
        assert!(answer.words().contains(said), "{fields:?}: {}", answer.words());
    };
    check(&[], "Choose which key").await;
    check(&[("key", "csr")], "Paste the CSR").await;
    check(&[("key", "csr"), ("csr", "nonsense")], "csr").await;
    check(&[("key", "new"), ("ttl", "soon")], "soon").await;
    check(&[("key", "new"), ("ttl", "20 years")], "The template refuses this request").await;
    assert_eq!(world.now(it.id).await.renewal.renewed_by, None);
}

#[tokio::test]
async fn a_key_that_is_kept_nowhere_is_shown_once() {
    let world = World::new().await;
    let it = world.issue(world.once, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    assert!(admin.get(&at(it.id, "/renew")).await.words().contains("shown once"));
    let answer = admin.post(&at(it.id, "/renew"), &[("key", "new"), ("_once", "1")]).await;
    assert!(answer.ok().contains("-----BEGIN PRIVATE KEY-----"));
    let again = admin.post(&at(it.id, "/renew"), &[("key", "new"), ("_once", "1")]).await;
    assert!(!again.text().contains("PRIVATE KEY"));
    let successor = world.now(it.id).await.renewal.renewed_by.unwrap();
    assert!(!admin.get(&at(successor, "/download")).await.text().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_revocation_needs_a_reason_and_a_hold_is_taken_back() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let answer = admin.post(&at(it.id, "/revoke"), &[("reason", "")]).await;
    assert_eq!(answer.status, 422);
    assert!(answer.words().contains("Choose the reason"));

    let reason = |it: &Certificate| it.revocation.map(|revocation| revocation.reason);
    admin.post(&at(it.id, "/revoke"), &[("reason", "CERTIFICATE_HOLD")]).await.sent();
    assert_eq!(reason(&world.now(it.id).await), Some(RevocationReason::CertificateHold));
    let page = admin.get(&at(it.id, "")).await;
    assert!(page.words().contains("On hold") && page.text().contains(&at(it.id, "/release")));
    assert!(!admin.get(&at(it.id, "/revoke")).await.text().contains("value=\"CERTIFICATE_HOLD\""));

    admin.post(&at(it.id, "/release"), &[]).await.sent();
    assert_eq!(reason(&world.now(it.id).await), None);
    admin.post(&at(it.id, "/revoke"), &[("reason", "KEY_COMPROMISE")]).await.sent();
    let page = admin.get(&at(it.id, "")).await;
    assert!(page.words().contains("Revoked") && page.words().contains("Key compromise"));
    assert!(!page.text().contains(&at(it.id, "/revoke")) && !page.text().contains(&at(it.id, "/renew")));
    assert!(admin.get(&at(it.id, "/revoke")).await.words().contains("that is final"));
    let again = admin.post(&at(it.id, "/revoke"), &[("reason", "SUPERSEDED")]).await;
    assert_eq!(again.status, 422);
    assert!(again.words().contains("already revoked"));
}

#[tokio::test]
async fn files_hold_what_they_promise() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let file = async |format: &str| admin.get(&at(it.id, &format!("/file?format={format}"))).await;
    let count = |text: String| text.matches("-----BEGIN CERTIFICATE-----").count();
    assert_eq!(count(file("pem").await.ok()), 1);
    assert_eq!(count(file("fullchain").await.ok()), 2);
    assert_eq!(count(file("chain").await.ok()), 1);
    assert_eq!(file("der").await.bytes, it.der);
    let full = file("fullchain").await;
    assert_eq!(full.headers["content-disposition"], "attachment; filename=\"www.acme.com.fullchain.pem\"");
    assert_eq!(full.headers["cache-control"], "no-store");
    assert_eq!(file("exe").await.status, 400);
    let page = admin.get(&at(it.id, "/download")).await.words();
    assert!(
        page.contains("server_name www.acme.com;") && page.contains("curl --cacert www.acme.com.chain.pem"),
        "{page}"
    );
}

#[tokio::test]
async fn the_private_key_comes_only_by_a_form_and_is_written_down() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    assert_ne!(admin.get(&at(it.id, "/private-key")).await.status, 200);
    let answer = admin.post(&at(it.id, "/private-key"), &[]).await;
    assert_eq!(answer.status, 422);
    let answer = admin.post(&at(it.id, "/private-key"), &[("understood", "on")]).await;
    assert!(answer.ok().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"www.acme.com.key\"");
    assert!(admin.get(&at(it.id, "")).await.words().contains("Private key downloaded as PEM"));

    // Later the password is asked for again, and the form waits.
    world.place.clock.advance_seconds(16 * 60);
    let asked = admin.post(&at(it.id, "/private-key"), &[("understood", "on")]).await;
    assert!(asked.words().contains("Your password") && !asked.text().contains("PRIVATE KEY"));
    let fields = [("understood", "on"), ("_password", PASSWORD)];
    assert!(admin.post(&at(it.id, "/private-key"), &fields).await.ok().starts_with("-----BEGIN PRIVATE KEY-----"));
}

#[tokio::test]
async fn a_pkcs12_file_needs_the_same_good_password_twice() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let send = async |one: &str, two: &str| {
        admin.post(&at(it.id, "/pkcs12"), &[("file_password", one), ("file_password_again", two)]).await
    };
    let differing = send("secret1", "secret2").await;
    assert_eq!(differing.status, 422);
    assert!(differing.words().contains("The two passwords differ") && !differing.text().contains("secret1"));
    let short = send("abc", "abc").await;
    assert_eq!(short.status, 422);
    assert!(short.words().contains("6 to 1024 characters"));
    let file = send("a good password", "a good password").await;
    assert_eq!(file.status, 200);
    let read = chancery_pkix::pkcs12::read(&file.bytes, "a good password").unwrap();
    assert_eq!(read[0].certificate_der, it.der);
    assert!(read[0].private_key_pkcs8.is_some());
}

#[tokio::test]
async fn automatic_renewal_is_set_switched_off_and_refused() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let path = at(it.id, "/auto-renewal");
    let wrong = admin.post(&path, &[("mode", "before"), ("before", "400 days")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.words().contains("is not shorter than the certificate's life"), "{}", wrong.words());
    assert!(wrong.text().contains("value=\"400 days\""));

    admin.post(&path, &[("mode", "fraction"), ("percent", "50"), ("superseded", "1d")]).await.sent();
    let settings = world.now(it.id).await.renewal;
    assert_eq!(settings.settings.unwrap().renew_at, Some(RenewAt::Permille(500)));
    assert!(settings.due_at.is_some() && settings.settings.unwrap().revoke_superseded_after.is_some());
    assert!(admin.get(&at(it.id, "")).await.words().contains("The server renews it by itself. Due"));

    admin.post(&path, &[("mode", "off"), ("superseded", "")]).await.sent();
    let settings = world.now(it.id).await.renewal;
    assert!(settings.due_at.is_none() && settings.settings.unwrap().switched_off);
    assert!(admin.get(&at(it.id, "")).await.words().contains("Switched off for this certificate"));
}

#[tokio::test]
async fn labels_are_changed_and_judged() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    let path = at(it.id, "/labels");
    let wrong = admin.post(&path, &[("label_key", ""), ("label_value", "x")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.words().contains("a key has 1 to 255 characters"));
    let fields = [("label_key", "owner"), ("label_value", "Köln"), ("label_key", ""), ("label_value", "")];
    admin.post(&path, &fields).await.sent();
    assert_eq!(world.now(it.id).await.metadata, [("owner".to_owned(), "Köln".to_owned())]);
}

#[tokio::test]
async fn a_deleted_certificate_is_gone_from_the_pages() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    let admin = world.place.visitor(Role::Admin).await;
    assert!(admin.get(&at(it.id, "/delete")).await.words().contains("Deleting does not revoke it"));
    assert_eq!(admin.post(&at(it.id, "/delete"), &[]).await.sent(), "/ui/certificates");
    assert_eq!(admin.get(&at(it.id, "")).await.status, 404);
}

#[tokio::test]
async fn expired_certificates_offer_no_renewal() {
    let world = World::new().await;
    let it = world.issue(world.kept, "www.acme.com").await;
    world.place.clock.advance_seconds(91 * 86_400);
    let admin = world.place.visitor(Role::Admin).await;
    let page = admin.get(&at(it.id, "")).await;
    assert!(page.words().contains("Expired") && !page.text().contains(&at(it.id, "/renew")));
    assert!(admin.get(&at(it.id, "/renew")).await.words().contains("It cannot be renewed now"));
}

/// A certificate from hand with a name that is markup, a script, a command and a trick of writing direction.
const HOSTILE: &str = "\"><script>alert(1)</script>$(reboot)\u{202e}moc";

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => out.push(short),
        Ok(long) => out.extend([0x81, long]),
        Err(_) => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// A certificate of version 3 with an RSA key of 1024 bits and no true signature, as only an import brings one.
fn hostile_certificate() -> Vec<u8> {
    let rsa_sha256 = der(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], &[5, 0]]);
    let name = |text: &str| {
        let attribute = der(0x30, &[&[6, 3, 0x55, 4, 3], &der(0x0c, &[text.as_bytes()])]);
        der(0x30, &[&der(0x31, &[&attribute])])
    };
    let modulus = [vec![0, 0x80], vec![1; 127]].concat();
    let key = der(0x30, &[&der(2, &[&modulus]), &der(2, &[&[1, 0, 1]])]);
    let rsa = der(0x30, &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]]);
    let names =
        der(0x30, &[&der(0x82, &[b"x;reboot\"><script>alert(1)</script>"]), &der(0x86, &[b"javascript:alert(1)"])]);
    let extension = |oid: &[u8], value: &[u8]| der(0x30, &[&der(6, &[oid]), &der(4, &[value])]);
    let extensions = [
        extension(&[0x55, 0x1d, 17], &names),
        extension(&[0x2a, 3, 4], b"\x30\x03<b>"),
        extension(&[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 13], &der(0x0c, &[HOSTILE.as_bytes()])),
    ];
    let body = der(
        0x30,
        &[
            &[0xa0, 3, 2, 1, 2],
            &[2, 1, 77],
            &rsa_sha256,
            &name("<img src=x>"),
            &der(0x30, &[&der(0x17, &[b"250101000000Z"]), &der(0x17, &[b"300101000000Z"])]),
            &name(HOSTILE),
            &der(0x30, &[&rsa, &der(3, &[&[0], &key])]),
            &der(0xa3, &[&der(0x30, &[&extensions.concat()])]),
        ],
    );
    der(0x30, &[&body, &rsa_sha256, &der(3, &[&[0; 129]])])
}

#[tokio::test]
async fn a_hostile_certificate_is_only_text() {
    let world = World::new().await;
    let request = ImportRequest {
        certificate: chancery_pkix::pem::encode(chancery_pkix::pem::CERTIFICATE, &hostile_certificate()),
        chain: None,
        private_key: None,
        private_key_password: None,
        labels: chancery_authority::inventory::import::ImportLabels::default(),
    };
    let call = world.place.call().await;
    let imported = world.place.authority.import_certificate(&call, request).await.unwrap();
    let id = match imported {
        ImportOutcome::Imported(it) => it.certificate.id,
        ImportOutcome::AlreadyThere(id) => id,
    };
    let admin = world.place.visitor(Role::Admin).await;
    for page in ["", "/download", "/revoke", "/delete", "/labels", "/renew"] {
        let answer = admin.get(&at(id, page)).await;
        let text = answer.ok();
        assert!(!text.contains("<script>alert") && !text.contains('\u{202e}'), "{page}");
        assert!(!text.contains("href=\"javascript"), "{page}");
    }
    let page = admin.get(&at(id, "")).await.words();
    assert!(page.contains("<script>alert(1)</script>") && page.contains("⟨U+202E⟩"), "{page}");
    assert!(page.contains("Imported"));
    assert!(!admin.get(&at(id, "/download")).await.words().contains("server_name \"><script>"));
    assert!(admin.get(&at(id, "/revoke")).await.words().contains("only its issuer can revoke it"));
    assert_eq!(admin.post(&at(id, "/revoke"), &[("reason", "SUPERSEDED")]).await.status, 422);
}
