//! How the server is: for people, for probes, for a metrics collector; and the description of the API itself.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::Authority;
use chancery_authority::stage::Stage;
use chancery_pkix::KeyAlgorithm;
use chancery_wire::status::{Features, HealthAnswer, StatusAnswer};
use http::{Method, StatusCode, header};

use crate::error::ApiError;
use crate::extract::Answer;
use crate::route::Endpoint;

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
            .named("readyz", "Whether the store can be reached")
            .answers::<HealthAnswer>(),
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
        scheduler: "not yet: due times are stored, nothing renews by itself in this build".to_owned(),
        email_configured: false,
        invite_only_signup: true,
        redis_configured: false,
    })
}

async fn alive() -> Json<HealthAnswer> {
    Json(HealthAnswer { status: "ok".to_owned() })
}

async fn ready(State(authority): State<Authority>) -> Answer<HealthAnswer> {
    authority.reader().config_version().await.map_err(|error| {
        tracing::warn!("not ready: {error}");
        let message = "The store cannot be reached just now";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "storage.unavailable", message)
    })?;
    Ok(Json(HealthAnswer { status: "ready".to_owned() }))
}

async fn metrics(State(authority): State<Authority>) -> Response {
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
    let store = authority.store_statistics();
    single("chancery_store_groups_total", "counter", "Transactions committed.", store.groups);
    single("chancery_store_writes_total", "counter", "Writes in them.", store.writes);
    single("chancery_store_busy_nanoseconds_total", "counter", "Time the writer was busy.", store.busy_nanoseconds);
    single("chancery_store_wal_bytes_total", "counter", "Bytes appended to SQLite's write-ahead log.", store.wal_bytes);
    if let Some(bytes) = resident_bytes() {
        single("process_resident_memory_bytes", "gauge", "Resident memory.", bytes);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
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
