//! Every noun reads back as it was written, and every guard refuses what it is there to refuse.

use chancery_model::authority::{CaRenewalReport, CaStatus};
use chancery_model::identity::{AccessToken, ActorId, ClientSecret, Identity};
use chancery_model::profile::{EnrollmentType, ProfileIssuer};
use chancery_model::request::RequestStatus;
use chancery_store::{Change, Conflict, ProfileFilter, StoreError, UserChange};

use crate::external::at;
use crate::world::{NOW, World, page};

pub async fn meta_is_set_and_inserted_once(world: &mut World) {
    let reader = world.reader();
    assert_eq!(reader.meta("root-key").await, Ok(None));
    world.commit([Change::InsertMeta { key: "root-key".to_owned(), value: vec![1] }]).await.unwrap();
    let again = world.refused([Change::InsertMeta { key: "root-key".to_owned(), value: vec![2] }]).await;
    assert_eq!(again, Some(Conflict::Exists));
    assert_eq!(reader.meta("root-key").await, Ok(Some(vec![1])));
    for value in [vec![], vec![0, 255]] {
        world.commit([Change::SetMeta { key: "root-key".to_owned(), value: value.clone() }]).await.unwrap();
        assert_eq!(reader.meta("root-key").await, Ok(Some(value)));
    }
}

pub async fn projects_and_users_read_back(world: &mut World) {
    let reader = world.reader();
    let mut project = world.project.clone();
    assert_eq!(reader.project(project.id).await, Ok(Some(project.clone())));
    project.name = "Renamed".to_owned();
    project.description = Some("with ü and '".to_owned());
    world.commit([Change::UpdateProject(project.clone())]).await.unwrap();
    assert_eq!(reader.project_by_slug("default").await, Ok(Some(project.clone())));
    let other = world.other_project("other");
    assert_eq!(world.refused([Change::UpdateProject(other.clone())]).await, Some(Conflict::Missing));
    world.commit([Change::InsertProject(other.clone())]).await.unwrap();
    assert_eq!(reader.projects().await, Ok(vec![project, other.clone()]));
    let taken = world.other_project("other");
    assert_eq!(world.refused([Change::InsertProject(taken)]).await, Some(Conflict::Name));
    let mut twin = world.other_project("twin");
    twin.id = other.id;
    assert_eq!(world.refused([Change::InsertProject(twin)]).await, Some(Conflict::Exists));

    let mut user = world.user("a@acme.com");
    world.commit([Change::InsertUser(user.clone())]).await.unwrap();
    assert_eq!(reader.user(user.id).await, Ok(Some(user.clone())));
    assert_eq!(world.refused([Change::InsertUser(world.user("a@acme.com"))]).await, Some(Conflict::Name));
    (user.failed_logins, user.locked_until, user.updated_at) = (0, None, at(1));
    let unlock = |id| Change::User(UserChange::SetLockout { id, failed_logins: 0, locked_until: None, at: at(1) });
    world.commit([unlock(user.id)]).await.unwrap();
    assert_eq!(reader.user_by_email("a@acme.com").await, Ok(Some(user.clone())));
    assert_eq!(reader.users(user.project_id).await, Ok(vec![user]));
    assert_eq!(reader.users(other.id).await, Ok(vec![]));
    assert_eq!(world.refused([unlock(world.id())]).await, Some(Conflict::Missing));
    assert_eq!(reader.user_by_email("b@acme.com").await, Ok(None));
}

