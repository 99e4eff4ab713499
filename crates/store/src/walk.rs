//! Pages of the two big tables: a walk along an index, bounded in how many rows one call looks at.
//!
//! A walk has a *scope*, which an index answers, and a *rest*, which each row must be asked for. With a rest, a call looks
//! at no more than [`WINDOW`] rows of the scope; where it stops, the cursor goes on. So every call is bounded and every
//! row is found. Where a search has already collected all candidates (at most [`WINDOW`]), the walk goes over their
//! numbers and needs no bound.

use chancery_model::ProjectId;
use chancery_model::page::{Page, PageRequest, Total};

use crate::StoreError;
use crate::page::{Cursor, Sql, bounds, total_of};
use crate::reader::{Dialect, Reader};
use crate::statement::{Row, Value};

/// Rows that one call looks at, at most; also the most candidates that a search collects.
pub(crate) const WINDOW: i64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ordering {
    /// By row number, which grows with the time of creation.
    Created,
    /// By end of validity, then row number.
    End,
}

pub(crate) struct Walk {
    pub table: &'static str,
    pub alias: &'static str,
    /// `SELECT … FROM table alias WHERE `; the first column is the row number.
    pub select: &'static str,
    pub project: ProjectId,
    pub scope: Sql,
    /// Empty, or conditions that each start with ` AND `.
    pub rest: Sql,
    pub ordering: Ordering,
    pub ascending: bool,
    /// All candidates, if they are known.
    pub numbers: Option<Vec<i64>>,
}

impl Walk {
    fn list(&self) -> String {
        let order = if self.ordering == Ordering::End { "end" } else { "created" };
        format!("{}/{order}/{}", self.table, self.ascending)
    }

    /// The columns of the order, joined by `joint`.
    fn keys(&self, joint: &str) -> String {
        let alias = self.alias;
        match self.ordering {
            Ordering::Created => format!("{alias}.n{joint}"),
            Ordering::End => format!("{alias}.not_after{joint}, {alias}.n{joint}"),
        }
    }

    fn order(&self) -> String {
        format!(" ORDER BY {}", self.keys(if self.ascending { " ASC" } else { " DESC" }))
    }

    /// Adds "the row lies beyond the place", or before it.
    fn place(&self, sql: &mut Sql, beyond: bool, place: &Cursor) {
        let comparison = if beyond == self.ascending { " > (" } else { " < (" };
        sql.push(" AND (");
        sql.push(&self.keys(""));
        sql.push(")");
        sql.push(comparison);
        if self.ordering == Ordering::End {
            sql.bind(place.first);
            sql.push(", ");
        }
        sql.bind(place.second);
        sql.push(")");
    }

    /// The first key alone, at the place: what lies beyond it need not be looked at. It goes before all other conditions,
    /// because of several bounds an index takes the first.
    fn bound(&self, sql: &mut Sql, beyond: bool, place: &Cursor) {
        let (column, value) = match self.ordering {
            Ordering::Created => ("n", place.second),
            Ordering::End => ("not_after", place.first),
        };
        let comparison = if beyond == self.ascending { ">=" } else { "<=" };
        sql.push(&format!("{}.{column} {comparison} ", self.alias));
        sql.bind(value);
        sql.push(" AND ");
    }

    /// Scope and candidates, from a place on.
    fn within(&self, dialect: Dialect, start: Option<&Cursor>) -> Sql {
        let mut sql = Sql::default();
        if let Some(start) = start {
            self.bound(&mut sql, true, start);
        }
        sql.append(&self.scope);
        if let Some(numbers) = &self.numbers {
            sql.push(" AND ");
            sql.push(self.alias);
            sql.push(".n");
            dialect.is_among(&mut sql, numbers);
        }
        if let Some(start) = start {
            self.place(&mut sql, true, start);
        }
        sql
    }

    /// The rows' own conditions, up to the end of the window.
    fn with_rest(&self, within: &Sql, floor: Option<&Cursor>) -> Sql {
        let mut sql = Sql::default();
        if let Some(floor) = floor {
            self.bound(&mut sql, false, floor);
        }
        sql.append(within);
        if let Some(floor) = floor {
            self.place(&mut sql, false, floor);
        }
        sql.append(&self.rest);
        sql
    }

    /// The place from which the walk goes on with the floor itself.
    const fn just_before(&self, floor: &Cursor) -> Cursor {
        Cursor::number(floor.first, if self.ascending { floor.second - 1 } else { floor.second + 1 })
    }

