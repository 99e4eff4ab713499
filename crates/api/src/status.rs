//! How the server is: for people, for probes, for a metrics collector; and the description of the API itself.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::Authority;
use chancery_authority::renewal::RenewalErrorType;
use chancery_authority::stage::Stage;
use chancery_pkix::KeyAlgorithm;
use chancery_wire::status::{Features, HealthAnswer, ReadyAnswer, StatusAnswer};
use http::{Method, StatusCode, header};

use crate::error::ApiError;
use crate::extract::Answer;
use crate::lapse::{self, Lapses};
use crate::route::Endpoint;
use crate::state::{ApiState, Measure};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::public(Method::GET, "/api/status", status)
            .named("status", "What this server is and can do")
            .answers::<StatusAnswer>(),
        Endpoint::public(Method::GET, "/healthz", alive)
            .unlimited()
            .named("healthz", "Whether the process answers")
            .answers::<HealthAnswer>(),
        Endpoint::public(Method::GET, "/readyz", ready)
            .unlimited()
            .named("readyz", "Whether the store can be reached and nothing published has lapsed")
            .answers::<ReadyAnswer>(),
        Endpoint::public(Method::GET, "/metrics", metrics)
            .named("metrics", "Counters in the Prometheus text format")
            .answers_with("text/plain"),
        Endpoint::public(Method::GET, "/api/openapi.json", description)
            .named("openapi", "This document")
            .answers_with("application/vnd.oai.openapi+json"),
    ]
}

async fn status(State(authority): State<Authority>) -> Json<StatusAnswer> {
    Json(StatusAnswer {
        date: authority.now().to_string(),
        message: "Ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: Features {
            enrollment: vec!["api".to_owned()],
            certificate_authorities: vec!["internal".to_owned()],
            key_algorithms: KeyAlgorithm::ALL.iter().map(|it| it.as_str().to_owned()).collect(),
        },
        scheduler: scheduler(&authority).await,
        email_configured: false,
        invite_only_signup: true,
        redis_configured: false,
    })
}

async fn scheduler(authority: &Authority) -> String {
    let running = "running: certificates renew by themselves when they are due";
    match authority.overdue_renewals().await {
        Ok(overdue) => format!("{running}; {overdue} late or failing now"),
        Err(_) => running.to_owned(),
    }
}

async fn alive() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok".to_owned() })
}

async fn ready(State(authority): State<Authority>) -> Answer<ReadyAnswer> {
    let lapses = Lapses::now(&authority).await.map_err(|error| {
        tracing::warn!("not ready: {error}");
        let message = "The store cannot be reached just now";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "storage.unavailable", message)
    })?;
    if let Some(reason) = lapses.reason() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "status.lapsed", reason));
    }
    Ok(Json(ReadyAnswer {
        status: "ready".to_owned(),
        crl_lapses_in_seconds: lapses.crl,
        ocsp_lapses_in_seconds: lapses.ocsp,
    }))
}

async fn metrics(State(state): State<ApiState>) -> Response {
    let authority = state.authority();
    let mut text = String::with_capacity(2_048);
    let stages = authority.stages();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP chancery_issuance_stage_nanoseconds_total Time spent per stage of the path.");
    let _ = writeln!(text, "# TYPE chancery_issuance_stage_nanoseconds_total counter");
    for stage in Stage::ALL {
        let spent = stages.nanoseconds(*stage);
        let _ = writeln!(text, "chancery_issuance_stage_nanoseconds_total{{stage=\"{}\"}} {spent}", stage.as_str());
    }
    let mut single = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    single("chancery_issuance_total", "counter", "Certificates issued since the start.", stages.issued());
    single(
        "chancery_issuance_refused_total",
        "counter",
        "Requests refused by rules since the start.",
        stages.refused(),
    );
    renewals(authority, &mut text).await;
    lapse::measure(authority, &mut text).await;
    let mut single = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    let store = authority.store_statistics();
    single("chancery_store_groups_total", "counter", "Transactions committed.", store.groups);
    single("chancery_store_writes_total", "counter", "Writes in them.", store.writes);
    single("chancery_store_busy_nanoseconds_total", "counter", "Time the writer was busy.", store.busy_nanoseconds);
    single("chancery_store_wal_bytes_total", "counter", "Bytes appended to SQLite's write-ahead log.", store.wal_bytes);
    for Measure { name, help, value } in state.measures() {
        single(name, "counter", help, value);
    }
    if let Some(bytes) = resident_bytes() {
        single("process_resident_memory_bytes", "gauge", "Resident memory.", bytes);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Renewals that the server began by itself, by how they ended.
async fn renewals(authority: &Authority, text: &mut String) {
    let counters = authority.renewal_counters();
    let name = "chancery_renewals_total";
    let _ = writeln!(text, "# HELP {name} Renewals begun by the server itself, by outcome.\n# TYPE {name} counter");
    let _ = writeln!(text, "{name}{{outcome=\"renewed\",error=\"\"}} {}", counters.renewed());
    for error in RenewalErrorType::ALL {
        let outcome = if error.is_refusal() { "refused" } else { "failed" };
        let count = counters.obstructed(*error);
        let _ = writeln!(text, "{name}{{outcome=\"{outcome}\",error=\"{}\"}} {count}", error.as_str());
    }
    // Left out while the store cannot be asked: no number is better than a wrong one.
    if let Ok(overdue) = authority.overdue_renewals().await {
        let name = "chancery_renewals_overdue";
        let _ = writeln!(
            text,
            "# HELP {name} Renewals that are late or failing now.\n# TYPE {name} gauge\n{name} {overdue}"
        );
    }
}

/// Resident memory as Linux tells it; nothing elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1")], crate::openapi()).into_response()
}
