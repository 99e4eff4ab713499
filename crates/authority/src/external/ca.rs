//! External CAs: made, changed and removed. Nothing is stored before the CA itself has been asked whether it will do.

use std::collections::BTreeMap;

use chancery_keys::Place;
use chancery_model::audit::AuditEvent;
use chancery_model::authority::CaStatus;
use chancery_model::external::{ExternalCa, ExternalConfiguration};
use chancery_model::permission::Permission;
use chancery_model::{CaId, ProjectId, Timestamp};
use chancery_store::{Change, Conflict, ExternalChange, StoreError, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::check;
use super::upstream::{NEXT_ACCOUNT_KEY, Settled, UpstreamError, UpstreamErrorKind};
use crate::Authority;
use crate::call::Call;
use crate::error::Error;
use crate::hierarchy::check_name;

pub struct NewExternalCa {
    pub name: String,
    /// Active or disabled.
    pub status: CaStatus,
    pub configuration: ExternalConfiguration,
    /// By name, such as `eabHmacKey`.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
}

#[derive(Default)]
pub struct ExternalCaPatch {
    pub name: Option<String>,
    pub status: Option<CaStatus>,
    /// Whole; of the same kind.
    pub configuration: Option<ExternalConfiguration>,
    /// Those given replace the stored ones; an empty one takes it away.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
}

impl Authority {
    /// Registers with the CA where that is its custom, and stores it. The texts are what an administrator should know.
    pub async fn create_external_ca(
        &self,
        call: &Call,
        new: NewExternalCa,
    ) -> Result<(ExternalCa, Vec<String>), Error> {
        call.requester.require(Permission::CaCreate)?;
        check_name(&new.name)?;
        check_status(new.status)?;
        check::configuration(&new.configuration)?;
        check::secrets(&new.configuration, &new.secrets)?;
        let now = self.now();
        let mut ca = ExternalCa {
            id: CaId::generate(now, self.random()),
            project_id: call.project_id(),
            name: new.name,
            status: new.status,
            configuration: new.configuration,
            standing: serde_json::Value::Null,
            sealed: None,
            created_at: now,
            updated_at: now,
        };
        self.check_connections(&ca).await?;
        let taken = self.reader().external_cas(ca.project_id).await?.iter().any(|it| it.name == ca.name);
        if taken || self.reader().ca_by_name(ca.project_id, &ca.name).await?.is_some() {
            // Known before an account is registered that nobody would use.
            return Err(name_taken(Error::Store(StoreError::Conflict(Conflict::Name)), &ca.name));
        }
        let warnings = self.settle_ca(&mut ca, new.secrets).await?;
        let details = json!({ "name": ca.name, "kind": ca.kind(), "after": ca.configuration, "standing": ca.standing });
        let audit = call.audit(now, AuditEvent::CaCreated, Some(("ca", ca.id.as_uuid())), details);
        let change = ExternalChange::InsertCa(Box::new(ca.clone()));
        self.commit(Write::default().with(Change::External(change)).audited(audit))
            .await
            .map_err(|error| name_taken(error, &ca.name))?;
        Ok((ca, warnings))
    }

    pub async fn update_external_ca(
        &self,
        call: &Call,
        id: CaId,
        patch: ExternalCaPatch,
    ) -> Result<(ExternalCa, Vec<String>), Error> {
        call.requester.require(Permission::CaEdit)?;
        let before = self.external_ca_of(call.project_id(), id).await?;
        let mut after = before.clone();
        if let Some(name) = patch.name {
            check_name(&name)?;
            after.name = name;
        }
        if let Some(status) = patch.status {
            check_status(status)?;
            after.status = status;
        }
        let asks_again = patch.configuration.is_some() || !patch.secrets.is_empty();
        if let Some(configuration) = patch.configuration {
            if configuration.kind() != before.kind() {
                return Err(Error::malformed("ca.type", "type", "the type of a certification authority never changes"));
            }
            check::configuration(&configuration)?;
            after.configuration = configuration;
            self.check_connections(&after).await?;
        }
        let warnings = if asks_again { self.settle_ca(&mut after, patch.secrets).await? } else { Vec::new() };
        let details = json!({
            "before": { "name": before.name, "status": before.status, "configuration": before.configuration },
            "after": { "name": after.name, "status": after.status, "configuration": after.configuration },
            "standing": after.standing,
        });
        self.change_external_ca(call, (&before, &mut after), AuditEvent::CaUpdated, details).await?;
        Ok((after, warnings))
    }

    /// Gives the account at the CA a new key (RFC 8555 §7.3.5). A kind that must not lose the new key if this process dies
    /// has it stored before the CA hears of it, and is called again.
    pub async fn change_account_key(&self, call: &Call, id: CaId) -> Result<ExternalCa, Error> {
        call.requester.require(Permission::CaEdit)?;
        let mut ca = self.external_ca_of(call.project_id(), id).await?;
        let implementation = self.implementation(ca.kind())?;
        // Proofs under way are made with the key of the account (RFC 8555 §8.1).
        let open = self.reader().open_orders(id).await?;
        if open > 0 {
            let text = format!(
                "{open} orders are under way at the certification authority '{}', and their proofs are made with the present key; wait for them or cancel them",
                ca.name
            );
            return Err(Error::conflict("ca.orders_open", text));
        }
        loop {
            let site = self.site_of(ca.clone()).await?;
            let was_prepared = site.secrets.contains_key(NEXT_ACCOUNT_KEY);
            let settled = implementation.change_account_key(&site).await.map_err(|error| told(&ca, error))?;
            let Some(settled) = settled else {
                let text = format!("the certification authority '{}' has no account key", ca.name);
                return Err(Error::malformed("ca.account_key", "caId", text));
            };
            let is_prepared = settled.secrets.contains_key(NEXT_ACCOUNT_KEY);
            let before = ca.clone();
            self.keep_settled(&mut ca, settled).await?;
            let details = json!({ "prepared": is_prepared });
            self.change_external_ca(call, (&before, &mut ca), AuditEvent::CaAccountKeyChanged, details).await?;
            if !is_prepared || was_prepared {
                return Ok(ca);
            }
        }
    }

    /// Removes a CA that no profile names and that no order is under way at. What it issued stays.
    pub async fn delete_external_ca(&self, call: &Call, id: CaId) -> Result<ExternalCa, Error> {
        call.requester.require(Permission::CaDelete)?;
        let ca = self.external_ca_of(call.project_id(), id).await?;
        let details = json!({ "name": ca.name, "kind": ca.kind(), "standing": ca.standing });
        let audit = call.audit(self.now(), AuditEvent::CaDeleted, Some(("ca", id.as_uuid())), details);
        self.commit(Write::default().with(Change::DeleteCa(id)).audited(audit)).await?;
        Ok(ca)
    }

    pub(crate) async fn external_ca_of(&self, project: ProjectId, id: CaId) -> Result<ExternalCa, Error> {
        let ca = self.reader().external_ca(project, id).await?;
        ca.ok_or_else(|| Error::not_found("Certificate authority", id))
    }

    async fn change_external_ca(
        &self,
        call: &Call,
        (before, after): (&ExternalCa, &mut ExternalCa),
        event: AuditEvent,
        details: serde_json::Value,
    ) -> Result<(), Error> {
        after.updated_at = self.now().max(Timestamp::from_millis(before.updated_at.as_millis() + 1));
        let audit = call.audit(self.now(), event, Some(("ca", after.id.as_uuid())), details);
        let change = ExternalChange::UpdateCa { ca: Box::new(after.clone()), expected_updated_at: before.updated_at };
        self.commit(Write::default().with(Change::External(change)).audited(audit))
            .await
            .map_err(|error| name_taken(error, &after.name))
    }

    /// Asks the CA, with the secrets known so far and those given.
    async fn settle_ca(
        &self,
        ca: &mut ExternalCa,
        given: BTreeMap<String, Zeroizing<String>>,
    ) -> Result<Vec<String>, Error> {
        let mut site = self.site_of(ca.clone()).await?;
        site.secrets.extend(given);
        site.secrets.retain(|_, value| !value.is_empty());
        let settled = self.implementation(ca.kind())?.settle(&site).await.map_err(|error| told(ca, error))?;
        let warnings = settled.warnings.clone();
        self.keep_settled(ca, settled).await?;
        Ok(warnings)
    }

    async fn keep_settled(&self, ca: &mut ExternalCa, settled: Settled) -> Result<(), Error> {
        ca.standing = settled.standing;
        self.ensure_project_key(ca.project_id).await?;
        let json = super::secrets_to_json(&settled.secrets)?;
        let sealed = self.sealer().seal(&place(ca.project_id, ca.id), &json, self.random());
        ca.sealed = Some(sealed.map_err(Error::internal)?);
        Ok(())
    }

    /// Every connection that is named exists in the project and is for the right app.
    async fn check_connections(&self, ca: &ExternalCa) -> Result<(), Error> {
        for (field, id, app) in check::connections(&ca.configuration) {
            let connection = self.reader().connection(ca.project_id, id).await?;
            let Some(connection) = connection else {
                let text =
                    format!("there is no app connection {id}; make one under /api/v1/app-connections/{}", app.as_str());
                return Err(Error::malformed("app_connection.unknown", field, text));
            };
            if connection.app != app {
                let text = format!(
                    "the app connection '{}' is for {}; name one for {}",
                    connection.name,
                    connection.app.as_str(),
                    app.as_str()
                );
                return Err(Error::malformed("app_connection.app", field, text));
            }
        }
        Ok(())
    }
}

pub(super) const fn place(project: ProjectId, id: CaId) -> Place {
    Place { project, table: "ca", column: "sealed", record: id.as_uuid() }
}

/// What the CA's answer means for who configures it.
pub(super) fn told(ca: &ExternalCa, error: UpstreamError) -> Error {
    tracing::warn!(ca = %ca.name, kind = ca.kind().as_str(), %error, detail = error.detail, "An external CA did not do as asked.");
    match error.kind {
        // The contract: errors of the remote CA surface as 400.
        UpstreamErrorKind::Lasting | UpstreamErrorKind::Passing { .. } => {
            Error::malformed("ca.upstream", "configuration", error.text)
        }
    }
}

fn check_status(status: CaStatus) -> Result<(), Error> {
    match status {
        CaStatus::Active | CaStatus::Disabled => Ok(()),
        CaStatus::PendingCertificate => Err(Error::malformed(
            "ca.status",
            "status",
            "an external certification authority has no certificate here to wait for; use active or disabled",
        )),
    }
}

fn name_taken(error: Error, name: &str) -> Error {
    match error {
        Error::Store(StoreError::Conflict(Conflict::Name)) => Error::conflict(
            "ca.name_taken",
            format!("A certification authority with the name '{name}' exists already; choose another"),
        ),
        other => other,
    }
}
