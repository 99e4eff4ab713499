//! Certificate templates: presets, rows of rules, what is in force, trying, rehearsing, and who may.

use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::profile::{NewProfile, ProfileSettingsPatch};
use chancery_authority::template::{NewTemplate, TemplateRulesPatch};
use chancery_model::page::PageRequest;
use chancery_model::permission::Role;
use chancery_model::profile::{EnrollmentType, ProfileIssuer};
use chancery_model::template::{CertificateTemplate, Patterns};

use crate::place::{Browser, Place};

/// What a browser sends of a form that asks for `*.acme.com`, one year.
const ACME: &[(&str, &str)] = &[
    ("do", "save"),
    ("name", "Acme Web"),
    ("subject_mode", "rules"),
    ("subject_type", "common_name"),
    ("subject_allowed", "*.acme.com"),
    ("subject_required", ""),
    ("subject_denied", ""),
    ("subject_wildcards", ""),
    ("san_mode", "rules"),
    ("san_type", "dns_name"),
    ("san_allowed", "*.acme.com\r\n*.acme.net"),
    ("san_required", ""),
    ("san_denied", "secret.acme.com"),
    ("san_wildcards", "no"),
    ("ku_mode", "rules"),
    ("ku_digital_signature", "required"),
    ("eku_mode", "rules"),
    ("eku_server_auth", "required"),
    ("validity_max", "1y"),
    ("ca", "denied"),
];

/// The same form with some fields said otherwise.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<(&str, &str)> = ACME.to_vec();
    for (name, value) in changes {
        fields.retain(|(it, _)| it != name);
        fields.push((name, value));
    }
    fields
}

async fn stored(place: &Place) -> Vec<CertificateTemplate> {
    let page = PageRequest { offset: 0, limit: 50, cursor: None };
    let project = place.authority.default_project_id();
    place.authority.reader().templates(project, None, &page).await.unwrap().items
}

async fn created(place: &Place, browser: &Browser<'_>) -> String {
    let path = browser.post("/ui/templates/new", ACME).await.sent();
    assert_eq!(path, format!("/ui/templates/{}", stored(place).await[0].id));
    path
}

/// A profile of self-signed certificates with the template, and one certificate issued under it.
async fn issue_under(place: &Place, template: &CertificateTemplate, common_name: &str) {
    let call = place.call().await;
    let new = NewProfile {
        slug: "lab".to_owned(),
        description: None,
        issuer: ProfileIssuer::SelfSigned,
        template_id: template.id,
        enrollment: Some(EnrollmentType::Api),
        settings: ProfileSettingsPatch::default(),
    };
    let profile = place.authority.create_profile(&call, new).await.unwrap();
    let common_name = Field::Value(common_name.to_owned());
    let attributes = Attributes { common_name, ttl: Some("30d".to_owned()), ..Attributes::default() };
    let target = Target::Profile { profile_id: profile.id, application_id: None };
    let request = IssueRequest { target, csr: None, attributes, metadata: Vec::new() };
    place.authority.issue(&call, request).await.unwrap();
}

#[tokio::test]
async fn a_template_is_written_as_rows_and_shown_in_sentences() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let path = created(&place, &admin).await;
    let template = stored(&place).await.remove(0);
    assert_eq!(template.name, "acme-web");
    let sans = template.rules.sans.unwrap();
    assert_eq!(sans[0].lists.allowed, Some(Patterns::Flat(vec!["*.acme.com".to_owned(), "*.acme.net".to_owned()])));
    assert_eq!(sans[0].lists.allow_wildcards, Some(false));
    let words = admin.get(&path).await.words();
    assert!(words.contains("The template acme-web is in force."), "{words}");
    assert!(words.contains("Common name: must match *.acme.com."), "{words}");
    assert!(words.contains("DNS names: must match *.acme.com or *.acme.net; never secret.acme.com"), "{words}");
    assert!(words.contains("Validity: at most 1 year."), "{words}");
    assert!(admin.get("/ui/templates").await.words().contains("acme-web Common name: must match *.acme.com."));
}

