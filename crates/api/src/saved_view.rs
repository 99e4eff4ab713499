//! Searches of the inventory that people keep, and what happened to one certificate.

use axum::Json;
use axum::extract::State;
use chancery_authority::inventory::NewSavedView;
use chancery_authority::{Authority, Call};
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission::CertificateRead;
use chancery_model::saved_view::SavedView;
use chancery_model::{CertificateId, SavedViewId};
use chancery_wire as wire;
use chancery_wire::inventory::{HistoryAnswer, HistoryEntry, SaveView, SavedViewAnswer, SavedViewsAnswer};

use crate::extract::{Answer, Body, Caller, Id};
use crate::route::Endpoint;

const BASE: &str = "/api/v1/cert-manager/saved-views";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(BASE, CertificateRead, list)
            .named("listSavedViews", "The caller's own saved searches, and those that others share")
            .answers::<SavedViewsAnswer>(),
        Endpoint::post(BASE, CertificateRead, save)
            .named("saveView", "Keep a search of the inventory; people only")
            .takes::<SaveView>()
            .answers::<SavedViewAnswer>(),
        Endpoint::delete(format!("{BASE}/{{viewId}}"), CertificateRead, delete)
            .named("deleteSavedView", "Delete a saved search: its owner, or an administrator a shared one")
            .answers::<SavedViewAnswer>(),
        Endpoint::get("/api/v1/cert-manager/certificates/{id}/history", CertificateRead, history)
            .named("readCertificateHistory", "What happened to a certificate, newest first")
            .answers::<HistoryAnswer>(),
    ]
}

async fn list(State(authority): State<Authority>, Caller(call): Caller) -> Answer<SavedViewsAnswer> {
    let found = authority.saved_views(&call).await?;
    Ok(Json(SavedViewsAnswer { saved_views: found.iter().map(|it| shown(&call, it)).collect() }))
}

async fn save(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<SaveView>,
) -> Answer<SavedViewAnswer> {
    let new = NewSavedView { name: body.name, query: body.query, shared: body.shared.unwrap_or(false) };
    let saved = authority.save_view(&call, new).await?;
    Ok(Json(SavedViewAnswer { saved_view: shown(&call, &saved) }))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<SavedViewId>,
) -> Answer<SavedViewAnswer> {
    let deleted = authority.delete_view(&call, id).await?;
    Ok(Json(SavedViewAnswer { saved_view: shown(&call, &deleted) }))
}

fn shown(call: &Call, view: &SavedView) -> wire::inventory::SavedView {
    wire::inventory::SavedView {
        id: view.id.as_uuid(),
        name: view.name.clone(),
        query: view.query.clone(),
        shared: view.shared,
        own: call.requester.actor_id() == ActorId::User(view.owner),
        created_at: view.created_at.to_string(),
    }
}

async fn history(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
) -> Answer<HistoryAnswer> {
    let entries = authority.history_of(&call, id).await?.into_iter();
    let history = entries
        .map(|it| HistoryEntry {
            time: it.time.to_string(),
            event: it.event,
            actor: it.actor_name,
            outcome: it.outcome.as_str().to_owned(),
            details: it.details,
        })
        .collect();
    Ok(Json(HistoryAnswer { history }))
}
