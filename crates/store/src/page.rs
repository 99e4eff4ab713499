//! Paging: cursors, text built piece by piece, and the list that suits small tables.

use chancery_model::page::{Page, PageRequest, Total};
use chancery_model::{ProjectId, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::StoreError;
use crate::reader::Reader;
use crate::statement::{Query, Row, Value};

/// SQL text under construction. Outside text only ever becomes a parameter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub text: String,
    pub params: Vec<Value>,
}

impl Sql {
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a place for a value.
    pub fn bind(&mut self, value: impl Into<Value>) {
        self.params.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.params.len().to_string());
    }

    /// Appends another piece, whose places are numbered on.
    pub fn append(&mut self, other: &Self) {
        let mut rest = other.text.as_str();
        for value in &other.params {
            // Pieces bind their values in the order of their places, each once.
            let Some((before, after)) = rest.split_once('$') else { break };
            self.text.push_str(before);
            self.bind(value.clone());
            rest = after.trim_start_matches(|it: char| it.is_ascii_digit());
        }
        self.text.push_str(rest);
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn into_query(self, table: &'static str) -> Query {
        Query::new(table, self.text, self.params)
    }
}

/// A `LIKE` pattern (with `ESCAPE '\'`) for text that contains `needle`, in lower case.
pub(crate) fn containing(needle: &str) -> String {
    format!("%{}%", escaped(&needle.to_lowercase()))
}

/// `needle` for a `LIKE` pattern, matching itself only.
pub(crate) fn escaped(needle: &str) -> String {
    let mut pattern = String::with_capacity(needle.len() + 2);
    for letter in needle.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The place after a row: the values of the columns that the list is ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub first: i64,
    pub second: i64,
    pub text: String,
}

/// Lists give out cursors as hex with a checksum over the list's name and project, so that one that was changed, or
/// belongs elsewhere, is noticed. A cursor holds no secret and gives no right: a forged one is only another place.
impl Cursor {
    pub const fn number(first: i64, second: i64) -> Self {
        Self { first, second, text: String::new() }
    }

    pub fn encode(&self, list: &str, project: ProjectId) -> String {
        let payload = self.payload();
        let mut bytes = checksum(list, project, &payload).to_vec();
        bytes.extend_from_slice(&payload);
        hex::encode(bytes)
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = self.first.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.second.to_be_bytes());
        payload.extend_from_slice(self.text.as_bytes());
        payload
    }

    pub fn decode(text: &str, list: &str, project: ProjectId) -> Result<Self, StoreError> {
        if text.len() > 512 {
            return Err(StoreError::BadCursor);
        }
        Self::decode_bytes(&hex::decode(text).map_err(|_| StoreError::BadCursor)?, list, project)
            .ok_or(StoreError::BadCursor)
    }

    fn decode_bytes(bytes: &[u8], list: &str, project: ProjectId) -> Option<Self> {
        let (sum, payload) = bytes.split_first_chunk::<6>()?;
        if *sum != checksum(list, project, payload) {
            return None;
        }
        let (first, rest) = payload.split_first_chunk::<8>()?;
        let (second, text) = rest.split_first_chunk::<8>()?;
        let text = String::from_utf8(text.to_vec()).ok()?;
        Some(Self { first: i64::from_be_bytes(*first), second: i64::from_be_bytes(*second), text })
    }
}

fn checksum(list: &str, project: ProjectId, payload: &[u8]) -> [u8; 6] {
    let digest = Sha256::new()
        .chain_update(b"chancery page cursor\0")
        .chain_update(list)
        .chain_update([0])
        .chain_update(project.as_bytes())
        .chain_update(payload)
        .finalize();
    let mut sum = [0; 6];
    sum.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    sum
}

/// How many rows a page has to skip and to hold, within the bounds of the model.
pub(crate) fn bounds(page: &PageRequest) -> (i64, i64) {
    let offset = if page.cursor.is_some() { 0 } else { page.offset.min(PageRequest::OFFSET_MAX) };
    (i64::from(offset), i64::from(page.limit.clamp(1, PageRequest::LIMIT_MAX)))
}

/// A count of at most one more than [`Total::COUNT_MAX`].
pub(crate) fn total_of(count: i64, complete: bool) -> Total {
    let count = u64::try_from(count).unwrap_or(0);
    Total { count: count.min(Total::COUNT_MAX), exact: complete && count <= Total::COUNT_MAX }
}

