//! OCSP as clients ask it: `openssl ocsp`, GET by hand, and requests that are wrong on purpose.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chancery_pkix::Certificate;
use chancery_pkix::ocsp::{BasicOcspResponse, CertId, CertStatus, HashAlgorithm, OcspRequest};
use chancery_testkit::judge::{self, OcspQuestion};

use super::*;

const REQUEST_TYPE: (&str, &str) = ("content-type", "application/ocsp-request");
/// OCSPResponse with malformedRequest and nothing else (RFC 6960 §4.2.1).
const MALFORMED: &[u8] = &[0x30, 3, 0x0a, 1, 1];
const UNAUTHORIZED: &[u8] = &[0x30, 3, 0x0a, 1, 6];

/// What `openssl ocsp` says in its last words about a certificate.
async fn verdict(scene: &Scene, url: &str, certificate: &str, with_nonce: bool) -> String {
    let (url, certificate) = (url.to_owned(), certificate.to_owned());
    let (issuer, trusted, at) = (scene.chain[1].clone(), scene.chain[2].clone(), scene.world.now_seconds());
    let asked = tokio::task::spawn_blocking(move || {
        let question = OcspQuestion {
            certificate: &certificate,
            issuer: &issuer,
            trusted: &trusted,
            at_epoch_seconds: at,
            with_nonce,
        };
        judge::openssl_ocsp(&url, &question)
    });
    let said = asked.await.unwrap();
    let (_, verdict) = said.rsplit_once("certificate.pem: ").unwrap_or_else(|| panic!("no verdict: {said}"));
    verdict.split_whitespace().next().unwrap().to_owned()
}

fn cert_id(issuer: &str, serial: &[u8], hash: HashAlgorithm) -> CertId {
    let issuer = Certificate::from_pem(issuer).unwrap();
    CertId::of(hash, issuer.subject_der(), &issuer.public_key().unwrap(), serial).unwrap()
}

fn request(ids: Vec<CertId>, nonce: Option<Vec<u8>>) -> Vec<u8> {
    OcspRequest { requests: ids, nonce }.to_der()
}

impl Scene {
    fn own_id(&self) -> CertId {
        cert_id(&self.chain[1], self.leaf().serial().as_bytes(), HashAlgorithm::Sha1)
    }

    async fn ask(&self, der: &[u8]) -> Answered {
        exchange(self.repository(), "POST", path(&self.ocsp_url()), &[REQUEST_TYPE], der).await
    }

