//! How far an order has come: the state that is written down between two steps. No secrets; key authorizations are public
//! as soon as they are of use.

use chancery_authority::external::{Next, Step};
use chancery_model::Timestamp;
use chancery_model::external::ChallengeKind;
use serde::{Deserialize, Serialize};

use super::resources::Identifier;
use crate::dns::Placement;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub stage: Stage,
    /// Orders that the account had before it asked for this one, where the CA lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_orders: Option<Vec<String>>,
    /// Fresh in the process that has written it, and has not asked since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// The CA did not want to hear of the certificate that is renewed.
    pub without_replaces: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_url: Option<String>,
    pub names: Vec<Name>,
    /// When the last DNS record was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_set_at: Option<Timestamp>,
    /// The CA took the CSR.
    pub finalized: bool,
    /// Questions since something last changed.
    pub polls: u32,
    /// How often the order turned out to be somebody else's as well.
    pub shared: u8,
    /// Records of orders that were left for another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Record>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Stage {
    /// Nothing has been asked.
    #[default]
    New,
    /// The order is being asked for; the CA may have heard of it.
    Asked,
    /// There is an order; its authorizations are looked at.
    Opened,
    /// Control of the names is being proved.
    Proving,
    /// The CSR is about to be sent, or has been.
    Finalizing,
}

/// An authorization of the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Name {
    pub authorization: String,
    /// Known once the authorization has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    #[serde(default)]
    pub wildcard: bool,
    /// Absent: not chosen yet, or the CA needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Proof {
    pub kind: ChallengeKind,
    /// Of the challenge.
    pub url: String,
    /// The record's value, or the key authorization.
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    pub set: bool,
    pub seen: bool,
    /// The CA has been told to look.
    pub told: bool,
}

/// A DNS record that this order has set, or is about to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub placement: Placement,
    pub value: String,
}

impl Name {
    /// As people write it.
    pub fn shown(&self) -> String {
        match &self.identifier {
            Some(identifier) if self.wildcard => format!("*.{identifier}"),
            Some(identifier) => identifier.to_string(),
            None => "a name".to_owned(),
        }
    }
}

impl Progress {
    pub fn read(state: &serde_json::Value) -> Option<Self> {
        if state.is_null() { Some(Self::default()) } else { serde_json::from_value(state.clone()).ok() }
    }

    pub fn written(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub fn step(&self, next: Next) -> Step {
        Step { state: self.written(), reference: self.order_url.clone(), challenges: None, next }
    }

    /// Seconds until the CA is asked again when it does not say: soon at first, then ever more seldom.
    pub fn pause(&mut self) -> u32 {
        self.polls = self.polls.saturating_add(1);
        match self.polls {
            1 => 1,
            2 => 2,
            3 => 3,
            4..=8 => 5,
            9..=20 => 10,
            _ => 30,
        }
    }

    pub fn proofs(&mut self) -> impl Iterator<Item = &mut Proof> {
        self.names.iter_mut().filter_map(|name| name.proof.as_mut())
    }

    /// Leaves the order for a new one. What was set for it stays known, to be removed.
    pub fn start_over(&mut self) {
        let left = self.names.drain(..).filter_map(|name| name.proof);
        let records = left.filter_map(|it| it.placement.map(|placement| Record { placement, value: it.value }));
        self.leftovers.extend(records);
        *self = Self {
            leftovers: std::mem::take(&mut self.leftovers),
            shared: self.shared.saturating_add(1),
            without_replaces: self.without_replaces,
            ..Self::default()
        };
    }

    /// One record that may still be there; it is no more in the state that is left.
    pub fn take_record(&mut self) -> Option<Record> {
        if let Some(record) = self.leftovers.pop() {
            return Some(record);
        }
        self.proofs().find_map(|proof| {
            let placement = proof.placement.take()?;
            Some(Record { placement, value: proof.value.clone() })
        })
    }
}
