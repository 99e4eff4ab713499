//! Searches of the inventory that people keep.

use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::inventory::NewSavedView;
use chancery_model::SavedViewId;
use chancery_model::identity::ActorId;
use chancery_model::permission::{Permission, Role};

use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::inventory::{self, InventoryQuery, PATH};
use crate::route::Page;
use crate::visit::{Answer, Id, Visit};

pub(crate) fn pages() -> Vec<Page> {
    vec![
        Page::post("/ui/certificates/views", Permission::CertificateRead, save),
        Page::post("/ui/certificates/views/{id}/delete", Permission::CertificateRead, delete),
    ]
}

/// A saved view as the inventory offers it.
pub(crate) struct ShownView {
    pub id: SavedViewId,
    pub name: String,
    pub href: String,
    pub is_shared: bool,
    /// Whether it is the present search.
    pub is_current: bool,
    pub may_delete: bool,
}

impl ShownView {
    pub async fn all(authority: &Authority, visit: &Visit, query: &InventoryQuery) -> Result<Vec<Self>, WebError> {
        let here = query.first_page().to_query();
        let requester = &visit.call.requester;
        let views = authority.saved_views(&visit.call).await?.into_iter().map(|it| Self {
            id: it.id,
            is_current: it.query == here,
            may_delete: ActorId::User(it.owner) == requester.actor_id() || requester.role() == Role::Admin,
            href: if it.query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", it.query) },
            is_shared: it.shared,
            name: it.name,
        });
        Ok(views.collect())
    }
}

/// What was typed to save a search.
#[derive(Default)]
pub(crate) struct SaveDraft {
    pub name: String,
    pub shared: bool,
}

async fn save(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let mut problems = Problems::default();
    let query = InventoryQuery::read(&Form::parse(form.text("query").as_bytes()), &mut problems);
    if !problems.is_empty() {
        return Err(WebError::bad_request("The search has a condition that is not known here."));
    }
    let draft = SaveDraft { name: form.text("view_name").to_owned(), shared: form.has("shared") };
    let kept = query.first_page();
    let new = NewSavedView { name: draft.name.clone(), query: kept.to_query(), shared: draft.shared };
    match authority.save_view(&visit.call, new).await {
        Ok(view) => {
            Ok(visit.done(&kept.href(), format!("The view “{}” is kept; find it above the search.", view.name)))
        }
        Err(error) => {
            let mut problems = Problems::from_core(error, &[("name", "view_name"), ("query", "view_name")])?;
            // A name that is taken is said of the whole form; here the form has one field.
            if let Some(text) = problems.whole.pop() {
                problems.add("view_name", text);
            }
            inventory::show(&authority, &visit, &kept, &draft, &problems).await
        }
    }
}

async fn delete(State(authority): State<Authority>, visit: Visit, Id(id): Id<SavedViewId>) -> Answer {
    let view = authority.delete_view(&visit.call, id).await?;
    Ok(visit.done(PATH, format!("The view “{}” is gone; the certificates are untouched.", view.name)))
}
