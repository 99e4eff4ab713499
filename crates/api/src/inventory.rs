//! The inventory as a whole: numbers for a dashboard, ready-made views, clean-up; and the older routes that name a
//! certificate by its serial number.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chancery_authority::inventory::{CleanUpPatch, CleanUpPolicy};
use chancery_authority::{Authority, Call};
use chancery_model::certificate::{Certificate, CertificateFilter, CertificateView};
use chancery_model::page::{PageRequest, Total};
use chancery_model::permission::Permission;
use chancery_model::{CaId, ProfileId, Timestamp};
use chancery_wire::certificate::{CertificateAnswer, CertificateBundle, CertificatePem};
use chancery_wire::inventory::{
    AlgorithmCount, CleanUpSettings, DayCount, InventoryStatistics, NamedCount, UpdateCleanUp, View, ViewsAnswer,
};

use crate::certificate::{bundle, private_key, with_chain};
use crate::certificate_answer::{detailed, shown};
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, PathText};
use crate::issues::Issues;
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CertificateRead, ProjectEdit, ProjectRead};
    let mut all = vec![
        Endpoint::get("/api/v1/cert-manager/certificates/statistics", CertificateRead, statistics)
            .named("readInventoryStatistics", "Numbers of the inventory for a dashboard")
            .answers::<InventoryStatistics>(),
        Endpoint::get("/api/v1/cert-manager/certificates/views", CertificateRead, views)
            .named("listInventoryViews", "The ready-made views of the inventory and how much is in each")
            .answers::<ViewsAnswer>(),
        Endpoint::get("/api/v1/cert-manager/settings/clean-up", ProjectRead, clean_up)
            .named("readCleanUpSettings", "Whether and when ended certificates are removed")
            .answers::<CleanUpSettings>(),
        Endpoint::patch("/api/v1/cert-manager/settings/clean-up", ProjectEdit, update_clean_up)
            .named("updateCleanUpSettings", "Change whether and when ended certificates are removed")
            .takes::<UpdateCleanUp>()
            .answers::<CleanUpSettings>(),
    ];
    all.extend(by_serial_number());
    all
}

fn by_serial_number() -> Vec<Endpoint> {
    use Permission::{CertificateDelete, CertificateRead, CertificateReadPrivateKey};
    let path = |rest: &str| format!("/api/v1/pki/certificates/{{serialNumber}}{rest}");
    let routes = [
        Endpoint::get(path(""), CertificateRead, read)
            .named("readCertificateBySerialNumber", "Read a certificate by its serial number (older form)")
            .answers::<CertificateAnswer>(),
        Endpoint::delete(path(""), CertificateDelete, delete)
            .named("deleteCertificateBySerialNumber", "Take a certificate out of the inventory (older form)")
            .answers::<CertificateAnswer>(),
        Endpoint::get(path("/certificate"), CertificateRead, read_pem)
            .named("readCertificatePemBySerialNumber", "A certificate and its chain (older form)")
            .answers::<CertificatePem>(),
        Endpoint::get(path("/bundle"), CertificateRead, read_bundle)
            .named("readCertificateBundleBySerialNumber", "A certificate, its chain, and its key (older form)")
            .answers::<CertificateBundle>(),
        Endpoint::get(path("/private-key"), CertificateReadPrivateKey, read_private_key)
            .named("readCertificatePrivateKeyBySerialNumber", "The private key of a certificate (older form)")
            .answers_with("text/plain"),
    ];
    routes.into_iter().map(Endpoint::deprecated).collect()
}

async fn statistics(State(authority): State<Authority>, Caller(call): Caller) -> Answer<InventoryStatistics> {
    let found = authority.reader().statistics(call.project_id(), authority.now()).await?;
    Ok(Json(InventoryStatistics {
        total: found.total,
        active: found.active,
        expired: found.expired,
        revoked: found.revoked,
        expiring_by_day: days(&found.expiring_by_day),
        issued_by_day: days(&found.issued_by_day),
        revoked_by_day: days(&found.revoked_by_day),
        by_ca: cas(&authority, &call, &found.by_ca).await?,
        by_profile: profiles(&authority, &call, &found.by_profile).await?,
        by_algorithm: found
            .by_algorithm
            .iter()
            .map(|(algorithm, count)| AlgorithmCount { algorithm: algorithm.map(|it| it.to_string()), count: *count })
            .collect(),
        views: found.views.iter().map(|(view, total)| shown_view(*view, *total)).collect(),
    }))
}

fn days(counts: &[(i64, u64)]) -> Vec<DayCount> {
    counts.iter().map(|(day, count)| DayCount { date: date(*day), count: *count }).collect()
}

/// The day with this number, counted from 1970-01-01.
fn date(day: i64) -> String {
    Timestamp::from_seconds(day.saturating_mul(86_400))
        .to_string()
        .chars()
        .take_while(|letter| *letter != 'T')
        .collect()
}

async fn cas(authority: &Authority, call: &Call, counts: &[(CaId, u64)]) -> Result<Vec<NamedCount>, ApiError> {
    let mut named = Vec::with_capacity(counts.len());
    for (id, count) in counts {
        let ca = authority.reader().ca_summary(call.project_id(), *id).await?;
        named.push(NamedCount { id: id.as_uuid(), name: ca.map(|it| it.name), count: *count });
    }
    Ok(named)
}

