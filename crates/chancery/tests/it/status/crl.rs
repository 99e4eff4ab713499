//! CRLs as relying parties use them.

use chancery_pkix::crl::CertificateList;
use chancery_testkit::judge;

use super::*;

impl Scene {
    async fn crl(&self, url: &str) -> Vec<u8> {
        let answer = get(self.repository(), path(url)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/pkix-crl")), "{url}");
        answer.body
    }

    /// OpenSSL's verdict on the certificate with these CRLs: its complaint, or nothing.
    async fn check(&self, crls: Vec<Vec<u8>>, is_good: bool) -> String {
        let (chain, at) = (self.chain.clone(), self.world.now_seconds());
        let judged = tokio::task::spawn_blocking(move || {
            if is_good {
                judge::openssl_verify_crl_check(&chain, &crls, at);
                String::new()
            } else {
                judge::openssl_refuses_crl_check(&chain, &crls, at)
            }
        });
        judged.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_follows_a_certificate_through_hold_release_and_revocation() {
    let scene = Scene::new().await;
    let url = scene.crl_url();
    let first = scene.crl(&url).await;
    judge::openssl_crl_verifies(&first, &scene.chain[1]);
    assert!(judge::openssl_crl_text(&first).contains("No Revoked Certificates"));
    scene.check(vec![first.clone()], true).await;

    scene.revoke("CERTIFICATE_HOLD").await;
    scene.later(5).await;
    let held = scene.crl(&url).await;
    assert!(judge::openssl_crl_text(&held).contains("Certificate Hold"));
    assert!(scene.check(vec![held.clone()], false).await.contains("certificate revoked"));

    scene.release().await;
    scene.later(5).await;
    let released = scene.crl(&url).await;
    scene.check(vec![released.clone()], true).await;

    scene.revoke("KEY_COMPROMISE").await;
    scene.later(5).await;
    let last = scene.crl(&url).await;
    let said = judge::openssl_crl_text(&last);
    let serial = scene.leaf().serial().to_hex().to_uppercase();
    assert!(said.contains(&serial) && said.contains("Key Compromise"), "{said}");
    assert!(scene.check(vec![last.clone()], false).await.contains("certificate revoked"));

    let numbers: Vec<i64> =
        [&first, &held, &released, &last].map(|der| CertificateList::from_der(der).unwrap().number().unwrap()).to_vec();
    assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_finds_the_crl_by_the_address_in_the_certificate() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, pem) in ["leaf", "issuing", "root"].iter().zip(&scene.chain) {
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    let at = scene.world.now_seconds();
    let verify = || {
        let directory = folder.path().to_owned();
        let at = (at + 60).to_string();
        tokio::task::spawn_blocking(move || {
            let arguments = [
                "verify",
                "-crl_check",
                "-crl_download",
                "-attime",
                &at,
                "-CAfile",
                "root",
                "-untrusted",
                "issuing",
                "leaf",
            ];
            crate::program::openssl(&directory, &arguments)
        })
    };
    verify().await.unwrap().succeeded();
    scene.revoke("SUPERSEDED").await;
    scene.later(5).await;
    verify().await.unwrap().failed(2, &["certificate revoked"]);
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_deltas_satisfy_openssl_and_pkilint() {
    let world = builder().start().await;
    let root = world.root_ca("root", chancery_pkix::KeyAlgorithm::EcP256).await;
    let configuration = json!({
        "type": "intermediate", "commonName": "Partitioned", "keyAlgorithm": "EC_prime256v1",
        "crlPartitions": 3, "deltaCrlInterval": "1h",
    });
    let ca = world.ca(&json!({"name": "partitioned", "configuration": configuration})).await;
    let certificate = json!({"notAfter": world.date_in_days(1825), "maxPathLength": 0, "parentCaId": root});
    world.admin().ok(Method::POST, &format!("{CERT_MANAGER}/ca/internal/{ca}/certificate"), Some(&certificate)).await;
    let template = world.template(&json!({})).await;
    let profile = world.profile(&json!({"caId": ca, "certificatePolicyId": template})).await;
    world.authority().run_due_jobs().await;
    let issued = world.issue(profile, &json!({})).await;
    let chain = chain_of(&issued);
    let scene = Scene { world, pki: Pki { root, issuing: ca, template, profile, self_signed: profile }, issued, chain };

    // A delta is relative to a planned CRL, so the first comes an interval later.
    scene.later(3_700).await;
    let base = scene.crl(&scene.crl_url()).await;
    assert!(judge::openssl_crl_text(&base).contains("Issuing Distribution Point: critical"));
    scene.check(vec![base.clone()], true).await;
    scene.revoke("AFFILIATION_CHANGED").await;
    scene.later(5).await;
    let delta_url = scene.leaf().extensions().freshest_crl[0].clone();
    let delta = scene.crl(&delta_url).await;
    assert!(CertificateList::from_der(&delta).unwrap().is_delta());
    assert!(judge::openssl_crl_text(&delta).contains("Delta CRL Indicator: critical"));
    assert!(scene.check(vec![base, delta.clone()], false).await.contains("certificate revoked"), "base and delta");
    let whole = scene.crl(&scene.crl_url()).await;
    assert!(scene.check(vec![whole.clone()], false).await.contains("certificate revoked"), "the newer complete one");
    tokio::task::spawn_blocking(move || {
        judge::pkilint_crl(&whole);
        judge::pkilint_crl(&delta);
    })
    .await
    .unwrap();
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkilint_finds_no_error_in_empty_and_filled_crls_of_every_ca() {
    let scene = Scene::new().await;
    let issuing_crl = Certificate::from_pem(&scene.chain[1]).unwrap().extensions().crl_distribution_points[0].clone();
    let mut crls = vec![scene.crl(&issuing_crl).await, scene.crl(&scene.crl_url()).await];
    scene.revoke("PRIVILEGE_WITHDRAWN").await;
    scene.later(5).await;
    crls.push(scene.crl(&scene.crl_url()).await);
    tokio::task::spawn_blocking(move || {
        for crl in &crls {
            judge::pkilint_crl(crl);
        }
    })
    .await
    .unwrap();
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_learn_how_long_a_crl_holds_and_that_they_have_it_already() {
    let scene = Scene::new().await;
    let (repository, url) = (scene.repository(), scene.crl_url());
    let target = path(&url);
    let id = target.split('/').nth(5).unwrap().to_owned();
    let first = get(repository, target).await;
    let list = CertificateList::from_der(&first.body).unwrap();
    assert_eq!(first.header("content-disposition"), Some(format!("attachment; filename=\"{id}.crl\"").as_str()));
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(first.max_age(), Some(60), "{}", first.head);
    let etag = first.header("etag").unwrap().to_owned();
    let modified = first.header("last-modified").unwrap().to_owned();
    for conditional in [("if-none-match", etag.as_str()), ("if-modified-since", modified.as_str())] {
        let again = exchange(repository, "GET", target, &[conditional], b"").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{conditional:?}");
    }
    let head = exchange(repository, "HEAD", target, &[], b"").await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(etag.as_str())));
    assert_eq!(head.header("content-length"), Some(first.body.len().to_string().as_str()));

    // Every address of the CRL gives the same bytes, on both listeners.
    let main: SocketAddr = scene.world.url().strip_prefix("http://").unwrap().parse().unwrap();
    for address in [repository, main] {
        for other in [
            format!("{CERT_MANAGER}/crl/{id}"),
            format!("{CERT_MANAGER}/crl/{id}/"),
            format!("{target}/"),
            format!("/api/v1/pki/crl/{id}"),
            format!("/api/v1/pki/crl/{id}/der"),
        ] {
            let answer = get(address, &other).await;
            assert_eq!((answer.status, &answer.body), (200, &first.body), "{other}");
        }
    }
    assert_eq!(get(repository, &format!("{CERT_MANAGER}/crl/{id}/delta")).await.status, 404, "there are no deltas");

    // Just before it ends a cache may keep it for what is left; another thisUpdate is another file.
    let left = list.next_update().unwrap() - scene.world.now_seconds();
    assert!(left > 86_400);
    scene.later(left / 2 + 3_600).await;
    let renewed = exchange(repository, "GET", target, &[("if-none-match", &etag)], b"").await;
    assert_eq!(renewed.status, 200, "renewed long before its end although nothing was revoked");
    scene.world.stop().await;
}