fn secret(world: &World, identity: &Identity) -> ClientSecret {
    ClientSecret {
        id: world.id(),
        identity_id: identity.id,
        project_id: identity.project_id,
        description: "ci".to_owned(),
        prefix: "abcd".to_owned(),
        hash: world.hash(),
        uses_max: 2,
        uses: 0,
        expires_at: None,
        revoked_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn token(world: &World, actor: ActorId) -> AccessToken {
    AccessToken {
        id: world.id(),
        actor,
        project_id: world.project.id,
        hash: world.hash(),
        expires_at: NOW.plus_seconds(60),
        expires_at_max: NOW.plus_seconds(600),
        ttl: 60,
        revoked_at: None,
        browser: None,
        created_at: NOW,
    }
}

pub async fn identities_with_secrets_read_back_and_go_together(world: &mut World) {
    let reader = world.reader();
    let mut identity = world.identity("agent");
    let secret = secret(world, &identity);
    assert_eq!(world.refused([Change::InsertClientSecret(secret.clone())]).await, Some(Conflict::Missing));
    world.commit([Change::InsertIdentity(identity.clone()), Change::InsertClientSecret(secret.clone())]).await.unwrap();
    let client_id = identity.universal_auth.as_ref().unwrap().client_id;
    assert_eq!(reader.identity_by_client_id(client_id).await, Ok(Some(identity.clone())));
    let mut twin = world.identity("twin");
    twin.universal_auth.as_mut().unwrap().client_id = client_id;
    assert_eq!(world.refused([Change::InsertIdentity(twin)]).await, Some(Conflict::Name));
    assert_eq!(reader.client_secret_by_hash(identity.id, &secret.hash).await, Ok(Some(secret.clone())));
    assert_eq!(reader.client_secret_by_hash(identity.id, &[0; 32]).await, Ok(None));
    let token = token(world, ActorId::Identity(identity.id));
    world.commit([Change::InsertAccessToken(token.clone())]).await.unwrap();

    identity.universal_auth = None;
    identity.metadata = vec![];
    identity.has_delete_protection = false;
    world.commit([Change::UpdateIdentity(identity.clone())]).await.unwrap();
    assert_eq!(reader.identity(world.project.id, identity.id).await, Ok(Some(identity.clone())));
    assert_eq!(reader.identity_by_client_id(client_id).await, Ok(None));
    assert_eq!(reader.identities(world.project.id, &page(10)).await.unwrap().items, vec![identity.clone()]);

    world.commit([Change::DeleteIdentity(identity.id)]).await.unwrap();
    assert_eq!(reader.identity(world.project.id, identity.id).await, Ok(None));
    assert_eq!(reader.client_secrets(identity.id).await, Ok(vec![]));
    assert_eq!(reader.access_token(token.id).await, Ok(None));
    assert_eq!(world.refused([Change::DeleteIdentity(identity.id)]).await, Some(Conflict::Missing));
}

pub async fn secrets_are_spent_revoked_and_expire(world: &mut World) {
    let reader = world.reader();
    let identity = world.identity("agent");
    let (spent, mut brief, revoked) = (secret(world, &identity), secret(world, &identity), secret(world, &identity));
    brief.uses_max = 0;
    brief.expires_at = Some(NOW.plus_seconds(10));
    let secrets = [spent.clone(), brief.clone(), revoked.clone()].map(Change::InsertClientSecret);
    world.commit([Change::InsertIdentity(identity.clone())]).await.unwrap();
    world.commit(secrets).await.unwrap();
    let using = |id, now| [Change::UseClientSecret { id, now }];
    for _ in 0..2 {
        world.commit(using(spent.id, NOW)).await.unwrap();
    }
    assert_eq!(world.refused(using(spent.id, NOW)).await, Some(Conflict::SecretSpent));
    assert_eq!(reader.client_secret(spent.id).await.unwrap().unwrap().uses, 2);
    for _ in 0..5 {
        world.commit(using(brief.id, NOW.plus_seconds(9))).await.unwrap();
    }
    assert_eq!(world.refused(using(brief.id, NOW.plus_seconds(10))).await, Some(Conflict::SecretSpent));
    for at in [NOW, NOW.plus_seconds(5)] {
        world.commit([Change::RevokeClientSecret { id: revoked.id, at }]).await.unwrap();
    }
    assert_eq!(reader.client_secret(revoked.id).await.unwrap().unwrap().revoked_at, Some(NOW));
    assert_eq!(world.refused(using(revoked.id, NOW)).await, Some(Conflict::SecretSpent));
    assert_eq!(world.refused(using(world.id(), NOW)).await, Some(Conflict::Missing));
    assert_eq!(reader.client_secrets(identity.id).await.unwrap().len(), 3);
}

pub async fn tokens_are_extended_and_revoked(world: &mut World) {
    let reader = world.reader();
    let person = ActorId::User(world.id());
    let (mut one, two, other) = (token(world, person), token(world, person), token(world, ActorId::System));
    world.commit([one.clone(), two.clone(), other.clone()].map(Change::InsertAccessToken)).await.unwrap();
    assert_eq!(reader.access_token(other.id).await, Ok(Some(other.clone())));
    let extend = |id| [Change::ExtendAccessToken { id, expires_at: NOW.plus_seconds(120) }];
    world.commit(extend(one.id)).await.unwrap();
    one.expires_at = NOW.plus_seconds(120);
    assert_eq!(reader.access_token(one.id).await, Ok(Some(one.clone())));
    world.commit([Change::RevokeAccessToken { id: one.id, at: NOW }]).await.unwrap();
    assert_eq!(world.refused(extend(one.id)).await, Some(Conflict::Stale));
    assert_eq!(world.refused(extend(world.id())).await, Some(Conflict::Missing));
    world.commit([Change::RevokeTokensOf { actor: person, at: NOW.plus_seconds(9) }]).await.unwrap();
    assert_eq!(reader.access_token(one.id).await.unwrap().unwrap().revoked_at, Some(NOW));
    assert_eq!(reader.access_token(two.id).await.unwrap().unwrap().revoked_at, Some(NOW.plus_seconds(9)));
    assert_eq!(reader.access_token(other.id).await.unwrap().unwrap().revoked_at, None);
}

pub async fn authorities_read_back_and_are_kept_while_in_use(world: &mut World) {
    let reader = world.reader();
    let (mut root, issuing) = (world.ca("root"), world.ca("issuing"));
    let key = world.key();
    let mut certificate = world.ca_certificate(&issuing, 1);
    certificate.parent_ca_id = Some(root.id);
    certificate.chain = vec![vec![1; 300], vec![]];
    certificate.path_length = None;
    world
        .commit([
            Change::InsertKey(key.clone()),
            Change::InsertCa(Box::new(root.clone())),
            Change::InsertCa(Box::new(issuing.clone())),
            Change::InsertCaCertificate(Box::new(certificate.clone())),
        ])
        .await
        .unwrap();
    assert!(reader.key(key.id).await.unwrap().is_some_and(|it| it == key));
    assert_eq!(reader.ca_by_name(world.project.id, "root").await, Ok(Some(root.clone())));
    assert_eq!(reader.cas(world.project.id).await.unwrap().len(), 2);
    assert_eq!(reader.ca_certificate(certificate.id).await, Ok(Some(certificate.clone())));
    assert_eq!(reader.ca_certificates(issuing.id).await, Ok(vec![certificate.clone()]));
    assert_eq!(world.refused([Change::InsertCa(Box::new(world.ca("root")))]).await, Some(Conflict::Name));

    let template = world.template("servers");
    let profile = world.profile("web", &template, ProfileIssuer::Ca(issuing.id));
    world
        .commit([Change::InsertTemplate(Box::new(template.clone())), Change::InsertProfile(Box::new(profile.clone()))])
        .await
        .unwrap();
    root.status = CaStatus::Disabled;
    root.direct_issuance_template = Some(template.id);
    world.commit([Change::UpdateCa(Box::new(root.clone()))]).await.unwrap();
    assert_eq!(reader.ca(world.project.id, root.id).await, Ok(Some(root.clone())));
    assert_eq!(world.refused([Change::DeleteCa(issuing.id)]).await, Some(Conflict::InUse));
    assert_eq!(world.refused([Change::DeleteCa(root.id)]).await, Some(Conflict::InUse));
    assert_eq!(world.refused([Change::DeleteCa(world.id())]).await, Some(Conflict::Missing));
    world.commit([Change::DeleteProfile(profile.id), Change::DeleteCa(issuing.id)]).await.unwrap();
    assert_eq!(world.refused([Change::DeleteTemplate(template.id)]).await, Some(Conflict::InUse));
    world.commit([Change::DeleteCa(root.id)]).await.unwrap();
    world.commit([Change::DeleteTemplate(template.id)]).await.unwrap();
    assert_eq!(
        reader.ca_certificate(certificate.id).await,
        Ok(Some(certificate)),
        "chains of issued certificates need it"
    );
}

pub async fn activation_needs_the_expected_certificate(world: &mut World) {
    let reader = world.reader();
    let (ca, other) = (world.ca("root"), world.ca("other"));
    let (first, second, foreign) =
        (world.ca_certificate(&ca, 1), world.ca_certificate(&ca, 2), world.ca_certificate(&other, 1));
    world.commit([Change::InsertCa(Box::new(ca.clone())), Change::InsertCa(Box::new(other))]).await.unwrap();
    world
        .commit([&first, &second, &foreign].map(|it| Change::InsertCaCertificate(Box::new(it.clone()))))
        .await
        .unwrap();
    let mut twin = world.ca_certificate(&ca, 2);
    twin.id = world.id();
    assert_eq!(world.refused([Change::InsertCaCertificate(Box::new(twin))]).await, Some(Conflict::Exists));
    let activate =
        |certificate, expected_active| [Change::ActivateCa { ca: ca.id, certificate, expected_active, at: NOW }];
    assert_eq!(world.refused(activate(foreign.id, None)).await, Some(Conflict::Stale));
    assert_eq!(world.refused(activate(first.id, Some(second.id))).await, Some(Conflict::Stale));
    world.commit(activate(first.id, None)).await.unwrap();
    assert_eq!(world.refused(activate(second.id, None)).await, Some(Conflict::Stale));
    world.commit(activate(second.id, Some(first.id))).await.unwrap();
    let found = reader.ca(world.project.id, ca.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.active_certificate), (CaStatus::Active, Some(second.id)));
}

pub async fn serial_numbers_of_an_imported_ca_are_never_used_again(world: &mut World) {
    let root = world.ca("root");
    let mut own = world.ca_certificate(&root, 1);
    own.chain = Vec::new();
    own.parent_ca_id = None;
    let below = world.ca("below");
    let mut branch = world.ca_certificate(&below, 1);
    branch.parent_ca_id = Some(root.id);
    let taken = world.ca_certificate(&below, 2);
    let serial = |hex: &str| hex::decode(hex).unwrap();
    let serials = vec![serial(&branch.serial_number), serial(&taken.serial_number), serial(&own.serial_number)];
    world
        .commit([
            Change::InsertCa(Box::new(root.clone())),
            Change::InsertCa(Box::new(below)),
            Change::ImportCaCertificate(Box::new(own)),
            Change::RegisterSerials { issuer: root.id, serials: serials.clone() },
            Change::RegisterSerials { issuer: root.id, serials },
            Change::ImportCaCertificate(Box::new(branch)),
        ])
        .await
        .unwrap();
    let mut fresh = taken;
    fresh.parent_ca_id = Some(root.id);
    assert_eq!(world.refused([Change::InsertCaCertificate(Box::new(fresh))]).await, Some(Conflict::Serial));
}

pub async fn a_change_of_a_ca_does_not_undo_its_renewal(world: &mut World) {
    let reader = world.reader();
    let mut ca = world.ca("root");
    let (first, mut second) = (world.ca_certificate(&ca, 1), world.ca_certificate(&ca, 2));
    second.key_id = world.id();
    let activate =
        |certificate, expected_active| Change::ActivateCa { ca: ca.id, certificate, expected_active, at: NOW };
    world
        .commit([
            Change::InsertCa(Box::new(ca.clone())),
            Change::InsertCaCertificate(Box::new(first.clone())),
            Change::InsertCaCertificate(Box::new(second.clone())),
            activate(first.id, None),
        ])
        .await
        .unwrap();
    let report = CaRenewalReport { success: true, message: "renewed".to_owned(), at: NOW };
    let renewed = [activate(second.id, Some(first.id)), Change::ReportCaRenewal { ca: ca.id, report: report.clone() }];
    world.commit(renewed).await.unwrap();
    let found = reader.ca(world.project.id, ca.id).await.unwrap().unwrap();
    assert_eq!((found.key_id, found.last_renewal), (second.key_id, Some(report)));
    // Read before the renewal, written after it.
    ca.active_certificate = Some(first.id);
    ca.status = CaStatus::Disabled;
    assert_eq!(world.refused([Change::UpdateCa(Box::new(ca.clone()))]).await, Some(Conflict::Stale));
    ca.active_certificate = Some(second.id);
    world.commit([Change::UpdateCa(Box::new(ca.clone()))]).await.unwrap();
    let found = reader.ca(world.project.id, ca.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.key_id), (CaStatus::Disabled, second.key_id));
}

