//! What the server will renew, and what it should have renewed and did not; and renewing what a search finds.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::renewal::{BulkRenewal, OverdueRenewal};
use chancery_model::Timestamp;
use chancery_model::permission::Permission;
use chancery_wire as wire;
use chancery_wire::renewal::{BulkRenew, BulkRenewAnswer, ForecastAnswer, ForecastDay, ForecastQuery, LeftOut};
use chancery_wire::revocation::BulkFailure;

use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Query};
use crate::issues::Issues;
use crate::page::{Slice, page};
use crate::route::Endpoint;
use crate::search;

const DAYS_MAX: i64 = 366;
const DAYS_USUAL: u32 = 90;
const OVERDUE_MAX: u32 = 100;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/cert-manager/renewals/forecast", Permission::CertificateRead, forecast)
            .named("forecastRenewals", "Renewals to come by day, and renewals that should have come about and did not")
            .asks::<ForecastQuery>()
            .answers::<ForecastAnswer>(),
        Endpoint::post("/api/v1/cert-manager/certificates/bulk-renew", Permission::CertificateRenew, bulk)
            .named("bulkRenewCertificates", "Renew what a search finds: first a preview, then with its token")
            .takes::<BulkRenew>()
            .answers::<BulkRenewAnswer>(),
    ]
}

async fn bulk(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<BulkRenew>,
) -> Answer<BulkRenewAnswer> {
    let Some((filter, _)) = search::certificates(body.search)? else {
        let nothing = Some(0);
        return Ok(Json(BulkRenewAnswer { matching: nothing, renewable: nothing, ..BulkRenewAnswer::default() }));
    };
    let wanted = BulkRenewal { filter };
    let Some(confirm) = body.confirm.filter(|token| !token.is_empty()) else {
        let preview = authority.preview_bulk_renewal(&call, &wanted).await?;
        let left_out = preview.left_out.into_iter().map(|(reason, count)| LeftOut { reason, count }).collect();
        return Ok(Json(BulkRenewAnswer {
            matching: Some(preview.matching),
            renewable: Some(preview.renewable),
            left_out: Some(left_out),
            confirm: Some(preview.confirm),
            has_more: Some(preview.has_more),
            ..BulkRenewAnswer::default()
        }));
    };
    let done = authority.bulk_renew(&call, &wanted, &confirm).await?;
    let failed = done.failed.into_iter().map(|(id, error)| BulkFailure { id: id.as_uuid(), error }).collect();
    Ok(Json(BulkRenewAnswer {
        renewed: Some(done.renewed),
        pending: Some(done.pending),
        failed: Some(failed),
        has_more: Some(done.has_more),
        ..BulkRenewAnswer::default()
    }))
}

async fn forecast(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ForecastQuery>,
) -> Answer<ForecastAnswer> {
    let days = days(query.days)?;
    let slice = Slice { offset: None, limit: query.limit, cursor: query.cursor.as_deref() };
    let page = page(&slice, OVERDUE_MAX, OVERDUE_MAX)?;
    let found = authority.renewal_forecast(&call, days, &page).await?;
    Ok(Json(ForecastAnswer {
        days: found.days.iter().map(|(day, due)| ForecastDay { date: date(*day), due: *due }).collect(),
        overdue: found.overdue.iter().map(overdue).collect(),
        overdue_count: found.total.count,
        next_cursor: found.next_cursor,
    }))
}

fn days(asked: Option<i64>) -> Result<u32, ApiError> {
    let mut issues = Issues::default();
    let days = asked.unwrap_or_else(|| i64::from(DAYS_USUAL));
    issues.range("days", days, 1..=DAYS_MAX);
    issues.finish()?;
    Ok(u32::try_from(days).unwrap_or(DAYS_USUAL))
}

/// The day alone, of a time that is midnight.
fn date(day: Timestamp) -> String {
    let mut text = day.to_string();
    text.truncate("2026-01-02".len());
    text
}

fn overdue(from: &OverdueRenewal) -> wire::renewal::OverdueRenewal {
    let certificate = &from.certificate;
    wire::renewal::OverdueRenewal {
        certificate_id: certificate.id.as_uuid(),
        common_name: certificate.description.common_name().unwrap_or_default().to_owned(),
        not_after: certificate.not_after.to_string(),
        due_at: from.due_at.to_string(),
        renewal_error: certificate.renewal.error.clone(),
        attempts: from.attempts,
        next_try: from.next_try.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_is_of_one_day_to_a_leap_year() {
        let check = |asked: Option<i64>, expected: Option<u32>| assert_eq!(days(asked).ok(), expected, "{asked:?}");
        check(None, Some(90));
        check(Some(1), Some(1));
        check(Some(366), Some(366));
        for outside in [0, -1, 367, i64::MAX, i64::MIN] {
            check(Some(outside), None);
        }
    }

    #[test]
    fn a_day_is_shown_without_its_time() {
        assert_eq!(date(Timestamp::from_seconds(1_768_435_200)), "2026-01-15");
    }
}