    async fn statuses(&self, der: &[u8]) -> Vec<CertStatus> {
        let answer = self.ask(der).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/ocsp-response")));
        let response = BasicOcspResponse::from_der(&answer.body).unwrap();
        response.responses.into_iter().map(|it| it.status).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_believes_good_then_revoked_and_unknown_for_what_was_never_issued() {
    let scene = Scene::new().await;
    let url = scene.ocsp_url();
    assert!(url.starts_with(&format!("http://{}/", scene.repository())), "{url}");
    for with_nonce in [false, true] {
        assert_eq!(verdict(&scene, &url, &scene.chain[0], with_nonce).await, "good");
    }
    scene.revoke("KEY_COMPROMISE").await;
    for with_nonce in [false, true] {
        assert_eq!(verdict(&scene, &url, &scene.chain[0], with_nonce).await, "revoked", "at once, kept answers too");
    }
    // The main listener gives the same answers.
    let main = format!("{}{}", scene.world.url(), path(&url));
    assert_eq!(verdict(&scene, &main, &scene.chain[0], true).await, "revoked");
    // A serial number that this CA never issued, though another did.
    let other = scene.world.issue(scene.pki.self_signed, &json!({})).await;
    let other = Certificate::from_pem(&text(&other, "/certificate/certificate")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("issuer"), &scene.chain[1]).unwrap();
    std::fs::write(folder.path().join("root"), &scene.chain[2]).unwrap();
    let (serial, at) = (format!("0x{}", other.serial().to_hex()), scene.world.now_seconds().to_string());
    let asked = tokio::task::spawn_blocking(move || {
        let arguments =
            ["ocsp", "-issuer", "issuer", "-serial", &serial, "-CAfile", "root", "-url", &url, "-attime", &at];
        crate::program::openssl(folder.path(), &arguments).succeeded()
    });
    let said = asked.await.unwrap();
    // OpenSSL judges status times by the true clock, so a warning may stand before the verdict.
    let unknown = said.stdout.lines().any(|line| line == "unknown" || line.ends_with(": unknown"));
    assert!(unknown && said.stderr.contains("Response verify OK"), "{said:?}");
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_certificate_is_asked_about_at_its_parent() {
    let scene = Scene::new().await;
    let issuing = Certificate::from_pem(&scene.chain[1]).unwrap();
    let url = &issuing.extensions().ocsp[0];
    assert!(url.ends_with(&scene.pki.root.to_string()), "{url}");
    let (url, certificate, root, at) =
        (url.clone(), scene.chain[1].clone(), scene.chain[2].clone(), scene.world.now_seconds());
    let asked = tokio::task::spawn_blocking(move || {
        let question = OcspQuestion {
            certificate: &certificate,
            issuer: &root,
            trusted: &root,
            at_epoch_seconds: at,
            with_nonce: true,
        };
        judge::openssl_ocsp(&url, &question)
    });
    assert!(asked.await.unwrap().contains("certificate.pem: good"));
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_the_path_is_read_however_it_is_written() {
    let scene = Scene::new().await;
    let ids = |serial: &[u8]| vec![cert_id(&scene.chain[1], serial, HashAlgorithm::Sha256)];
    // A serial number that makes base64 hold both of the characters that a path treats specially.
    let telling = (0..=u8::MAX).map(|byte| request(ids(&[0x7f, byte, 0xff, 0xfe, byte]), None)).find(|der| {
        let text = STANDARD.encode(der);
        text.contains('/') && text.contains('+')
    });
    let own = request(ids(scene.leaf().serial().as_bytes()), None);
    for (der, expected) in [(telling.unwrap(), CertStatus::Unknown), (own, CertStatus::Good)] {
        let text = STANDARD.encode(&der);
        let encoded = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let lower = encoded.to_ascii_lowercase();
        for spelt in
            [text.clone(), encoded.clone(), format!("{text}/"), STANDARD_NO_PAD.encode(&der), format!("/{text}")]
        {
            let target = format!("{}/{spelt}", path(&scene.ocsp_url()));
            let answer = get(scene.repository(), &target).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/ocsp-response")));
            if spelt.starts_with('/') {
                assert_eq!(answer.body, MALFORMED, "a slash is a digit of base64, not a thing to be merged away");
                continue;
            }
            let response = BasicOcspResponse::from_der(&answer.body).unwrap();
            assert_eq!(response.responses[0].status, expected, "{spelt}");
            let head = exchange(scene.repository(), "HEAD", &target, &[], b"").await;
            assert_eq!((head.status, head.body.len()), (200, 0));
            // A definite answer is given again; another is signed anew each time, and its signature varies in length.
            if expected == CertStatus::Good {
                assert_eq!(head.header("content-length"), answer.header("content-length"));
            }
        }
        // Base64 tells cases apart: this is another request, or none.
        let wrong = get(scene.repository(), &format!("{}/{lower}", path(&scene.ocsp_url()))).await;
        assert_eq!((wrong.status, wrong.body.as_slice()), (200, MALFORMED));
    }
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_get_may_be_kept_until_shortly_before_it_ends_and_others_never() {
    let scene = Scene::new().await;
    let der = request(vec![scene.own_id()], None);
    let target = format!("{}/{}", path(&scene.ocsp_url()), STANDARD.encode(&der).replace('/', "%2F"));
    let first = get(scene.repository(), &target).await;
    let response = BasicOcspResponse::from_der(&first.body).unwrap();
    let left = response.responses[0].next_update.unwrap() - scene.world.now_seconds();
    assert!(first.max_age().is_some_and(|age| age > 0 && age < left), "{}", first.head);
    for word in ["public", "no-transform", "must-revalidate"] {
        assert!(first.header("cache-control").unwrap().contains(word), "{}", first.head);
    }
    assert!(first.header("last-modified").is_some() && first.header("expires").is_some(), "{}", first.head);
    let etag = first.header("etag").unwrap().to_owned();
    let again = exchange(scene.repository(), "GET", &target, &[("if-none-match", &etag)], b"").await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag.as_str())));
    scene.revoke("SUPERSEDED").await;
    let changed = exchange(scene.repository(), "GET", &target, &[("if-none-match", &etag)], b"").await;
    assert_eq!(changed.status, 200, "a revocation is another answer");
    assert_ne!(changed.header("etag"), Some(etag.as_str()));

    assert_eq!(scene.ask(&der).await.header("cache-control"), Some("no-store"), "POST");
    let nonce = STANDARD.encode(request(vec![scene.own_id()], Some(vec![5; 32]))).replace('/', "%2F");
    let with_nonce = get(scene.repository(), &format!("{}/{nonce}", path(&scene.ocsp_url()))).await;
    assert_eq!(with_nonce.header("cache-control"), Some("no-store"), "a nonce is for one client");
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_ocsp_request_is_told_so() {
    let scene = Scene::new().await;
    let own = || vec![scene.own_id()];
    let mut trailing = request(own(), None);
    trailing.push(0);
    let malformed = [
        b"hello".to_vec(),
        vec![0x30, 0x80, 0, 0],
        trailing,
        request(Vec::new(), None),
        request(vec![scene.own_id(); 9], None),
        request(own(), Some(Vec::new())),
        request(own(), Some(vec![1; 129])),
        vec![0x30; 65_536],
    ];
    for der in malformed {
        let answer = scene.ask(&der).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, MALFORMED), "{:.80}", hex::encode(&der));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(scene.ask(b"").await.body, MALFORMED);
    assert_eq!(scene.ask(&vec![0x30; 65_537]).await.status, 413);
    assert_eq!(scene.ask(&vec![0x30; 1 << 20]).await.status, 413);

    let der = request(own(), None);
    let ocsp = scene.ocsp_url();
    for media_type in ["application/ocsp-response", "application/octet-stream", "text/plain"] {
        let headers = [("content-type", media_type)];
        let answer = exchange(scene.repository(), "POST", path(&ocsp), &headers, &der).await;
        assert_eq!(answer.status, 415, "{media_type}");
    }
    assert_eq!(exchange(scene.repository(), "POST", path(&ocsp), &[], &der).await.status, 415, "no type at all");
    let headers = [("content-type", "Application/OCSP-Request; x=y")];
    assert_eq!(exchange(scene.repository(), "POST", path(&ocsp), &headers, &der).await.status, 200);

    // A CA that is not here has no responder; what is no id at all is no address.
    let stranger = format!("{CERT_MANAGER}/ocsp/00000000-0000-7000-8000-000000000000");
    assert_eq!(exchange(scene.repository(), "POST", &stranger, &[REQUEST_TYPE], &der).await.body, UNAUTHORIZED);
    let nowhere = format!("{CERT_MANAGER}/ocsp/none");
    assert_eq!(exchange(scene.repository(), "POST", &nowhere, &[REQUEST_TYPE], &der).await.status, 404);
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonces_of_allowed_lengths_come_back_and_several_questions_get_several_answers() {
    let scene = Scene::new().await;
    for length in [1, 16, 32, 128] {
        let nonce = vec![9; length];
        let answer = scene.ask(&request(vec![scene.own_id()], Some(nonce.clone()))).await;
        assert_eq!(BasicOcspResponse::from_der(&answer.body).unwrap().nonce, Some(nonce));
    }
    scene.revoke("CESSATION_OF_OPERATION").await;
    let at = scene.world.now_seconds();
    let second = scene.world.issue(scene.pki.profile, &json!({})).await;
    let second = Certificate::from_pem(&chain_of(&second)[0]).unwrap();
    let issuing = &scene.chain[1];
    let ids = vec![
        scene.own_id(),
        cert_id(issuing, second.serial().as_bytes(), HashAlgorithm::Sha256),
        cert_id(issuing, second.serial().as_bytes(), HashAlgorithm::Sha1),
        cert_id(issuing, &[0x42; 16], HashAlgorithm::Sha1),
        // The root's certificate of that number, if there were one, is not this responder's business.
        cert_id(&scene.chain[2], second.serial().as_bytes(), HashAlgorithm::Sha1),
    ];
    let expected = [
        CertStatus::Revoked { at, reason: Some(5) },
        CertStatus::Good,
        CertStatus::Good,
        CertStatus::Unknown,
        CertStatus::Unknown,
    ];
    assert_eq!(scene.statuses(&request(ids, None)).await, expected);
    assert_eq!(scene.statuses(&request(vec![scene.own_id(); 8], None)).await.len(), 8);
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pkilint_finds_no_error_in_any_kind_of_answer() {
    let scene = Scene::new().await;
    let mut answers = vec![scene.ask(&request(vec![scene.own_id()], None)).await.body];
    scene.revoke("KEY_COMPROMISE").await;
    let unknown = cert_id(&scene.chain[1], &[0x42; 16], HashAlgorithm::Sha256);
    answers.push(scene.ask(&request(vec![scene.own_id()], Some(vec![3; 32]))).await.body);
    answers.push(scene.ask(&request(vec![unknown, scene.own_id()], None)).await.body);
    tokio::task::spawn_blocking(move || {
        for answer in &answers {
            judge::pkilint_ocsp(answer);
        }
    })
    .await
    .unwrap();
    scene.world.stop().await;
}