pub async fn templates_change_only_from_the_expected_version(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let mut template = world.template("servers");
    world.commit([Change::InsertTemplate(Box::new(template.clone()))]).await.unwrap();
    assert_eq!(reader.template(project, template.id).await, Ok(Some(template.clone())));
    assert_eq!(reader.template_name_taken(project, "servers").await, Ok(true));
    assert_eq!(reader.template_name_taken(project, "clients").await, Ok(false));
    assert_eq!(
        world.refused([Change::InsertTemplate(Box::new(world.template("servers")))]).await,
        Some(Conflict::Name)
    );
    template.version = 2;
    template.rules.sans_max = None;
    let update = |expected_version| [Change::UpdateTemplate { template: Box::new(template.clone()), expected_version }];
    world.commit(update(1)).await.unwrap();
    assert_eq!(world.refused(update(1)).await, Some(Conflict::Stale));
    assert_eq!(reader.template(project, template.id).await, Ok(Some(template.clone())));
    let profile = world.profile("web", &template, ProfileIssuer::SelfSigned);
    world.commit([Change::InsertProfile(Box::new(profile.clone()))]).await.unwrap();
    assert_eq!(reader.profiles_of_template(template.id).await, Ok(vec![(profile.id, "web".to_owned())]));
    assert_eq!(world.refused([Change::DeleteTemplate(template.id)]).await, Some(Conflict::InUse));
    let missing = world.template("none");
    let update = [Change::UpdateTemplate { template: Box::new(missing), expected_version: 1 }];
    assert_eq!(world.refused(update).await, Some(Conflict::Missing));
}

