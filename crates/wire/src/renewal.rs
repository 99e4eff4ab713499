//! Renewals by the server: what is to come, and what did not come about.

use uuid::Uuid;

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
