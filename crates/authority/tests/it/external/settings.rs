//! External CAs and app connections as administrators keep them: tried when they are saved, sealed, used by reference.

use std::collections::BTreeMap;

use chancery_authority::access::NewProject;
use chancery_authority::enrollment::Field;
use chancery_authority::external::{ConnectionPatch, ExternalCaPatch, UpstreamError};
use chancery_model::audit::AuditEvent;
use chancery_model::external::{ConnectionApp, ExternalConfiguration};
use chancery_store::Location;

use super::elsewhere::{Fault, When};
use super::world::{HOME, World, acme, code, external, vault};

fn patch(fields: &[(&str, &str)]) -> ConnectionPatch {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()));
    ConnectionPatch {
        name: None,
        description: Field::Missing,
        method: None,
        fields: Some(fields.collect::<BTreeMap<_, _>>()),
        test: true,
    }
}

#[tokio::test]
async fn credentials_are_sealed_in_the_database_and_absent_from_the_log() {
    let world = World::start().await;
    let connection = world.connection("vault", ConnectionApp::Vault).await.unwrap();
    assert_eq!(connection.settings.keys().collect::<Vec<_>>(), ["instanceUrl"]);
    let new = external("vault", vault(connection.id));
    let ca = world.authority().create_external_ca(&world.admin, new).await.unwrap().0;
    let told = world.audited(AuditEvent::ConnectionCreated, connection.id.as_uuid()).await;
    assert_eq!(told[0].details["after"]["settings"]["instanceUrl"], "https://vault.test");
    let told = world.audited(AuditEvent::CaCreated, ca.id.as_uuid()).await;
    assert_eq!(told[0].details["standing"]["accountUrl"], "https://elsewhere.test/acct/1");
    let Location::Sqlite { path } = &world.location else { panic!("a file") };
    let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut looked_at = 0;
    for file in folder {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        looked_at += bytes.len();
        assert!(!bytes.windows(11).any(|part| part == b"open-sesame"));
    }
    assert!(looked_at > 10_000);
}

#[tokio::test]
async fn credentials_that_do_not_work_are_not_stored() {
    let world = World::start().await;
    let error = UpstreamError::lasting("Vault refuses the token; make another").with_detail("10.0.0.9");
    world.elsewhere.refuse_connections(Some(error));
    let refused = world.connection("vault", ConnectionApp::Vault).await.err().unwrap();
    assert_eq!(refused.code(), "app_connection.refused");
    assert!(refused.public_message().contains("refuses the token") && !refused.public_message().contains("10.0.0.9"));
    assert!(world.authority().reader().connections(world.admin.project_id()).await.unwrap().is_empty());
    world.elsewhere.refuse_connections(None);
    let connection = world.connection("vault", ConnectionApp::Vault).await.unwrap();
    world.elsewhere.refuse_connections(Some(UpstreamError::passing("no answer")));
    let test = world.authority().test_connection(&world.admin, connection.id).await;
    assert_eq!(code(test), "app_connection.refused");
    let told = world.audited(AuditEvent::ConnectionTested, connection.id.as_uuid()).await;
    assert_eq!((&told[0].details["works"], told.len()), (&serde_json::json!(false), 1));
}

#[tokio::test]
async fn secrets_do_not_go_to_a_new_address_without_being_given_again() {
    let world = World::start().await;
    let connection = world.connection("vault", ConnectionApp::Vault).await.unwrap();
    let update = |fields: &[(&str, &str)]| {
        let (authority, call, patch) = (world.authority().clone(), world.admin.clone(), patch(fields));
        async move { authority.update_connection(&call, connection.id, patch).await }
    };
    assert_eq!(code(update(&[("instanceUrl", "https://evil.test")]).await), "app_connection.destination");
    assert_eq!(code(update(&[("namespace", "team")]).await), "accepted");
    let moved = update(&[("instanceUrl", "https://new.test"), ("accessToken", "other")]).await.unwrap();
    assert_eq!(moved.settings["instanceUrl"], "https://new.test");
}

