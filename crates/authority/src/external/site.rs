//! Opening an external CA: its settings, its secrets and the connections that it uses, for as long as it is asked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chancery_model::external::{ExternalCa, ExternalCaKind};
use chancery_model::order::ExternalOrder;

use super::ca::place;
use super::upstream::{Site, UpstreamCa};
use crate::Authority;
use crate::error::Error;

impl Authority {
    pub(crate) fn implementation(&self, kind: ExternalCaKind) -> Result<&dyn UpstreamCa, Error> {
        self.upstream().ca(kind).ok_or_else(|| {
            let text = format!("certification authorities of type {} do not exist in this build", kind.as_str());
            Error::malformed("ca.type", "type", text)
        })
    }

    pub(super) async fn site_of(&self, ca: ExternalCa) -> Result<Site, Error> {
        let secrets = match &ca.sealed {
            None => BTreeMap::new(),
            Some(sealed) => {
                self.ensure_project_key(ca.project_id).await?;
                let json = self.sealer().unseal(&place(ca.project_id, ca.id), sealed).map_err(Error::internal)?;
                super::secrets_from_json(&json)?
            }
        };
        let mut connections = BTreeMap::new();
        for id in ca.configuration.connections() {
            if let Entry::Vacant(place) = connections.entry(id) {
                let connection = self.connection_of(ca.project_id, id).await?;
                place.insert(self.open_connection(&connection).await?);
            }
        }
        Ok(Site { ca, secrets, connections, now: self.now() })
    }

    /// With the connections by which the order has left something outside, also where the CA has been given others since.
    pub(super) async fn site_to_tidy(&self, ca: ExternalCa, order: &ExternalOrder) -> Result<Site, Error> {
        let mut site = self.site_of(ca).await?;
        // The state is in the kind's own words; an id in it is unlike any other text.
        let state = order.state.to_string();
        for connection in self.reader().connections(order.project_id).await? {
            if state.contains(&connection.id.to_string())
                && let Entry::Vacant(place) = site.connections.entry(connection.id)
            {
                place.insert(self.open_connection(&connection).await?);
            }
        }
        Ok(site)
    }
}
