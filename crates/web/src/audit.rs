//! The audit log: who did what, filtered; the whole log as an export that is verified offline, or here at once.

use std::io::{BufReader, Cursor, Read};

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::audit::{VerifiedAudit, verify_export_signed_by};
use chancery_model::Timestamp;
use chancery_model::audit::{AuditBody, AuditEntry, AuditEvent, AuditFilter, Outcome};
use chancery_model::permission::Permission;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page};
use crate::route::Page;
use crate::stream::streamed;
use crate::text::filters;
use crate::visit::{Answer, Query, Visit};

const ROWS: u32 = 40;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::AuditRead;
    vec![
        Page::get("/ui/audit", AuditRead, show),
        Page::post("/ui/audit/export", AuditRead, export),
        Page::post("/ui/audit/verify", AuditRead, verify),
    ]
}

/// An entry as it is shown.
struct Row {
    time: Timestamp,
    event: String,
    actor: String,
    ip: String,
    is_denied: bool,
    /// What it happened to, and the page of it where there is one.
    object: Option<(String, Option<String>)>,
    /// The details, as indented JSON.
    details: String,
    place: String,
}

/// What the filter's inputs show.
#[derive(Default)]
struct Draft {
    event: String,
    actor: String,
    object: String,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "audit/show.html")]
struct AuditPage {
    frame: Frame,
    draft: Draft,
    events: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
    older: Option<String>,
    is_filtered: bool,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "audit/verified.html")]
struct VerifiedPage {
    frame: Frame,
    outcome: Result<VerifiedAudit, String>,
}

impl VerifiedPage {
    fn short(hash: &[u8; 32]) -> String {
        hex::encode(hash)
    }
}

async fn show(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let mut problems = Problems::default();
    let filter = filter(&query, &mut problems);
    let project = visit.call.project_id();
    let (entries, next) = authority.reader().audit(project, &filter, query.given("cursor"), ROWS).await?;
    let text = |name: &str| query.text(name).to_owned();
    let events = std::iter::once(("", "Any event")).chain(AuditEvent::ALL.iter().map(|it| (it.as_str(), it.as_str())));
    page(&AuditPage {
        frame: visit.frame("Audit log", Section::Audit),
        events: events.collect(),
        rows: entries.into_iter().map(row).collect::<Result<_, _>>()?,
        older: next.map(|cursor| query.further("/ui/audit", &cursor)),
        is_filtered: filter != AuditFilter::default(),
        draft: Draft {
            event: text("event"),
            actor: text("actor"),
            object: text("object"),
            from: text("from"),
            to: text("to"),
        },
        problems,
    })
}

fn filter(query: &Form, problems: &mut Problems) -> AuditFilter {
    let mut id = |name: &str| {
        let text = query.given(name)?;
        let found = text.parse::<Uuid>().ok();
        if found.is_none() {
            problems.add(name, "Give an id, such as it stands in the entries");
        }
        found
    };
    let (actor, object) = (id("actor"), id("object"));
    let mut day = |name: &str, plus: i64| {
        let text = query.given(name)?;
        match Timestamp::parse_date(text) {
            Ok(at) => Some(at.plus_seconds(plus)),
            Err(error) => {
                problems.add(name, error.to_string());
                None
            }
        }
    };
    // The last day counts whole.
    let (from, to) = (day("from", 0), day("to", 86_399));
    AuditFilter { actor, object, from, to, event: query.word("event", AuditEvent::from_name, problems) }
}

fn row(entry: AuditEntry) -> Result<Row, WebError> {
    let body: AuditBody = serde_json::from_str(&entry.body).map_err(|error| {
        WebError::internal(format_args!("audit entry {} of {}: {error}", entry.sequence, entry.node))
    })?;
    let details = match &body.details {
        serde_json::Value::Object(map) if map.is_empty() => String::new(),
        details => serde_json::to_string_pretty(details).unwrap_or_default(),
    };
    Ok(Row {
        time: entry.time,
        event: body.event,
        actor: body.actor.name,
        ip: body.actor.ip,
        is_denied: body.outcome != Outcome::Success,
        object: body.object.map(|it| (format!("{} {}", it.kind, it.id), page_of(&it.kind, it.id))),
        details,
        place: format!("{} {}", entry.node, entry.sequence),
    })
}

/// The page of an object, where objects of its kind have one.
fn page_of(kind: &str, id: Uuid) -> Option<String> {
    let list = match kind {
        "certificate" => "certificates",
        "ca" => "authorities",
        "template" => "templates",
        "profile" => "profiles",
        "request" => "requests",
        _ => return None,
    };
    Some(format!("/ui/{list}/{id}"))
}

/// The whole log, as a stream: it may be long.
async fn export(State(authority): State<Authority>, visit: Visit) -> Answer {
    let export = authority.export_audit(&visit.call).await?;
    Ok(streamed(export, "application/x-ndjson", "attachment; filename=\"audit.ndjson\""))
}

/// Exports the log and verifies the export by itself, as an auditor would elsewhere. Few at a time: each holds a thread
/// while it reads the whole log.
async fn verify(State(authority): State<Authority>, visit: Visit) -> Answer {
    static TURNS: Semaphore = Semaphore::const_new(2);
    let _turn = TURNS.acquire().await.map_err(WebError::internal)?;
    let mut export = authority.export_audit(&visit.call).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    let key = authority.audit_public_key();
    let lines = Lines { receiver, current: Cursor::default() };
    let judge = tokio::task::spawn_blocking(move || verify_export_signed_by(BufReader::new(lines), &key));
    while let Some(lines) = export.next_lines().await? {
        // Nobody listens any more once a fault is found.
        if sender.send(lines).await.is_err() {
            break;
        }
    }
    drop(sender);
    let outcome = judge.await.map_err(WebError::internal)?.map_err(|fault| fault.to_string());
    page(&VerifiedPage { frame: visit.frame("The audit log, verified", Section::Audit), outcome })
}

/// An export being made, read by whoever verifies it: a log of any length goes through in small parts.
struct Lines {
    receiver: tokio::sync::mpsc::Receiver<String>,
    current: Cursor<String>,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.blocking_recv() {
                Some(lines) => self.current = Cursor::new(lines),
                None => return Ok(0),
            }
        }
    }
}