#[tokio::test]
async fn a_connection_that_a_ca_uses_stays() {
    let world = World::start().await;
    let connection = world.connection("vault", ConnectionApp::Vault).await.unwrap();
    let new = external("vault", vault(connection.id));
    let ca = world.authority().create_external_ca(&world.admin, new).await.unwrap().0;
    let delete = || world.authority().delete_connection(&world.admin, connection.id);
    let refused = delete().await.err().unwrap();
    assert_eq!(refused.code(), "app_connection.in_use");
    assert!(refused.public_message().contains("vault"));
    world.authority().delete_external_ca(&world.admin, ca.id).await.unwrap();
    delete().await.unwrap();
}

#[tokio::test]
async fn another_projects_cas_and_connections_are_unknown() {
    let world = World::start().await;
    let connection = world.connection("vault", ConnectionApp::Vault).await.unwrap();
    let order = world.order().await;
    let it = world.authority();
    let new = NewProject { name: "Other".to_owned(), ..NewProject::default() };
    let project = it.create_project(&world.admin, new).await.unwrap();
    let (identity, secret) = it.appoint_administrator(&world.admin, project.id, "other").await.unwrap();
    let client = identity.universal_auth.unwrap().client_id.to_string();
    let token = it.login_universal(&client, &secret, HOME, "r").await.unwrap();
    let requester = it.authenticate(&token.access_token, HOME).await.unwrap();
    let other = chancery_authority::Call { requester, ..world.admin.clone() };
    assert_eq!(code(it.test_connection(&other, connection.id).await), "not_found");
    assert_eq!(code(it.delete_connection(&other, connection.id).await), "not_found");
    assert_eq!(code(it.update_connection(&other, connection.id, patch(&[])).await), "not_found");
    assert_eq!(code(it.delete_external_ca(&other, world.ca).await), "not_found");
    assert_eq!(code(it.update_external_ca(&other, world.ca, ExternalCaPatch::default()).await), "not_found");
    assert_eq!(code(it.change_account_key(&other, world.ca).await), "not_found");
    assert_eq!(code(it.cancel_request(&other, order).await), "not_found");
    assert_eq!(code(it.trigger_validation(&other, order).await), "not_found");
    assert_eq!(code(it.await_request(&other, order, 0).await), "not_found");
    assert_eq!(
        code(it.create_external_ca(&other, external("v", vault(connection.id))).await),
        "app_connection.unknown"
    );
    assert_eq!(world.status(order).await, chancery_model::request::RequestStatus::Pending);
}

#[tokio::test]
async fn settings_are_asked_for_at_the_ca_before_they_are_stored() {
    let world = World::start().await;
    let settled = world.elsewhere.settled();
    let refused = world.authority().create_external_ca(&world.admin, external("elsewhere", acme())).await;
    assert_eq!(code(refused), "ca.name_taken");
    let ExternalConfiguration::Acme(mut wrong) = acme() else { panic!("acme") };
    wrong.directory_url = "http://elsewhere.test/".to_owned();
    let refused = external("other", ExternalConfiguration::Acme(wrong));
    assert_eq!(code(world.authority().create_external_ca(&world.admin, refused).await), "acme.directory");
    assert_eq!(world.elsewhere.settled(), settled, "nobody was asked");
    let renamed = ExternalCaPatch { name: Some("public".to_owned()), ..ExternalCaPatch::default() };
    let (ca, _) = world.authority().update_external_ca(&world.admin, world.ca, renamed).await.unwrap();
    assert_eq!((ca.name.as_str(), world.elsewhere.settled()), ("public", settled));
    let changed = ExternalCaPatch { configuration: Some(acme()), ..ExternalCaPatch::default() };
    world.authority().update_external_ca(&world.admin, world.ca, changed).await.unwrap();
    assert_eq!(world.elsewhere.settled(), settled + 1);
    assert_eq!(code(world.authority().change_account_key(&world.admin, world.ca).await), "ca.account_key");
}

/// The order that runs goes on with the new name and the new settings.
#[tokio::test]
async fn a_ca_changed_during_an_order_does_not_lose_it() {
    let world = World::start().await;
    let id = world.order().await;
    world.elsewhere.hit("set", When::BeforeEffect, Fault::Error(UpstreamError::passing("wait")), 1);
    world.run().await;
    let renamed =
        ExternalCaPatch { name: Some("public".to_owned()), configuration: Some(acme()), ..ExternalCaPatch::default() };
    world.authority().update_external_ca(&world.admin, world.ca, renamed).await.unwrap();
    world.until_ended(id).await;
    assert_eq!(world.certificate(id).await.ca_id, Some(world.ca));
}
