//! People's own searches of the inventory. A view is a name for the query string of the inventory's page: it gives no
//! right, whoever opens it searches with their own.

use chancery_model::audit::AuditEvent;
use chancery_model::identity::ActorId;
use chancery_model::permission::{Permission, Role};
use chancery_model::saved_view::SavedView;
use chancery_model::{SavedViewId, UserId};
use chancery_store::{Change, Conflict, StoreError, Write};

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

const NAME_MAX: usize = 100;
const QUERY_MAX: usize = 2_000;
/// Views of one person.
const VIEWS_MAX: u64 = 100;

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct NewSavedView {
    /// 1 to 100 characters.
    pub name: String,
    /// The query string of a URL, at most 2 000 characters.
    pub query: String,
    pub shared: bool,
}

impl Authority {
    /// The caller's own views and those that others share, by name. A machine sees the shared ones.
    pub async fn saved_views(&self, call: &Call) -> Result<Vec<SavedView>, Error> {
        call.requester.require_somewhere(Permission::CertificateRead)?;
        Ok(self.reader().saved_views(call.project_id(), person(call)).await?)
    }

    /// Keeps a search for the person who calls.
    pub async fn save_view(&self, call: &Call, new: NewSavedView) -> Result<SavedView, Error> {
        call.requester.require_somewhere(Permission::CertificateRead)?;
        let Some(owner) = person(call) else {
            return Err(Error::forbidden(
                "inventory.view_owner",
                "Saved views belong to people; a machine identity keeps its search itself",
            ));
        };
        let project_id = call.project_id();
        let (name, query) = (name(&new.name)?, query(&new.query)?);
        if self.reader().saved_views_of(project_id, owner).await? >= VIEWS_MAX {
            let message = format!("You keep {VIEWS_MAX} views already; delete one first");
            return Err(Error::forbidden("inventory.views_max", message));
        }
        let now = self.now();
        let id = SavedViewId::generate(now, self.random());
        let view = SavedView { id, project_id, owner, name, query, shared: new.shared, created_at: now };
        let audit = call.audit(now, AuditEvent::ViewSaved, Some(("saved-view", id.as_uuid())), content(&view));
        let write = Write::default().with(Change::InsertSavedView(view.clone())).audited(audit);
        match self.commit(write).await {
            Ok(()) => Ok(view),
            Err(Error::Store(StoreError::Conflict(Conflict::Name))) => Err(Error::conflict(
                "inventory.view_name",
                format!("You have a view named '{}' already; delete it first, or choose another name", view.name),
            )),
            Err(error) => Err(error),
        }
    }

    /// Deletes a view: its owner's, or an administrator's call where it is shared.
    pub async fn delete_view(&self, call: &Call, id: SavedViewId) -> Result<SavedView, Error> {
        call.requester.require_somewhere(Permission::CertificateRead)?;
        let missing = || Error::not_found("Saved view", id);
        let view = self.reader().saved_view(call.project_id(), id).await?.ok_or_else(missing)?;
        if person(call) != Some(view.owner) {
            if !view.shared {
                return Err(missing());
            }
            if call.requester.role() != Role::Admin {
                return Err(Error::forbidden(
                    "inventory.view_owner",
                    "The view belongs to somebody else; its owner or an administrator deletes it",
                ));
            }
        }
        let object = Some(("saved-view", id.as_uuid()));
        let audit = call.audit(self.now(), AuditEvent::ViewDeleted, object, content(&view));
        match self.commit(Write::default().with(Change::DeleteSavedView(id)).audited(audit)).await {
            Err(Error::Store(StoreError::Conflict(Conflict::Missing))) => Err(missing()),
            Err(error) => Err(error),
            Ok(()) => Ok(view),
        }
    }
}

const fn person(call: &Call) -> Option<UserId> {
    match call.requester.actor_id() {
        ActorId::User(id) => Some(id),
        ActorId::Identity(_) | ActorId::System => None,
    }
}

fn name(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let refuse = |message: String| Err(Error::malformed("inventory.view_name", "name", message));
    match text.chars().count() {
        0 => refuse("give the view a name".to_owned()),
        count if count > NAME_MAX => refuse(format!("a name has at most {NAME_MAX} characters")),
        _ if text.chars().any(char::is_control) => refuse("a name has no line ends or control characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// As it stands in an address: visible ASCII, without the question mark and without a fragment.
fn query(text: &str) -> Result<String, Error> {
    let text = text.strip_prefix('?').unwrap_or(text);
    let refuse = |message: String| Err(Error::malformed("inventory.view_query", "query", message));
    if text.len() > QUERY_MAX {
        return refuse(format!("a search has at most {QUERY_MAX} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>')) {
        return refuse("must be the query string of the inventory's address, percent-encoded".to_owned());
    }
    Ok(text.to_owned())
}

fn content(view: &SavedView) -> serde_json::Value {
    serde_json::json!({ "name": view.name, "query": view.query, "shared": view.shared, "owner": view.owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_the_part_of_an_address() {
        for (text, expected) in [
            ("?search=acme&status=active", Some("search=acme&status=active")),
            ("search=%2A.acme.com", Some("search=%2A.acme.com")),
            ("", Some("")),
            ("search=a b", None),
            ("search=a#b", None),
            ("search=ä", None),
            ("search=<script>", None),
            ("a\r\nLocation: x", None),
        ] {
            assert_eq!(query(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(query(&"a".repeat(2_000)).is_ok());
        assert!(query(&"a".repeat(2_001)).is_err());
    }

    #[test]
    fn a_name_is_one_short_line() {
        for (text, expected) in
            [("  Web servers ", Some("Web servers")), ("", None), (" ", None), ("a\nb", None), ("ä", Some("ä"))]
        {
            assert_eq!(name(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(name(&"ä".repeat(100)).is_ok());
        assert!(name(&"ä".repeat(101)).is_err());
    }
}
