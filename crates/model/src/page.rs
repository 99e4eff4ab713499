//! Paging: keyset inside, with the offset that older clients send kept as an option.

/// Where a list starts and how much of it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows to skip, 0 to 10 000. Larger offsets are refused at the door, which names the cursor.
    pub offset: u32,
    /// Rows wanted, 1 to 500.
    pub limit: u32,
    /// Opaque position after the last row of an earlier page; wins over `offset`.
    pub cursor: Option<String>,
}

impl PageRequest {
    pub const OFFSET_MAX: u32 = 10_000;
    pub const LIMIT_MAX: u32 = 500;
}

/// A slice of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub total: Total,
    /// Absent on the last page.
    pub next_cursor: Option<String>,
}

/// How many rows match: exact from counters or up to 10 000, beyond that a lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    pub count: u64,
    pub exact: bool,
}

impl Total {
    pub const COUNT_MAX: u64 = 10_000;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    Ascending,
    #[default]
    Descending,
}