#[tokio::test]
async fn a_preset_fills_the_rows_and_keeps_the_name() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let form = admin.get("/ui/templates/new").await.ok();
    assert!(form.contains("Template Preset</label>") && form.contains("TLS Server Certificate</option>"), "{form}");
    let fields = [("do", "preset"), ("preset", "tls-server"), ("name", "web"), ("subject_mode", "any")];
    let filled = admin.post("/ui/templates/new", &fields).await.ok();
    assert!(filled.contains("<option value=\"tls-server\" selected>"));
    assert!(filled.contains("name=\"name\" type=\"text\" value=\"web\""), "{filled}");
    assert!(filled.contains("name=\"validity_max\" type=\"text\" value=\"398d\""));
    assert!(filled.contains("name=\"eku_server_auth\" value=\"required\" aria-label=\"TLS server: required\" checked"));
    assert!(stored(&place).await.is_empty());
    let linked = admin.get("/ui/templates/new?preset=tls-server").await.ok();
    assert!(linked.contains("value=\"398d\""));
}

#[tokio::test]
async fn rules_that_never_work_are_told_beside_their_row_and_nothing_is_lost() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let check = async |changes: &[(&str, &str)], told: &str| {
        let answer = admin.post("/ui/templates/new", &with(changes)).await;
        assert_eq!(answer.status, 422, "{changes:?}");
        assert!(answer.words().contains(told), "{told}: {}", answer.words());
        for (_, typed) in changes.iter().filter(|(_, typed)| !typed.is_empty()) {
            assert!(answer.text().contains(&typed.replace('\r', "")), "{typed} is still there");
        }
    };
    check(&[("name", "")], "a name needs letters or digits").await;
    check(&[("san_allowed", "*.acme.com\r\n*.acme.com")], "Allowed, line 2: '*.acme.com' is given twice").await;
    check(&[("san_allowed", ""), ("san_denied", "")], "A rule needs at least one of allowed, required and denied")
        .await;
    check(&[("validity_max", "1 fortnight")], "the unit is not one of").await;
    check(&[("max_sans", "1000")], "Give a number from 1 to 100").await;
    check(&[("san_allowed", "regex:(")], "Allowed, line 1:").await;
    check(&[("ku_mode", "rules"), ("ku_key_cert_sign", "required")], "key_cert_sign").await;
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn rows_are_added_and_taken_away_without_a_script() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let rows = |html: &str| html.split("<template").next().unwrap_or_default().matches("name=\"san_type\"").count();
    let added = admin.post("/ui/templates/new", &with(&[("do", "add-san")])).await;
    assert_eq!(rows(&added.ok()), 2);
    let removed = admin.post("/ui/templates/new", &with(&[("do", "remove-san-0")])).await;
    assert_eq!(rows(&removed.ok()), 0);
}

#[tokio::test]
async fn the_preview_says_what_unsaved_rules_would_do() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let part = async |changes: &[(&str, &str)]| {
        let answer = admin.post("/ui/templates/preview", &with(changes)).await;
        assert!(!answer.text().contains("<html"), "a part of a page has no frame");
        answer.words()
    };
    assert!(part(&[]).await.contains("Common name: must match *.acme.com."));
    let open = part(&[("subject_mode", "any")]).await;
    assert!(open.contains("whoever may request chooses any name"), "{open}");
    let passes = part(&[("try_cn", "www.acme.com")]).await;
    assert!(passes.contains("This request would pass."), "{passes}");
    let refused = part(&[("try_cn", "www.evil.example"), ("try_ttl", "2y")]).await;
    assert!(refused.contains("This request would be refused."), "{refused}");
    assert!(refused.contains("www.evil.example") && refused.contains("commonName") && refused.contains("ttl"));
    let nonsense = part(&[("try_ttl", "soon")]).await;
    assert!(nonsense.contains("Not a request yet."), "{nonsense}");
    let broken = part(&[("san_allowed", "regex:(")]).await;
    assert!(broken.contains("Not possible like this") && broken.contains("Alternative names, dns name"), "{broken}");
    assert!(stored(&place).await.is_empty());
}

#[tokio::test]
async fn a_rehearsal_lists_what_would_now_be_refused() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let path = created(&place, &admin).await;
    issue_under(&place, &stored(&place).await[0], "www.acme.com").await;
    let edit = format!("{path}/edit");
    let same = admin.post(&edit, &with(&[("do", "rehearse"), ("days", "90")])).await;
    same.ok();
    assert!(same.words().contains("All 1 requests that were granted"), "{}", same.words());
    let narrowed =
        [("do", "rehearse"), ("days", "90"), ("san_allowed", "*.acme.net"), ("subject_allowed", "*.acme.net")];
    let answer = admin.post(&edit, &with(&narrowed)).await;
    let words = answer.words();
    assert!(words.contains("1 of 1 requests") && words.contains("www.acme.com") && words.contains("lab"), "{words}");
    assert_eq!(stored(&place).await[0].version, 1, "a rehearsal changes nothing");
    let odd = admin.post(&edit, &with(&[("do", "rehearse"), ("days", "0")])).await;
    assert_eq!(odd.status, 422);
    assert!(odd.words().contains("must be between 1 and"), "{}", odd.words());
}

