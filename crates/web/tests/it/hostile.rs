//! Names from strangers on every page that shows them: text, visible, and never markup.

use std::process::Command;

use chancery_authority::access::NewIdentity;
use chancery_authority::inventory::{ImportLabels, ImportOutcome, ImportRequest};
use chancery_model::permission::Role;

use crate::place::Place;

/// What a stranger puts where a host name belongs: markup, quotes, a reordering mark, an invisible space, a control
/// character.
const EVIL: &str = "<script>alert(1)</script>\"'&\u{202e}moc\u{200b}\u{7}";

/// A self-signed certificate whose common name is [`EVIL`] and whose SANs are no better.
fn evil_certificate() -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("openssl.cnf");
    let text = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\nutf8=yes\nstring_mask=utf8only\n[dn]\nCN={}\nO=<img src=x onerror=alert(2)>\n\
         [ext]\nsubjectAltName=DNS:xn--bcher-kva.example,URI:javascript:alert(3),email:a@example.org\n",
        EVIL.replace('"', "\\\"").replace('\'', "\\'")
    );
    std::fs::write(&config, text).unwrap();
    let out = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "300"])
        .args(["-keyout", "/dev/null", "-config"])
        .arg(&config)
        .output()
        .expect("openssl; apt-get install openssl");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[track_caller]
fn assert_harmless(path: &str, html: &str) {
    for bad in
        ["<script>alert", "<img src=x", "onerror=alert(2)>", "href=\"javascript:", "\u{202e}", "\u{200b}", "\u{7}"]
    {
        assert!(!html.contains(bad), "{path} holds {bad:?}");
    }
}

#[tokio::test]
async fn a_hostile_certificate_is_text_on_every_page() {
    let place = Place::new().await;
    // The certificate is made by the real clock; the place's is set beside it.
    let call = place.call().await;
    let labels = ImportLabels { friendly_name: Some(EVIL.replace('\u{7}', "")), application_id: None };
    let request = ImportRequest {
        certificate: evil_certificate(),
        chain: None,
        private_key: None,
        private_key_password: None,
        labels,
    };
    let ImportOutcome::Imported(imported) = place.authority.import_certificate(&call, request).await.unwrap() else {
        panic!("it was there already")
    };
    let certificate = imported.certificate;
    let new = NewIdentity {
        name: EVIL.replace('\u{7}', ""),
        role: Role::Auditor,
        has_delete_protection: false,
        metadata: vec![(EVIL.to_owned(), EVIL.to_owned())],
    };
    let identity = place.authority.create_identity(&call, new).await.unwrap();

    let admin = place.visitor(Role::Admin).await;
    let page = format!("/ui/certificates/{}", certificate.id);
    let one = admin.get(&page).await.ok();
    assert_harmless(&page, &one);
    let words = admin.get(&page).await.words();
    assert!(words.contains("<script>alert(1)</script>"), "{words:.600}");
    assert!(words.contains("⟨U+202E⟩") && words.contains("⟨U+200B⟩"), "{words:.600}");
    assert!(one.contains("bücher.example"), "an internationalized name is shown in both forms");

    let machine = format!("/ui/access/machines/{}", identity.id);
    for path in ["/ui", "/ui/certificates", "/ui/certificates?q=script", "/ui/access", "/ui/audit", machine.as_str()] {
        let html = admin.get(path).await.ok();
        assert_harmless(path, &html);
    }
    let found = admin.get("/ui/certificates?q=%3Cscript%3Ealert(1)%3C/script%3E").await.ok();
    assert_harmless("a search for it", &found);
    let echoed = admin.get("/ui/sign-in?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.text();
    assert_harmless("sign-in", &echoed);
}

#[tokio::test]
async fn what_is_typed_comes_back_as_text() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    for (path, field) in [
        ("/ui/settings/clean-up", "days"),
        ("/ui/access/people", "email"),
        ("/ui/access/machines", "name"),
        ("/ui/alerts", "name"),
        ("/ui/setup/template", "names"),
    ] {
        let answer = admin.post(path, &[(field, EVIL)]).await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.words());
        assert_harmless(path, &answer.text());
        assert!(answer.text().contains("&lt;script&gt;"), "{path} kept what was typed");
    }
}
