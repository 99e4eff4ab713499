//! One server, three roles, a second project, a clock that moves, a restart.

use chancery_pkix::{Certificate, KeyAlgorithm};
use chancery_testkit::world::{CERT_MANAGER, START_SECONDS, World, certification_request, id_at, text};
use serde_json::json;

/// What a world on either database must do.
async fn walk(mut world: World) {
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let leaf = Certificate::from_pem(&text(&issued, "/certificate/certificate")).unwrap();
    assert_eq!(leaf.validity().not_after, START_SECONDS + 90 * 86_400 - 1);
    let (csr, key) = certification_request("csr.acme.test", &["csr.acme.test"], KeyAlgorithm::Ed25519);
    let signed = world.issue(pki.profile, &json!({"csr": csr, "attributes": {"ttl": "1d"}})).await;
    let leaf = Certificate::from_pem(&text(&signed, "/certificate/certificate")).unwrap();
    assert_eq!(leaf.spki_der(), chancery_keys::Signer::public_key(&key).spki_der());
    let own = world.issue(pki.self_signed, &json!({})).await;
    assert_eq!(text(&own, "/certificate/issuingCaCertificate"), "");

    let path = format!("{CERT_MANAGER}/certificates/{}", id_at(&issued, "/certificate/certificateId"));
    let stranger = world.other_project_admin().await;
    for (session, expected) in [(world.admin(), 200), (world.operator(), 200), (world.auditor(), 200), (&stranger, 404)]
    {
        assert_eq!(session.get(&path).await.0, expected);
    }
    let (status, _) = world.auditor().get(&format!("{path}/private-key")).await;
    assert_eq!(status, 403, "an auditor reads no keys");
    assert_eq!(world.anonymous().get(&path).await.0, 401);

    world.clock.advance_seconds(91 * 86_400);
    world.restart().await;
    assert_eq!(world.operator().get(&path).await.1.pointer("/certificate/status").unwrap(), "expired");
    world.clock.advance_seconds(-90 * 86_400);
    world.restart().await;
    assert_eq!(world.operator().get(&path).await.1.pointer("/certificate/status").unwrap(), "active");
    let again = world.issue(pki.profile, &json!({})).await;
    assert_ne!(text(&again, "/certificate/serialNumber"), text(&issued, "/certificate/serialNumber"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_on_the_embedded_database_serves_every_role() {
    walk(World::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_on_postgresql_serves_every_role() {
    match std::env::var("CHANCERY_TEST_POSTGRES_URL") {
        Ok(url) => walk(World::builder().postgres(&url).start().await).await,
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "CI must set CHANCERY_TEST_POSTGRES_URL; scripts/test does");
            println!("not run: CHANCERY_TEST_POSTGRES_URL is not set; scripts/test sets it");
        }
    }
}