    /// The page's rows. With candidates, two steps: their order is settled on narrow rows before wide ones are read. The sign
    /// keeps the order's index out of the first, which would walk all rows for the sake of some.
    fn page_sql(&self, condition: &Sql, limit: i64, offset: i64) -> Sql {
        let mut sql = Sql::default();
        sql.push(self.select);
        let (table, alias) = (self.table, self.alias);
        if self.numbers.is_some() {
            sql.push(&format!("{alias}.project = (SELECT number FROM project WHERE id = "));
            sql.bind(self.project);
            sql.push(&format!(") AND {alias}.n IN (SELECT {alias}.n FROM {table} {alias} WHERE "));
        }
        sql.append(condition);
        let order = self.order();
        sql.push(&if self.numbers.is_some() {
            order.replace(&format!("{alias}."), &format!("+{alias}."))
        } else {
            order.clone()
        });
        sql.push(" LIMIT ");
        sql.bind(limit + 1);
        sql.push(" OFFSET ");
        sql.bind(offset);
        if self.numbers.is_some() {
            sql.push(")");
            sql.push(&order);
        }
        sql
    }
}

impl Reader {
    /// `from_row` gives the row number with the record, `end` the record's end of validity where the order needs it.
    pub(crate) async fn walk<T>(
        &self,
        walk: Walk,
        page: &PageRequest,
        total: Option<Total>,
        from_row: fn(Row) -> Result<(i64, T), StoreError>,
        end: fn(&T) -> i64,
    ) -> Result<Page<T>, StoreError> {
        let list = walk.list();
        let (offset, limit) = bounds(page);
        let start = page.cursor.as_deref().map(|text| Cursor::decode(text, &list, walk.project)).transpose()?;
        if walk.numbers.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Page { items: Vec::new(), total: Total { count: 0, exact: true }, next_cursor: None });
        }
        let within = walk.within(self.dialect(), start.as_ref());
        let floor = self.floor(&walk, &within).await?;
        let condition = walk.with_rest(&within, floor.as_ref());
        let rows = self.rows(walk.page_sql(&condition, limit, offset).into_query(walk.table)).await?;
        let mut items = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        let page_length = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > page_length;
        items.truncate(page_length);
        let next = if more {
            items.last().map(|(number, last)| Cursor::number(end(last), *number))
        } else {
            floor.as_ref().map(|floor| walk.just_before(floor))
        };
        let total = match total {
            Some(total) => total,
            // Without a cursor the page's own window is the first, so its condition is the one to count.
            None if start.is_none() => self.count(&walk, condition, floor.is_none()).await?,
            None => {
                let within = walk.within(self.dialect(), None);
                let floor = self.floor(&walk, &within).await?;
                let condition = walk.with_rest(&within, floor.as_ref());
                self.count(&walk, condition, floor.is_none()).await?
            }
        };
        let next_cursor = next.map(|place| place.encode(&list, walk.project));
        Ok(Page { items: items.into_iter().map(|(_, item)| item).collect(), total, next_cursor })
    }

    /// The place of the first row beyond the window, if there is one and the walk needs a window.
    async fn floor(&self, walk: &Walk, within: &Sql) -> Result<Option<Cursor>, StoreError> {
        if walk.rest.is_empty() || walk.numbers.is_some() {
            return Ok(None);
        }
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM {} {} WHERE ", walk.keys(""), walk.table, walk.alias));
        sql.append(within);
        sql.push(&walk.order());
        sql.push(" LIMIT 1 OFFSET ");
        sql.bind(WINDOW);
        let Some(mut row) = self.row(sql.into_query(walk.table)).await? else { return Ok(None) };
        let first = if walk.ordering == Ordering::End { row.int("not_after")? } else { 0 };
        Ok(Some(Cursor::number(first, row.int("n")?)))
    }

    async fn count(&self, walk: &Walk, condition: Sql, complete: bool) -> Result<Total, StoreError> {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} {} WHERE ", walk.table, walk.alias));
        sql.append(&condition);
        if walk.numbers.is_none() {
            // Along the same index as the page: another may hold all that is asked, and have to be read to its end.
            sql.push(&walk.order());
        }
        sql.push(" LIMIT 10001) counted");
        Ok(total_of(self.number(sql.into_query(walk.table)).await?, complete))
    }
}

/// Adds "the column is one of the values"; nothing if there are none.
pub(crate) fn any_of(sql: &mut Sql, column: &str, values: impl Iterator<Item = Value>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    sql.push(" AND ");
    sql.push(column);
    sql.push(" IN (");
    for (index, value) in values.enumerate() {
        if index > 0 {
            sql.push(", ");
        }
        sql.bind(value);
    }
    sql.push(")");
}

/// Adds "the pairs contain this key, and value if one is given". The stored text is compact JSON, where an unescaped
/// quotation mark occurs only around a whole string, so that a part of the text is a pair exactly when it looks like one.
pub(crate) fn with_metadata(sql: &mut Sql, column: &str, wanted: &[(String, Option<String>)]) {
    for (key, value) in wanted {
        let key = serde_json::Value::from(key.as_str());
        let needle = match value {
            Some(value) => format!("[{key},{}]", serde_json::Value::from(value.as_str())),
            None => format!("[{key},"),
        };
        sql.push(" AND REPLACE(COALESCE(");
        sql.push(column);
        sql.push(", ''), ");
        sql.bind(needle);
        sql.push(", '') <> COALESCE(");
        sql.push(column);
        sql.push(", '')");
    }
}
