//! The job loop as a whole: what is slow keeps nothing else waiting.
//!
//! ```text
//! 40 alerts ── a web server that takes every message and never answers
//! root CA, made meanwhile ── its first CRL
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chancery_authority::alert::{Message, NewAlert, NewChannel, Notifier, OpenedChannel, Sending};
use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::{CaRenewal, CaRenewalKey, NewCa};
use chancery_authority::{Authority, AuthorityConfig, Call};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::alert::{AlertEvent, AlertFilter, ChannelConfig, FilterField, FilterOperator, FilterValue};
use chancery_model::authority::CaStatus;
use chancery_model::time::FixedClock;
use chancery_model::{CaId, Timestamp};
use chancery_store::Location;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

/// Counts what it was given and never comes back.
#[derive(Default)]
struct Silence(AtomicUsize);

impl Notifier for Silence {
    fn send<'a>(&'a self, _: &'a OpenedChannel, _: &'a Message) -> Sending<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

async fn root_ca(authority: &Authority, admin: &Call, name: &str) -> CaId {
    let configuration = serde_json::json!({
        "level": "root", "common_name": name, "key_algorithm": "EC_prime256v1",
        "not_after": Timestamp::parse_date("2046-01-01").unwrap(),
    });
    let new = NewCa {
        name: name.to_owned(),
        status: CaStatus::Active,
        configuration: serde_json::from_value(configuration).unwrap(),
        direct_issuance_template: None,
    };
    authority.create_ca(admin, new).await.unwrap().id
}

fn alert(name: String) -> NewAlert {
    let config = ChannelConfig::Webhook { url: "https://hooks.example/".to_owned() };
    NewAlert {
        application_id: None,
        name,
        description: None,
        event: AlertEvent::Renewal,
        before: None,
        filters: vec![AlertFilter {
            field: FilterField::IncludeCas,
            operator: FilterOperator::Equals,
            value: FilterValue::Flag(true),
        }],
        enabled: true,
        daily: false,
        channels: vec![NewChannel { id: None, enabled: true, config, secret: Field::Missing }],
    }
}

/// Waits for something that other tasks bring about; far longer than they need.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waited).await.is_ok(), "in vain: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_nobody_takes_delay_no_crl() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
    let silence = Arc::new(Silence::default());
    let config = AuthorityConfig {
        location: Location::Sqlite { path: folder.path().join("chancery.db") },
        node: "node-1".to_owned(),
        kek: Kek::from_text(&"5a".repeat(32)).unwrap(),
        site_url: None,
        repository_url: None,
        notifier: Arc::clone(&silence) as _,
        upstream: Arc::new(chancery_authority::external::NoUpstream),
    };
    let authority = Authority::open(config, Arc::clone(&clock) as _, Arc::new(SystemRandomness)).await.unwrap();
    authority.ensure_administrator("admin@example.com", "correct horse battery").await.unwrap().unwrap();
    let token = authority.login_user("admin@example.com", "correct horse battery", None, HOME, "r").await.unwrap();
    let requester = authority.authenticate(&token.access_token, HOME).await.unwrap();
    let admin = Call { requester, request_id: "r-test".to_owned(), idempotency: None };
    for number in 0..40 {
        authority.create_alert(&admin, alert(format!("alert-{number}"))).await.unwrap();
    }
    let running = tokio::spawn(authority.clone().run_jobs());
    let first = root_ca(&authority, &admin, "first").await;
    clock.advance_seconds(86_400);
    let renewal = CaRenewal { key: CaRenewalKey::Existing, not_after: None };
    authority.renew_ca(&admin, first, renewal).await.unwrap();
    until("messages under way", async || {
        clock.advance_seconds(5);
        silence.0.load(Ordering::SeqCst) >= 10
    })
    .await;
    let second = root_ca(&authority, &admin, "second").await;
    until("the CRL of the second CA", async || {
        let crls = authority.reader().crls_of(second).await.unwrap();
        crls.iter().any(|crl| crl.complete.is_some())
    })
    .await;
    running.abort();
}