async fn profiles(
    authority: &Authority,
    call: &Call,
    counts: &[(ProfileId, u64)],
) -> Result<Vec<NamedCount>, ApiError> {
    let mut named = Vec::with_capacity(counts.len());
    for (id, count) in counts {
        let profile = authority.reader().profile(call.project_id(), *id).await?;
        named.push(NamedCount { id: id.as_uuid(), name: profile.map(|it| it.slug), count: *count });
    }
    Ok(named)
}

async fn views(State(authority): State<Authority>, Caller(call): Caller) -> Answer<ViewsAnswer> {
    Ok(Json(ViewsAnswer { views: all_views(&authority, &call).await? }))
}

async fn all_views(authority: &Authority, call: &Call) -> Result<Vec<View>, ApiError> {
    let mut all = Vec::with_capacity(CertificateView::ALL.len());
    for view in CertificateView::ALL {
        all.push(shown_view(*view, size(authority, call, *view).await?));
    }
    Ok(all)
}

/// Counted as a search counts, so that both always agree.
async fn size(authority: &Authority, call: &Call, view: CertificateView) -> Result<Total, ApiError> {
    let filter = CertificateFilter { view: Some(view), ..CertificateFilter::default() };
    let page = PageRequest { offset: 0, limit: 1, cursor: None };
    Ok(authority.reader().certificates(call.project_id(), &filter, authority.now(), &page).await?.total)
}

fn shown_view(view: CertificateView, total: Total) -> View {
    View {
        name: view.as_str().to_owned(),
        description: description(view).to_owned(),
        count: total.count,
        count_exact: total.exact,
    }
}

const fn description(view: CertificateView) -> &'static str {
    match view {
        CertificateView::Expiring => "Active, ending within 30 days, and not renewed yet",
        CertificateView::FailedRenewal => "The last renewal did not succeed; the reason stands on the certificate",
        CertificateView::WeakKey => {
            "In force with a key or signature that is too weak today, such as RSA below 2048 bits or SHA-1, or of an \
             unknown kind"
        }
        CertificateView::SupersededActive => "Renewed, and still neither expired nor revoked",
    }
}

async fn clean_up(State(authority): State<Authority>, Caller(call): Caller) -> Answer<CleanUpSettings> {
    Ok(Json(settings(authority.clean_up_policy(&call).await?)))
}

async fn update_clean_up(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<UpdateCleanUp>,
) -> Answer<CleanUpSettings> {
    let mut issues = Issues::default();
    issues.range("expiredForDays", body.expired_for_days.unwrap_or(1), 1..=3_650);
    issues.finish()?;
    let patch = CleanUpPatch {
        enabled: body.enabled,
        expired_for_days: body.expired_for_days.and_then(|days| u32::try_from(days).ok()),
    };
    Ok(Json(settings(authority.set_clean_up_policy(&call, patch).await?)))
}

fn settings((policy, next): (CleanUpPolicy, Option<Timestamp>)) -> CleanUpSettings {
    CleanUpSettings {
        enabled: policy.enabled,
        expired_for_days: policy.expired_for_days,
        next_run_at: next.map(|time| time.to_string()),
    }
}

/// Of several issuers' certificates with this number, the newest.
async fn numbered(authority: &Authority, call: &Call, serial_number: &str) -> Result<Certificate, ApiError> {
    let found = authority.reader().certificate_by_serial(call.project_id(), serial_number).await?;
    found.ok_or_else(|| {
        let shown: String = serial_number.chars().take(64).collect();
        ApiError::not_found("Certificate", shown)
    })
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(serial_number): PathText,
) -> Answer<CertificateAnswer> {
    let certificate = numbered(&authority, &call, &serial_number).await?;
    Ok(Json(CertificateAnswer { certificate: detailed(&authority, &call, &certificate).await? }))
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(serial_number): PathText,
) -> Answer<CertificateAnswer> {
    let id = numbered(&authority, &call, &serial_number).await?.id;
    let certificate = authority.delete_certificate(&call, id).await?;
    Ok(Json(CertificateAnswer { certificate: shown(&certificate, authority.now()) }))
}

async fn read_pem(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(serial_number): PathText,
) -> Answer<CertificatePem> {
    let certificate = numbered(&authority, &call, &serial_number).await?;
    Ok(Json(with_chain(&authority, &certificate).await?))
}

async fn read_bundle(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(serial_number): PathText,
) -> Answer<CertificateBundle> {
    let certificate = numbered(&authority, &call, &serial_number).await?;
    Ok(Json(bundle(&authority, &call, &certificate).await?))
}

async fn read_private_key(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(serial_number): PathText,
) -> Result<Response, ApiError> {
    let certificate = numbered(&authority, &call, &serial_number).await?;
    private_key(&authority, &call, &certificate).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, expected) in [(0, "1970-01-01"), (20_468, "2026-01-15"), (-1, "1969-12-31")] {
            assert_eq!(date(day), expected);
        }
    }
}
