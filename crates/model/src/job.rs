//! Jobs: work that is due at a time, done once whichever node does it.
//!
//! A job is leased to one node at a time. Each lease has a higher *fencing token* than the one before, and every write
//! that a job makes carries its token: a node that was paused past the end of its lease can write nothing any more.

use uuid::Uuid;

use crate::id::ProjectId;
use crate::time::Timestamp;

macro_rules! kinds {
    ($($(#[$meta:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum JobKind { $($(#[$meta])* $variant),+ }

        impl JobKind {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As it is stored.
            #[must_use]
            pub const fn number(self) -> i64 {
                match self { $(Self::$variant => $number),+ }
            }

            #[must_use]
            pub fn from_number(number: i64) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.number() == number)
            }

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

kinds! {
    /// Of the certificate.
    RenewCertificate = 1, "renew-certificate";
    /// Of the superseded certificate.
    RevokeSuperseded = 2, "revoke-superseded";
    /// Of the CA.
    RenewCa = 3, "renew-ca";
    /// Of the CRL.
    PublishCrl = 4, "publish-crl";
    /// Of the CA key.
    RotateResponder = 5, "rotate-ocsp-responder";
    /// Of the project: turns audit entries into alerts.
    WatchEvents = 6, "watch-events";
    /// Of the alert: looks for what will end soon.
    CheckExpiry = 7, "check-expiry";
    /// Of the notification.
    Deliver = 8, "deliver-notification";
    /// Of the project.
    CleanUp = 9, "clean-up";
    /// Of the order, which has its request's id: the next steps at an external CA, and tidying up afterwards.
    AdvanceOrder = 10, "advance-order";
    /// Of the certificate: tells its external CA that it is revoked.
    RevokeExternally = 11, "revoke-externally";
    /// Of the certificate: asks its external CA when to renew it (RFC 9773).
    AskRenewalTime = 12, "ask-renewal-time";
}

/// Jobs of one lane take turns; what is slow in one lane keeps nobody in another waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobLane {
    /// CRLs and OCSP responders: few, quick, and the most harmful to have late.
    Status,
    Work,
    /// Messages to servers of others, which may take as long as they like to answer.
    Outgoing,
    /// External CAs, which may too.
    External,
}

impl JobLane {
    pub const ALL: &[Self] = &[Self::Status, Self::Work, Self::Outgoing, Self::External];
}

impl JobKind {
    #[must_use]
    pub const fn lane(self) -> JobLane {
        match self {
            Self::PublishCrl | Self::RotateResponder => JobLane::Status,
            Self::Deliver => JobLane::Outgoing,
            Self::AdvanceOrder | Self::RevokeExternally | Self::AskRenewalTime => JobLane::External,
            Self::RenewCertificate
            | Self::RevokeSuperseded
            | Self::RenewCa
            | Self::WatchEvents
            | Self::CheckExpiry
            | Self::CleanUp => JobLane::Work,
        }
    }
}

/// What makes a job one of a kind: no two jobs have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey {
    pub kind: JobKind,
    pub object: Uuid,
}

/// A job to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewJob {
    pub key: JobKey,
    pub project_id: ProjectId,
    pub due_at: Timestamp,
    /// When being late begins to hurt: of the jobs that are due, the nearest deadline goes first.
    pub deadline: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub key: JobKey,
    pub project_id: ProjectId,
    pub due_at: Timestamp,
    pub deadline: Timestamp,
    /// Failures in a row.
    pub attempts: u32,
    /// The token of the last lease; 0 before the first.
    pub token: i64,
    pub lease_until: Option<Timestamp>,
    pub last_error: Option<String>,
}

/// The right to finish a job: holds while nobody has leased it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    pub key: JobKey,
    pub token: i64,
}