pub async fn profiles_read_back_and_filter(world: &mut World) {
    let reader = world.reader();
    let project = world.project.id;
    let (template, ca) = (world.template("servers"), world.ca("issuing"));
    let mut by_ca = world.profile("web", &template, ProfileIssuer::Ca(ca.id));
    let mut alone = world.profile("self", &template, ProfileIssuer::SelfSigned);
    alone.enrollment = None;
    by_ca.description = Some("100% of the Shop".to_owned());
    assert_eq!(world.refused([Change::InsertProfile(Box::new(alone.clone()))]).await, Some(Conflict::Missing));
    world
        .commit([Change::InsertTemplate(Box::new(template.clone())), Change::InsertCa(Box::new(ca.clone()))])
        .await
        .unwrap();
    world.commit([&by_ca, &alone].map(|it| Change::InsertProfile(Box::new(it.clone())))).await.unwrap();
    assert_eq!(reader.profile(project, by_ca.id).await, Ok(Some(by_ca.clone())));
    assert_eq!(reader.profile_by_slug(project, "self").await, Ok(Some(alone.clone())));
    let none = ProfileFilter::default;
    let check = async |filter: ProfileFilter, expected: &[&str]| {
        let page = reader.profiles(project, &filter, &page(10)).await.unwrap();
        let mut slugs: Vec<_> = page.items.iter().map(|it| it.slug.as_str()).collect();
        slugs.sort_unstable();
        assert_eq!(slugs, expected, "{filter:?}");
        assert_eq!((page.total.count, page.total.exact), (expected.len() as u64, true));
    };
    check(none(), &["self", "web"]).await;
    check(ProfileFilter { issuer_self_signed: Some(true), ..none() }, &["self"]).await;
    check(ProfileFilter { issuer_self_signed: Some(false), ..none() }, &["web"]).await;
    check(ProfileFilter { ca_id: Some(ca.id), ..none() }, &["web"]).await;
    check(ProfileFilter { enrollment: Some(EnrollmentType::Api), ..none() }, &["self", "web"]).await;
    check(ProfileFilter { search: Some("shop".to_owned()), ..none() }, &["web"]).await;
    check(ProfileFilter { search: Some("0%".to_owned()), ..none() }, &["web"]).await;
    check(ProfileFilter { search: Some("e%f".to_owned()), ..none() }, &[]).await;
    alone.slug = "web".to_owned();
    assert_eq!(world.refused([Change::UpdateProfile(Box::new(alone.clone()))]).await, Some(Conflict::Name));
    alone.slug = "own".to_owned();
    alone.issuer = ProfileIssuer::Ca(ca.id);
    world.commit([Change::UpdateProfile(Box::new(alone.clone()))]).await.unwrap();
    assert_eq!(reader.profile(project, alone.id).await, Ok(Some(alone)));
}

