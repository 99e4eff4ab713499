//! What the repository's listener answers, and what it does not; what probes and metrics say.

use chancery_api::{Access, routes};

use super::*;

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

fn filled(path: &str) -> String {
    let filled = path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
    filled.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_repository_listener_has_no_other_route() {
    let scene = Scene::new().await;
    let repository = scene.repository();
    let token = format!("Bearer {}", scene.world.admin().token().unwrap());
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let mut seen = 0;
    for route in routes() {
        let target = filled(route.path);
        let answer = exchange(repository, route.method.as_str(), &target, &headers, b"{}").await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{} {target}", route.method);
        seen += 1;
    }
    assert!(seen > 80 && routes().iter().any(|it| it.access == Access::Public));
    let crl = path(&scene.crl_url()).to_owned();
    for target in [
        "/".to_owned(),
        "*".to_owned(),
        format!("/{crl}"),
        crl.replace("/crl/", "//crl/"),
        crl.replace("/crl/", "/./crl/"),
        crl.replace("/crl/", "/x/../crl/"),
        crl.replace("/crl/", "/%2e%2e/crl/"),
        crl.replace("/crl/", "/CRL/"),
        crl.replace("/crl/", "/crl%2F"),
        crl.replace("/der", ";a=b/der"),
        crl.replace("/der", "%00/der"),
        format!("{CERT_MANAGER}/crl/../../../../etc/passwd"),
    ] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let answer = exchange(repository, method, &target, &[], b"").await;
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(answer.body.len() < 100, "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(exchange(repository, method, &crl, &[], b"x").await.status, 405, "{method}");
    }
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_certificates_are_found_where_certificates_say_and_under_their_own_ca_only() {
    let scene = Scene::new().await;
    let url = scene.leaf().extensions().ca_issuers[0].clone();
    let answer = get(scene.repository(), path(&url)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/pkix-cert")));
    assert!(answer.header("content-disposition").is_some_and(|it| it.starts_with("attachment; filename=")));
    assert_eq!(Certificate::from_der(&answer.body).unwrap().to_pem().trim(), scene.chain[1].trim());
    let etag = answer.header("etag").unwrap();
    assert_eq!(exchange(scene.repository(), "GET", path(&url), &[("if-none-match", etag)], b"").await.status, 304);

    let older = path(&url).replace("/cert-manager/ca/internal/", "/pki/ca/");
    assert_eq!(get(scene.repository(), &older).await.body, answer.body);
    let elsewhere = path(&url).replace(&scene.pki.issuing.to_string(), &scene.pki.root.to_string());
    assert_eq!(get(scene.repository(), &elsewhere).await.status, 404);
    assert_eq!(ca_pem(&scene.world, scene.pki.issuing).await.trim(), scene.chain[1].trim());
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_allowed_are_answered_429_on_the_repository_alone() {
    let scene = Scene::with(builder().setting("repository_calls_per_second", "1").start().await).await;
    let target = path(&scene.crl_url()).to_owned();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = get(scene.repository(), &target).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").is_some_and(|it| it.parse::<u32>().is_ok()), "{}", answer.head);
        }
        statuses.push(answer.status);
    }
    assert_eq!((statuses[0], statuses.last()), (200, Some(&429)), "{statuses:?}");
    assert_eq!(scene.world.anonymous().get("/readyz").await.0, 200);
    scene.world.stop().await;
}

fn gauge(metrics: &str, name: &str) -> i64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing in {metrics}")).parse().unwrap()
}

async fn metrics(world: &World) -> String {
    world.anonymous().raw(Method::GET, "/metrics", &[], Vec::new()).await.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_metrics_say_how_long_everything_holds() {
    let scene = Scene::new().await;
    let ready = scene.world.anonymous().ok(Method::GET, "/readyz", None).await;
    assert_eq!(ready["status"], "ready");
    let (crl, ocsp) = (ready["crlLapsesInSeconds"].as_i64().unwrap(), ready["ocspLapsesInSeconds"].as_i64().unwrap());
    assert!(crl > 86_400 && ocsp > 3_600, "{ready}");
    let said = metrics(&scene.world).await;
    assert_eq!(gauge(&said, "chancery_crl_lapse_seconds"), crl);
    assert_eq!(gauge(&said, "chancery_ocsp_lapse_seconds"), ocsp);
    assert_eq!(gauge(&said, "chancery_ocsp_answers_total{status=\"good\"}"), 0);
    assert_eq!(gauge(&said, "chancery_crl_mirror_failures_total"), 0);
    assert!(gauge(&said, "chancery_jobs_total{outcome=\"done\"}") >= 4, "two CRLs and two responders");
    let serial = scene.leaf().serial().to_hex();
    for secret in [serial.as_str(), "acme", "World", scene.world.admin().token().unwrap()] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_crl_has_lapsed_is_not_ready_until_it_has_made_the_next() {
    let scene = Scene::new().await;
    // No job runs any more: as if every signature failed.
    scene.world.authority().stop_jobs().await;
    let lapses = scene.world.anonymous().ok(Method::GET, "/readyz", None).await["crlLapsesInSeconds"].as_i64().unwrap();
    scene.world.clock.advance_seconds(lapses);
    let holding = scene.world.anonymous().get("/readyz").await;
    scene.world.clock.advance_seconds(1);
    let (status, answer) = scene.world.anonymous().get("/readyz").await;
    assert_eq!((status, &answer["code"]), (503, &json!("status.lapsed")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("ended at"), "{answer}");
    // The responder's certificate may end before the CRL does; then that was the reason one second earlier.
    assert!(holding.0 == 200 || holding.1["message"].as_str().unwrap().contains("OCSP responder"), "{holding:?}");
    let served = get(scene.repository(), path(&scene.crl_url())).await;
    assert_eq!(
        (served.status, served.header("cache-control")),
        (200, Some("no-cache")),
        "what there is, not to be kept"
    );

    let mut world = scene.world;
    world.restart().await;
    world.authority().run_due_jobs().await;
    let ready = world.anonymous().ok(Method::GET, "/readyz", None).await;
    assert!(ready["crlLapsesInSeconds"].as_i64().unwrap() > 86_400, "{ready}");
    world.stop().await;
}
