//! The inventory as a whole: numbers for a dashboard, ready-made views, and what is cleaned up.

use uuid::Uuid;

wire! {
    /// Numbers of a project's inventory. None of them is counted by looking at every certificate.
    pub struct InventoryStatistics {
        /// Certificates in the inventory.
        pub total: u64,
        /// Neither expired nor revoked.
        pub active: u64,
        pub expired: u64,
        pub revoked: u64,
        /// Certificates without a successor that end on a day, for the next 366 days; days without any are left out.
        pub expiring_by_day: Vec<DayCount>,
        /// For the last 90 days.
        pub issued_by_day: Vec<DayCount>,
        /// For the last 90 days.
        pub revoked_by_day: Vec<DayCount>,
        /// The 50 with the most certificates, most first.
        pub by_ca: Vec<NamedCount>,
        /// The 50 with the most certificates, most first.
        pub by_profile: Vec<NamedCount>,
        /// Certificates neither expired nor revoked, by the algorithm of their key, most first.
        pub by_algorithm: Vec<AlgorithmCount>,
        pub views: Vec<View>,
    }

    /// A number for one kind of key.
    pub struct AlgorithmCount {
        /// As `keyAlgorithm` of a search takes it; `null`: kinds of keys that are never made here.
        pub algorithm: Option<String>,
        pub count: u64,
    }

    /// A number for one day, in UTC.
    pub struct DayCount {
        /// `YYYY-MM-DD`.
        pub date: String,
        pub count: u64,
    }

    /// A number for a CA or profile.
    pub struct NamedCount {
        pub id: Uuid,
        /// `null` when it is gone.
        pub name: Option<String>,
        pub count: u64,
    }

    pub struct ViewsAnswer {
        pub views: Vec<View>,
    }

    /// A ready-made question to the inventory: send its name as `view` of a search.
    pub struct View {
        /// `expiring`, `failed-renewal`, `weak-key` or `superseded-active`.
        pub name: String,
        pub description: String,
        /// How many certificates are in it now, exact up to 10000.
        pub count: u64,
        pub count_exact: bool,
    }

    /// A search that somebody keeps.
    pub struct SavedView {
        pub id: Uuid,
        pub name: String,
        /// The conditions as the query string of the inventory's page.
        pub query: String,
        /// Everybody in the project sees it.
        pub shared: bool,
        /// Whether it is the caller's own.
        pub own: bool,
        pub created_at: String,
    }

    pub struct SaveView {
        /// 1 to 100 characters, unique among the caller's.
        pub name: String,
        /// Up to 2000 characters, percent-encoded.
        pub query: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub shared: Option<bool>,
    }

    pub struct SavedViewAnswer {
        pub saved_view: SavedView,
    }

    /// The caller's own and those that others share, by name.
    pub struct SavedViewsAnswer {
        pub saved_views: Vec<SavedView>,
    }

    /// What happened to a certificate, newest first.
    pub struct HistoryAnswer {
        pub history: Vec<HistoryEntry>,
    }

    pub struct HistoryEntry {
        pub time: String,
        /// An event of the audit log.
        pub event: String,
        /// Who did it.
        pub actor: String,
        /// `success`, `denied` or `failure`.
        pub outcome: String,
        #[schema(value_type = Object)]
        pub details: serde_json::Value,
    }

    /// Whether and when ended certificates are removed from the inventory.
    pub struct CleanUpSettings {
        pub enabled: bool,
        /// Days after the end of its validity that a certificate is kept, 1 to 3650.
        pub expired_for_days: u32,
        /// When ended certificates are looked for next; `null` while it is off.
        pub next_run_at: Option<String>,
    }

    pub struct UpdateCleanUp {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub enabled: Option<bool>,
        /// 1 to 3650.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expired_for_days: Option<i64>,
    }
}