pub async fn requests_read_back_and_change_status_once(world: &mut World) {
    let reader = world.reader();
    let mut request = world.request("a.acme.com");
    request.idempotency = Some(world.hash());
    request.metadata = vec![("team".to_owned(), "edge".to_owned())];
    world.commit([Change::InsertRequest(Box::new(request.clone()))]).await.unwrap();
    assert_eq!(reader.request(world.project.id, request.id).await, Ok(Some(request.clone())));
    assert_eq!(reader.request_by_idempotency(&request.idempotency.unwrap()).await, Ok(Some(request.clone())));
    let mut retry = world.request("a.acme.com");
    retry.idempotency = request.idempotency;
    assert_eq!(world.refused([Change::InsertRequest(Box::new(retry))]).await, Some(Conflict::Idempotency));
    let fail = |id| {
        let (expected, status) = (RequestStatus::Pending, RequestStatus::Failed);
        [Change::SetRequestStatus {
            id,
            expected,
            status,
            error_message: Some("no".to_owned()),
            at: NOW.plus_seconds(1),
        }]
    };
    world.commit(fail(request.id)).await.unwrap();
    assert_eq!(world.refused(fail(request.id)).await, Some(Conflict::Stale));
    assert_eq!(world.refused(fail(world.id())).await, Some(Conflict::Missing));
    request.status = RequestStatus::Failed;
    request.error_message = Some("no".to_owned());
    request.updated_at = NOW.plus_seconds(1);
    assert_eq!(reader.request(world.project.id, request.id).await, Ok(Some(request)));
}

