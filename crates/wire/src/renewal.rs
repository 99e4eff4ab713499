//! Renewals by the server: what is to come, and what did not come about.

use uuid::Uuid;

use crate::certificate::SearchCertificates;
use crate::revocation::BulkFailure;

wire! {
    pub struct ForecastAnswer {
        /// Every day from today on.
        pub days: Vec<ForecastDay>,
        /// Late ones first, the longest overdue in front; then those that failed and wait for their next try.
        pub overdue: Vec<OverdueRenewal>,
        /// How many are overdue in all: exact up to 10000, beyond that a lower bound.
        pub overdue_count: u64,
        pub next_cursor: Option<String>,
    }

    /// Renew the active certificates that a search finds. Without `confirm` nothing is renewed: the answer says how many
    /// match, how many can be renewed this way, and gives the token to repeat the call with.
    pub struct BulkRenew {
        pub search: SearchCertificates,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirm: Option<String>,
    }

    /// A preview (`matching`, `renewable`, `leftOut`, `confirm`) or what was done (`renewed`, `pending`, `failed`).
    #[derive(Default)]
    pub struct BulkRenewAnswer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub matching: Option<u64>,
        /// Those that one call renews, 500 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renewable: Option<u64>,
        /// Why the others are left alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub left_out: Option<Vec<LeftOut>>,
        /// Good for ten minutes, for this search and caller, and for certificates made until now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub confirm: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub renewed: Option<u64>,
        /// Ordered at an external CA.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub pending: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub failed: Option<Vec<BulkFailure>>,
        /// More match than one call renews: ask again, without `confirm`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub has_more: Option<bool>,
    }

    pub struct LeftOut {
        pub reason: String,
        pub count: u64,
    }

    /// One day in UTC.
    pub struct ForecastDay {
        /// Such as `2026-02-28`.
        pub date: String,
        /// Renewals due on that day.
        pub due: u64,
    }

    /// A certificate that should have been renewed by now.
    pub struct OverdueRenewal {
        pub certificate_id: Uuid,
        pub common_name: String,
        pub not_after: String,
        /// When it was to be renewed.
        pub due_at: String,
        /// Why it was not; `null` before the first try.
        pub renewal_error: Option<String>,
        /// Failures in a row.
        pub attempts: u32,
        /// When it is tried again.
        pub next_try: String,
    }
}

query! {
    pub struct ForecastQuery {
        /// 1 to 366, default 90.
        pub days: Option<i64>,
        /// Overdue renewals in one answer: 1 to 100, default 100.
        pub limit: Option<i64>,
        pub cursor: Option<String>,
    }
}
