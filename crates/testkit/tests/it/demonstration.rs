//! The demonstration holds what the screens are to show.

use chancery_testkit::demonstration::{Demonstration, ROUNDS_FEW};
use chancery_testkit::screen::{SCREENS, Stage};
use chancery_testkit::world::CERT_MANAGER;
use reqwest::Method;
use serde_json::Value;

async fn read(shown: &Demonstration, path: &str) -> Value {
    shown.world.auditor().ok(Method::GET, &format!("{CERT_MANAGER}/{path}"), None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_has_an_example_of_everything() {
    let shown = Demonstration::start(ROUNDS_FEW).await;
    for screen in SCREENS.iter().filter(|it| it.stage == Stage::Filled) {
        assert!(shown.address(screen.path).starts_with("http://127.0.0.1:"));
    }
    let certificate = async |name: &str| read(&shown, &format!("certificates/{}", shown.example(name))).await;
    assert_eq!(certificate("certificate").await["certificate"]["status"], "active");
    assert_eq!(certificate("revoked").await["certificate"]["status"], "revoked");
    let failed = certificate("failed").await;
    assert!(failed["certificate"]["renewalError"].as_str().is_some_and(|it| it.contains("crm.acme.com")), "{failed:#}");
    let statistics = read(&shown, "certificates/statistics").await;
    assert!(statistics["total"].as_u64() > Some(40), "{statistics:#}");
    let request = async |name: &str| {
        read(&shown, &format!("certificates/certificate-requests/{}", shown.example(name))).await["status"].clone()
    };
    assert_eq!(request("request").await, "issued");
    assert!(["pending", "pending_validation"].contains(&request("pending-request").await.as_str().unwrap()));
    let waiting = read(&shown, &format!("ca/internal/{}", shown.example("waiting-ca"))).await;
    assert_eq!(waiting["status"], "pending-certificate", "{waiting:#}");
    shown.world.stop().await;
}