pub async fn idempotency_keys_are_claimed_once(world: &mut World) {
    let reader = world.reader();
    let (key, other, body_hash) = (world.hash(), world.hash(), world.hash());
    let claim = |key, now| [Change::ClaimIdempotency { key, body_hash, now }];
    world.commit(claim(key, NOW)).await.unwrap();
    assert_eq!(world.refused(claim(key, NOW)).await, Some(Conflict::Idempotency));
    let row = reader.idempotency(&key).await.unwrap().unwrap();
    assert!(row.body_hash == body_hash && row.answer.is_none() && row.created_at == NOW);
    world.commit([Change::ReleaseIdempotency { key }]).await.unwrap();
    assert!(reader.idempotency(&key).await.unwrap().is_none());
    world.commit(claim(key, NOW)).await.unwrap();
    world.commit([Change::AnswerIdempotency { key, status: 201, sealed_body: vec![9, 0] }]).await.unwrap();
    world.commit([Change::ReleaseIdempotency { key }]).await.unwrap();
    let row = reader.idempotency(&key).await.unwrap().unwrap();
    assert!(row.answer == Some((201, vec![9, 0])), "an answered key is not released");
    world.commit(claim(other, NOW.plus_seconds(10))).await.unwrap();
    world.commit([Change::ForgetIdempotency { before: NOW.plus_seconds(10) }]).await.unwrap();
    assert!(reader.idempotency(&key).await.unwrap().is_none());
    assert!(reader.idempotency(&other).await.unwrap().is_some());
    let answer = [Change::AnswerIdempotency { key, status: 200, sealed_body: vec![] }];
    assert_eq!(world.refused(answer).await, Some(Conflict::Missing));
}