/// A list over a table of at most some thousands of rows, newest first, counted by a scan.
pub(crate) struct SmallList {
    table: &'static str,
    select: &'static str,
    project: ProjectId,
    pub condition: Sql,
}

impl SmallList {
    pub fn new(table: &'static str, select: &'static str, project: ProjectId) -> Self {
        Self { table, select, project, condition: Sql::default() }
    }

    /// Adds "one of the columns contains the text".
    pub fn search(&mut self, search: Option<&str>, columns: &[&'static str]) {
        let Some(search) = search.filter(|it| !it.is_empty()) else { return };
        for (index, column) in columns.iter().enumerate() {
            self.condition.push(if index == 0 { " AND (LOWER(COALESCE(" } else { " OR LOWER(COALESCE(" });
            self.condition.push(column);
            self.condition.push(", '')) LIKE ");
            self.condition.bind(containing(search));
            self.condition.push(" ESCAPE '\\'");
        }
        self.condition.push(")");
    }
}

impl Reader {
    pub(crate) async fn small_page<T>(
        &self,
        list: SmallList,
        page: &PageRequest,
        from_row: fn(Row) -> Result<T, StoreError>,
        key: fn(&T) -> (Timestamp, Uuid),
    ) -> Result<Page<T>, StoreError> {
        let (offset, limit) = bounds(page);
        let mut sql = Sql::default();
        sql.push(list.select);
        sql.push(" WHERE ");
        sql.append(&list.condition);
        if let Some(cursor) = &page.cursor {
            let cursor = Cursor::decode(cursor, list.table, list.project)?;
            sql.push(" AND (created_at, id) < (");
            sql.bind(cursor.first);
            sql.push(", ");
            sql.bind(Uuid::parse_str(&cursor.text).map_err(|_| StoreError::BadCursor)?);
            sql.push(")");
        }
        sql.push(" ORDER BY created_at DESC, id DESC LIMIT ");
        sql.bind(limit + 1);
        sql.push(" OFFSET ");
        sql.bind(offset);
        let rows = self.rows(sql.into_query(list.table)).await?;
        let mut items = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let page_length = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > page_length;
        items.truncate(page_length);
        let next_cursor = items.last().filter(|_| more).map(|last| {
            let (created_at, id) = key(last);
            Cursor { first: created_at.as_millis(), second: 0, text: id.to_string() }.encode(list.table, list.project)
        });
        let total = self.small_total(&list).await?;
        Ok(Page { items, total, next_cursor })
    }

    async fn small_total(&self, list: &SmallList) -> Result<Total, StoreError> {
        let mut sql = Sql::default();
        sql.push("SELECT COUNT(*) FROM (SELECT 1 FROM ");
        sql.push(list.table);
        sql.push(" WHERE ");
        sql.append(&list.condition);
        sql.push(" LIMIT 10001) counted");
        Ok(total_of(self.number(sql.into_query(list.table)).await?, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_changed_ones_do_not() {
        let project = ProjectId::from_uuid(Uuid::from_u128(7));
        let cursor = Cursor { first: -3, second: i64::MAX, text: "node-1".to_owned() };
        let text = cursor.encode("audit", project);
        assert_eq!(Cursor::decode(&text, "audit", project), Ok(cursor));
        let other = ProjectId::from_uuid(Uuid::from_u128(8));
        assert_eq!(Cursor::decode(&text, "audit", other), Err(StoreError::BadCursor));
        assert_eq!(Cursor::decode(&text, "profiles", project), Err(StoreError::BadCursor));
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(Cursor::decode(&changed, "audit", project), Err(StoreError::BadCursor), "{index}");
        }
        for wrong in ["", "zz", "00", &"0".repeat(600)] {
            assert_eq!(Cursor::decode(wrong, "audit", project), Err(StoreError::BadCursor), "{wrong}");
        }
    }

    #[test]
    fn appended_pieces_are_numbered_on() {
        let mut piece = Sql::default();
        piece.push("a = ");
        piece.bind(1_i64);
        piece.push(" AND b = ");
        piece.bind(2_i64);
        let mut whole = Sql::default();
        whole.push("x = ");
        whole.bind(0_i64);
        whole.push(" AND ");
        whole.append(&piece);
        assert_eq!(whole.text, "x = $1 AND a = $2 AND b = $3");
        assert_eq!(whole.params, vec![Value::Int(0), Value::Int(1), Value::Int(2)]);
    }

    #[test]
    fn patterns_match_their_letters_only() {
        assert_eq!(containing("50%_A\\"), "%50\\%\\_a\\\\%");
    }
}
