//! Which slice of a list a caller asked for.

use chancery_model::page::PageRequest;

use crate::error::ApiError;
use crate::issues::Issues;

/// The slice, as sent.
pub(crate) struct Slice<'a> {
    pub offset: Option<i64>,
    pub limit: Option<i64>,
    pub cursor: Option<&'a str>,
}

/// `limit` outside 1 to `most` is 422; an offset beyond 10 000 is 400 and names the cursor.
pub(crate) fn page(slice: &Slice<'_>, default: u32, most: u32) -> Result<PageRequest, ApiError> {
    let mut issues = Issues::default();
    let limit = slice.limit.unwrap_or_else(|| i64::from(default));
    let offset = slice.offset.unwrap_or(0);
    issues.range("limit", limit, 1..=i64::from(most));
    issues.range("offset", offset, 0..=i64::MAX);
    issues.finish()?;
    if offset > i64::from(PageRequest::OFFSET_MAX) {
        return Err(ApiError::bad_request(
            "page.offset",
            format!(
                "offset may be at most {}; to read further send `cursor` with the `nextCursor` of the page before",
                PageRequest::OFFSET_MAX
            ),
        ));
    }
    Ok(PageRequest {
        offset: u32::try_from(offset).unwrap_or(0),
        limit: u32::try_from(limit).unwrap_or(default),
        cursor: slice.cursor.filter(|cursor| !cursor.is_empty()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_offsets_are_bounded() {
        let check = |offset: Option<i64>, limit: Option<i64>, status: u16| {
            let answer = page(&Slice { offset, limit, cursor: None }, 20, 100);
            assert_eq!(answer.map_or_else(|error| error.status().as_u16(), |_| 200), status, "{offset:?} {limit:?}");
        };
        check(None, None, 200);
        check(Some(10_000), Some(100), 200);
        check(Some(10_001), Some(1), 400);
        check(Some(-1), None, 422);
        check(None, Some(0), 422);
        check(None, Some(101), 422);
        check(None, Some(1_000_000_000), 422);
        check(None, Some(-1), 422);
    }
}
