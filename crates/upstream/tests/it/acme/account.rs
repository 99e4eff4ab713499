//! Accounts: registered, bound, kept up to date, given new keys.

use chancery_authority::external::NEXT_ACCOUNT_KEY;
use chancery_model::external::ChallengeKind;
use serde_json::json;
use zeroize::Zeroizing;

use super::driver::{Manner, Stage};
use super::server::{EAB, Fault, Options, thumbprint};

fn bind(stage: &mut Stage, kid: &str, key: &str) {
    stage.config().eab_kid = Some(kid.to_owned());
    stage.site.secrets.insert("eabHmacKey".to_owned(), Zeroizing::new(key.to_owned()));
}

#[tokio::test]
async fn an_account_is_made_once_and_its_contact_follows() {
    let mut stage = Stage::new(Options::default()).await;
    assert_eq!(stage.standing("termsOfService"), "https://ca.test/terms");
    let url = stage.standing("accountUrl");
    let key = stage.site.secrets["accountKey"].clone();
    stage.config().account_email = "ops@acme.test".to_owned();
    stage.restart();
    stage.settle().await.unwrap();
    assert_eq!((stage.standing("accountUrl"), &stage.site.secrets["accountKey"]), (url, &key));
    {
        let world = stage.world.lock().unwrap();
        assert_eq!(world.accounts.len(), 1);
        assert_eq!(world.accounts[0].contact, json!(["mailto:ops@acme.test"]));
        assert_eq!(stage.standing("keyThumbprint"), thumbprint(&world.accounts[0].jwk));
    }
    stage.config().account_email = String::new();
    stage.settle().await.unwrap();
    assert_eq!(stage.world.lock().unwrap().accounts[0].contact, json!([]));
    assert!(!stage.site.ca.standing.to_string().contains(key.as_str()));
}

#[tokio::test]
async fn an_account_is_bound_to_a_customer_where_the_ca_wants_that() {
    let mut stage = Stage::unsettled(Options { eab: true, ..Options::default() }).await;
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("eabKid") && error.text.contains("eabHmacKey"), "{error}");
    bind(&mut stage, EAB.0, "bm90LXRoZS1rZXk");
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("the binding does not hold"), "{error}");
    bind(&mut stage, EAB.0, "");
    stage.site.secrets.remove("eabHmacKey");
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("without eabHmacKey"), "{error}");
    bind(&mut stage, EAB.0, EAB.1);
    stage.settle().await.unwrap();
    stage.settle().await.unwrap();
    assert_eq!(stage.world.lock().unwrap().accounts.len(), 1);
    assert!(!stage.site.ca.standing.to_string().contains(EAB.1));
    stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().chain();
}

#[tokio::test]
async fn another_binding_or_a_closed_account_makes_a_new_one() {
    let mut stage = Stage::unsettled(Options { eab: true, ..Options::default() }).await;
    bind(&mut stage, EAB.0, EAB.1);
    stage.settle().await.unwrap();
    stage.world.lock().unwrap().accounts[0].status = "deactivated";
    stage.settle().await.unwrap();
    assert_eq!(stage.standing("accountUrl"), stage.world.lock().unwrap().url("/account/1"));
    bind(&mut stage, "customer-8", EAB.1);
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("binding does not hold"), "{error}");
    assert_eq!(stage.standing("accountUrl"), stage.world.lock().unwrap().url("/account/1"));
}

#[tokio::test]
async fn another_directory_means_another_account() {
    let mut stage = Stage::new(Options::default()).await;
    let (key, other) = (stage.site.secrets["accountKey"].clone(), Stage::unsettled(Options::default()).await);
    let url = other.world.lock().unwrap().url("/directory");
    // The same machine, another port: another CA, whose certificate is not trusted here.
    stage.config().directory_url = url;
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("cannot be reached"), "{error}");
    let base = stage.world.lock().unwrap().base.clone();
    stage.config().directory_url = base.replace("127.0.0.1", "localhost") + "/directory";
    stage.settle().await.unwrap();
    assert_ne!(stage.site.secrets["accountKey"], key);
    assert_eq!(stage.world.lock().unwrap().accounts.len(), 2);
}

#[tokio::test]
async fn what_the_ca_has_not_is_refused_when_it_is_saved() {
    let mut stage = Stage::unsettled(Options { profiles: vec!["tlsserver"], ..Options::default() }).await;
    stage.config().certificate_profile = Some("shortlived".to_owned());
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("\"shortlived\"") && error.text.contains("tlsserver"), "{error}");
    stage.config().certificate_profile = None;
    stage.config().zones.clear();
    let error = stage.settle().await.unwrap_err();
    assert!(error.text.contains("dnsZones"), "{error}");
    stage.config().challenges = vec![ChallengeKind::Http01];
    stage.settle().await.unwrap();
    for wrong in ["ftp://ca.test/directory", "http://127.0.0.1:1/directory", "directory", ""] {
        stage.config().directory_url = wrong.to_owned();
        let error = stage.settle().await.unwrap_err();
        assert!(error.text.contains("https://"), "{wrong}: {error}");
    }
}

/// The first call prepares, the second acts.
async fn change_key(stage: &mut Stage) {
    let settled = stage.ca().change_account_key(&stage.site).await.unwrap().unwrap();
    (stage.site.ca.standing, stage.site.secrets) = (settled.standing, settled.secrets);
}

#[tokio::test]
async fn an_account_key_is_rolled_over() {
    let mut stage = Stage::new(Options::default()).await;
    let (before, url) = (stage.standing("keyThumbprint"), stage.standing("accountUrl"));
    change_key(&mut stage).await;
    assert!(stage.site.secrets.contains_key(NEXT_ACCOUNT_KEY));
    assert_eq!(stage.world.lock().unwrap().count("keyChange"), 0);
    change_key(&mut stage).await;
    assert!(!stage.site.secrets.contains_key(NEXT_ACCOUNT_KEY));
    assert_ne!(stage.standing("keyThumbprint"), before);
    assert_eq!(stage.standing("keyThumbprint"), thumbprint(&stage.world.lock().unwrap().accounts[0].jwk));
    assert_eq!(stage.standing("accountUrl"), url);
    stage.order(&["a.acme.test"], Manner::Plain).await.unwrap().chain();
}

#[tokio::test]
async fn a_roll_over_that_was_not_recorded_is_found_to_be_done() {
    for finds_by_saving in [false, true] {
        let mut stage = Stage::new(Options::default()).await;
        change_key(&mut stage).await;
        stage.world.lock().unwrap().fault("keyChange", 1, Fault::Lost);
        stage.ca().change_account_key(&stage.site).await.err().unwrap();
        if finds_by_saving {
            stage.settle().await.unwrap();
        } else {
            change_key(&mut stage).await;
        }
        let world = stage.world.lock().unwrap();
        assert_eq!((world.count("keyChange"), world.accounts.len()), (1, 1));
        assert_eq!(stage.standing("keyThumbprint"), thumbprint(&world.accounts[0].jwk));
    }
}