pub async fn config_version_grows_with_configuration_only(world: &mut World) {
    let reader = world.reader();
    let start = reader.config_version().await.unwrap();
    let certificate = world.certificate("a.acme.com", &[]);
    world.commit([Change::InsertCertificate(Box::new(certificate))]).await.unwrap();
    world.commit([Change::SetMeta { key: "x".to_owned(), value: vec![] }]).await.unwrap();
    assert_eq!(reader.config_version().await, Ok(start));
    let (template, ca, identity) = (world.template("servers"), world.ca("root"), world.identity("agent"));
    let profile = world.profile("web", &template, ProfileIssuer::SelfSigned);
    let person = ActorId::User(world.id());
    let changes = [
        Change::InsertTemplate(Box::new(template)),
        Change::InsertCa(Box::new(ca)),
        Change::InsertIdentity(identity.clone()),
        Change::InsertProfile(Box::new(profile.clone())),
        Change::RevokeTokensOf { actor: person, at: NOW },
        Change::DeleteProfile(profile.id),
        Change::DeleteIdentity(identity.id),
    ];
    let mut last = start;
    for (index, change) in changes.into_iter().enumerate() {
        world.commit([change]).await.unwrap();
        let next = reader.config_version().await.unwrap();
        assert!(next > last, "change {index}");
        last = next;
    }
}

pub async fn rows_that_do_not_fit_are_reported_by_name(world: &mut World) {
    let reader = world.reader();
    let (template, user) = (world.template("servers"), world.user("a@acme.com"));
    let certificate = world.certificate("a.acme.com", &[]);
    world.commit([Change::InsertTemplate(Box::new(template.clone())), Change::InsertUser(user.clone())]).await.unwrap();
    world.commit([Change::InsertCertificate(Box::new(certificate.clone()))]).await.unwrap();
    world
        .tamper(
            "UPDATE template SET rules = '{'; UPDATE users SET role = 'king'; UPDATE certificate SET revoked_at = 5",
        )
        .await;
    let wrong = |table, column, id: String| StoreError::Inconsistent { table, column, id };
    let found = reader.template(world.project.id, template.id).await;
    assert_eq!(found, Err(wrong("template", "rules", template.id.to_string())));
    assert_eq!(reader.user(user.id).await, Err(wrong("user", "role", user.id.to_string())));
    let found = reader.certificate(world.project.id, certificate.id).await;
    assert_eq!(found, Err(wrong("certificate", "revocation_reason", certificate.id.to_string())));
}
