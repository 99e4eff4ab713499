//! The audit log: reading it, and exporting it for verification elsewhere.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chancery_authority::Authority;
use chancery_authority::audit::AuditExport;
use chancery_model::audit::{AuditBody, AuditEntry, AuditEvent, AuditFilter, Outcome};
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission;
use chancery_wire::audit::{AuditActor, AuditLog, AuditLogsAnswer, AuditLogsQuery, AuditObject};
use http::header;
use http_body_util::channel::{Channel, Sender};

use crate::error::ApiError;
use crate::extract::{Answer, Caller, Query};
use crate::issues::Issues;
use crate::page::{Slice, page};
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/audit-logs", Permission::AuditRead, list)
            .named("listAuditLogs", "Read the audit log, newest first")
            .asks::<AuditLogsQuery>()
            .answers::<AuditLogsAnswer>(),
        Endpoint::get("/api/v1/audit-logs/export", Permission::AuditRead, export)
            .named("exportAuditLogs", "The whole log with hashes and signed checkpoints, for `chancery audit verify`")
            .answers_with("application/x-ndjson"),
    ]
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<AuditLogsQuery>,
) -> Answer<AuditLogsAnswer> {
    let page = page(&Slice { offset: None, limit: query.limit, cursor: query.cursor.as_deref() }, 100, 500)?;
    let filter = filter(&query)?;
    let (entries, next_cursor) =
        authority.reader().audit(call.project_id(), &filter, page.cursor.as_deref(), page.limit).await?;
    let audit_logs = entries.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(AuditLogsAnswer { audit_logs, next_cursor }))
}

async fn export(State(authority): State<Authority>, Caller(call): Caller) -> Result<Response, ApiError> {
    let export = authority.export_audit(&call).await?;
    // A few chunks are read ahead; a slow reader slows the export, not the memory.
    let (sender, body) = Channel::new(2);
    tokio::spawn(send(export, sender));
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\""),
    ];
    Ok((headers, Body::new(body)).into_response())
}

#[derive(Debug, thiserror::Error)]
#[error("the export broke off")]
struct BrokenOff;

async fn send(mut export: AuditExport, mut sender: Sender<Bytes, BrokenOff>) {
    loop {
        match export.next_lines().await {
            Ok(Some(text)) => {
                if sender.send_data(Bytes::from(text)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!("an audit export broke off: {error}");
                sender.abort(BrokenOff);
                return;
            }
        }
    }
}

fn filter(query: &AuditLogsQuery) -> Result<AuditFilter, ApiError> {
    let mut issues = Issues::default();
    let given = |text: &Option<String>| text.clone().filter(|it| !it.is_empty());
    let event = given(&query.event).and_then(|name| {
        let event = AuditEvent::from_name(&name);
        if event.is_none() {
            let shown: String = name.chars().take(64).collect();
            issues.add_as("event", "invalid_enum_value", format!("{shown:?} is not a known event"));
        }
        event
    });
    let filter = AuditFilter {
        actor: issues.uuid("actor", given(&query.actor).as_deref()),
        event,
        object: issues.uuid("objectId", given(&query.object_id).as_deref()),
        from: issues.date("from", given(&query.from).as_deref()),
        to: issues.date("to", given(&query.to).as_deref()),
    };
    issues.finish()?;
    Ok(filter)
}

fn shown(entry: &AuditEntry) -> Result<AuditLog, ApiError> {
    let body: AuditBody = serde_json::from_str(&entry.body)
        .map_err(|error| ApiError::internal(format!("audit entry {}/{}: {error}", entry.node, entry.sequence)))?;
    let (kind, id) = match body.actor.id {
        ActorId::User(id) => ("user", Some(id.as_uuid())),
        ActorId::Identity(id) => ("identity", Some(id.as_uuid())),
        ActorId::System => ("system", None),
    };
    let outcome = match body.outcome {
        Outcome::Success => "success",
        Outcome::Denied => "denied",
        Outcome::Failure => "failure",
    };
    Ok(AuditLog {
        node: body.node,
        sequence: body.sequence,
        created_at: body.time,
        project_id: body.project_id.map(|id| id.as_uuid()),
        event: body.event,
        outcome: outcome.to_owned(),
        actor: AuditActor {
            kind: kind.to_owned(),
            id,
            name: body.actor.name,
            method: body.actor.method,
            ip: body.actor.ip,
        },
        object: body.object.map(|it| AuditObject { kind: it.kind, id: it.id }),
        request_id: body.request_id,
        details: body.details,
        hash: hex::encode(entry.hash),
        previous_hash: hex::encode(entry.previous_hash),
    })
}
