//! What all lists share.

wire! {
    /// One metadata pair.
    pub struct KeyValue {
        /// 1 to 255 characters.
        pub key: String,
        /// Up to 1020 characters.
        #[serde(default)]
        pub value: String,
    }

    /// A condition on metadata: the key must be there, and have this value if one is given.
    pub struct KeyValueCondition {
        pub key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub value: Option<String>,
    }
}

query! {
    /// Which slice of a list is wanted.
    pub struct PageQuery {
        /// Rows to skip, 0 to 10000. Beyond that use `cursor`.
        pub offset: Option<i64>,
        /// Rows wanted.
        pub limit: Option<i64>,
        /// `nextCursor` of an earlier page; wins over `offset`.
        pub cursor: Option<String>,
        /// Part of the name.
        pub search: Option<String>,
        /// The caller's project; may be left out.
        pub project_id: Option<String>,
    }

    /// A project that older clients name in every call.
    pub struct ProjectQuery {
        pub project_id: Option<String>,
    }
}
