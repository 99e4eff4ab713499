//! Who signs what a profile issues.

use std::sync::Arc;

use chancery_model::CaId;
use chancery_model::external::ExternalCa;
use chancery_model::profile::ProfileIssuer;
use uuid::Uuid;

use super::Issuer;
use crate::external::Capabilities;

#[derive(Clone)]
pub(crate) enum IssuedBy {
    /// The certificate's own key.
    Itself,
    Ca(Arc<Issuer>),
    External(Arc<ExternalIssuer>),
    /// Some CA, nobody has said which: to try a template before there is a profile. Nothing is issued like this.
    Undecided,
}

/// A CA elsewhere, as far as a request must know it.
pub(crate) struct ExternalIssuer {
    pub ca: ExternalCa,
    pub capabilities: Capabilities,
}

impl IssuedBy {
    /// The issuer, where its certificate and key are here.
    pub fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Ca(issuer) => Some(issuer),
            Self::Itself | Self::External(_) | Self::Undecided => None,
        }
    }

    pub fn external(&self) -> Option<&ExternalIssuer> {
        match self {
            Self::External(external) => Some(external),
            Self::Itself | Self::Ca(_) | Self::Undecided => None,
        }
    }

    pub const fn is_itself(&self) -> bool {
        matches!(self, Self::Itself)
    }

    /// Whether the signing key is not known here, so that the signature can only be hoped for.
    pub const fn signs_unseen(&self) -> bool {
        matches!(self, Self::External(_) | Self::Undecided)
    }

    pub fn profile_issuer(&self) -> ProfileIssuer {
        match self {
            Self::Itself => ProfileIssuer::SelfSigned,
            Self::Ca(issuer) => ProfileIssuer::Ca(issuer.ca_id()),
            Self::External(external) => ProfileIssuer::Ca(external.ca.id),
            Self::Undecided => ProfileIssuer::Ca(CaId::from_uuid(Uuid::nil())),
        }
    }
}