#[tokio::test]
async fn an_edit_changes_what_was_touched_and_raises_the_version() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let path = created(&place, &admin).await;
    let before = stored(&place).await.remove(0);
    let form = admin.get(&format!("{path}/edit")).await.ok();
    assert!(form.contains("*.acme.net</textarea>") && !form.contains("Template Preset"));
    let fields = with(&[("name", "acme-web"), ("validity_max", "90d"), ("description", "Web of <Acme>")]);
    assert_eq!(admin.post(&format!("{path}/edit"), &fields).await.sent(), path);
    let after = stored(&place).await.remove(0);
    assert_eq!((after.version, after.name.as_str()), (2, "acme-web"));
    assert_eq!(after.rules.validity.unwrap().max.as_deref(), Some("90d"));
    assert_eq!((after.rules.subject, after.rules.sans), (before.rules.subject, before.rules.sans));
    let page = admin.get(&path).await;
    assert!(page.words().contains("Web of <Acme>") && !page.text().contains("<Acme>"));
}

#[tokio::test]
async fn a_duplicate_starts_with_the_rules_of_its_original() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    created(&place, &admin).await;
    let id = stored(&place).await[0].id;
    let form = admin.get(&format!("/ui/templates/new?from={id}")).await.ok();
    assert!(form.contains("value=\"acme-web-copy\"") && form.contains("secret.acme.com</textarea>"));
    assert_eq!(admin.get("/ui/templates/new?from=00000000-0000-0000-0000-000000000000").await.status, 404);
}

#[tokio::test]
async fn a_template_in_use_is_kept_and_says_by_what() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let path = created(&place, &admin).await;
    let template = stored(&place).await.remove(0);
    issue_under(&place, &template, "www.acme.com").await;
    assert_eq!(admin.post(&format!("{path}/delete"), &[]).await.sent(), path);
    let words = admin.get(&path).await.words();
    assert!(words.contains("is used by the certificate profiles lab"), "{words}");
    let call = place.call().await;
    let unused =
        NewTemplate { name: "unused".to_owned(), rules: TemplateRulesPatch::default(), ..NewTemplate::default() };
    let unused = place.authority.create_template(&call, unused).await.unwrap();
    let answer = admin.post(&format!("/ui/templates/{}/delete", unused.id), &[]).await;
    assert_eq!(answer.sent(), "/ui/templates");
    assert_eq!(stored(&place).await.len(), 1);
}

#[tokio::test]
async fn readers_see_and_try_a_template_and_change_nothing() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    let path = created(&place, &admin).await;
    for role in [Role::Operator, Role::Auditor] {
        let reader = place.visitor(role).await;
        let page = reader.get(&path).await;
        assert!(page.words().contains("Common name: must match *.acme.com."), "{role}");
        assert!(!page.text().contains("/edit") && !page.text().contains("/delete"), "{role}");
        let tried = reader.get(&format!("{path}?try_cn=www.evil.example")).await;
        assert!(tried.words().contains("This request would be refused."), "{role}");
        let part = reader.part(&format!("{path}?try_cn=www.acme.com")).await;
        assert!(part.words().contains("This request would pass.") && !part.text().contains("<html"), "{role}");
        for (at, fields) in
            [("/ui/templates/new", ACME), (&format!("{path}/edit"), ACME), (&format!("{path}/delete"), &[])]
        {
            assert_eq!(reader.post(at, fields).await.status, 403, "{role} {at}");
        }
        assert_eq!(reader.get("/ui/templates/new").await.status, 403, "{role}");
    }
    assert_eq!(stored(&place).await.len(), 1);
}

#[tokio::test]
async fn an_empty_list_offers_the_presets_to_those_who_may_use_them() {
    let place = Place::new().await;
    let admin = place.visitor(Role::Admin).await;
    assert!(admin.get("/ui/templates").await.ok().contains("/ui/templates/new?preset=tls-server"));
    let auditor = place.visitor(Role::Auditor).await;
    let page = auditor.get("/ui/templates").await.ok();
    assert!(page.contains("No templates yet") && !page.contains("preset="));
}
