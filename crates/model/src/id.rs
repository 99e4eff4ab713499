//! Typed ids: a CA id cannot be passed where a profile id is wanted. All are UUIDs, version 7 for records made here,
//! so that primary keys are ordered by time.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::random::Randomness;
use crate::time::Timestamp;

macro_rules! typed_ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh, time-ordered id (UUID version 7, RFC 9562 §5.7).
            #[must_use]
            pub fn generate(now: Timestamp, random: &dyn Randomness) -> Self {
                Self(time_ordered(now, random))
            }

            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }
    )+};
}

typed_ids! {
    ProjectId,
    UserId,
    IdentityId,
    ClientSecretId,
    /// One login session of a person or a machine identity.
    AccessTokenId,
    /// A link that signs a person in once.
    SignInLinkId,
    CaId,
    CaCertificateId,
    TemplateId,
    ProfileId,
    /// The enrolment settings of a profile; clients see it as `apiConfigId`.
    EnrollmentConfigId,
    ApplicationId,
    /// Somebody's membership in an application.
    ApplicationMemberId,
    CertificateId,
    RequestId,
    /// A sealed private key.
    KeyId,
    /// One list of revoked certificates: a partition of what one CA key has issued.
    CrlId,
    AlertId,
    /// One way out of an alert.
    ChannelId,
    /// One message through one channel.
    NotificationId,
    /// Credentials for a service elsewhere.
    ConnectionId,
    /// A search of the inventory that somebody keeps.
    SavedViewId,
}

/// UUID version 7: 48 bits of milliseconds, then 74 random bits (RFC 9562 §5.7).
fn time_ordered(now: Timestamp, random: &dyn Randomness) -> Uuid {
    let mut entropy = [0u8; 10];
    random.fill(&mut entropy);
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandomness;

    #[test]
    fn ids_made_later_sort_later() {
        let random = SeededRandomness::new(1);
        let early = CertificateId::generate(Timestamp::from_millis(1_000), &random);
        let late = CertificateId::generate(Timestamp::from_millis(1_001), &random);
        assert!(early < late);
        assert_eq!(early.as_uuid().get_version_num(), 7);
    }
}
