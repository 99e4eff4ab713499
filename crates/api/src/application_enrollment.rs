//! How an application enrols with a profile. Of the methods only the API exists in this build: the others are always off,
//! cannot be switched on, and say so.

use axum::Json;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::application::ApiSettings;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, ProfileId, profile};
use chancery_wire::application::{
    ApiEnrollment, ApiEnrollmentAnswer, ApplicationProfilePair, ConfigureApiEnrollment, EnrollmentAnswer,
};
use http::StatusCode;

use crate::application::{BASE, pair};
use crate::error::ApiError;
use crate::extract::{Answer, Body, Caller, Ids};
use crate::issues::Issues;
use crate::profile::renew_at;
use crate::profile_answer::{self, duration};
use crate::route::Endpoint;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{ApplicationManage, ApplicationRead};
    let base = format!("{BASE}/{{applicationId}}/profiles/{{profileId}}/enrollment");
    let mut all = vec![
        Endpoint::get(&base, ApplicationRead, read)
            .named("readApplicationEnrollment", "How an application enrols with a profile")
            .answers::<EnrollmentAnswer>(),
        Endpoint::put(format!("{base}/api"), ApplicationManage, configure)
            .named("configureApplicationApiEnrollment", "Switch enrolment by the API on, or change its settings")
            .takes::<ConfigureApiEnrollment>()
            .answers::<ApiEnrollmentAnswer>(),
        Endpoint::delete(format!("{base}/api"), ApplicationManage, stop)
            .named("stopApplicationApiEnrollment", "Switch enrolment by the API off")
            .answers::<ApplicationProfilePair>(),
        Endpoint::post(format!("{base}/acme/eab/reveal"), ApplicationManage, no_eab)
            .named("revealApplicationAcmeEab", "ACME does not exist in this build; answers 404")
            .reads_only(),
        Endpoint::post(format!("{base}/acme/eab/rotate"), ApplicationManage, no_eab)
            .named("rotateApplicationAcmeEab", "ACME does not exist in this build; answers 404")
            .reads_only(),
    ];
    for (method, name) in [("est", "Est"), ("acme", "Acme"), ("scep", "Scep")] {
        all.push(
            Endpoint::put(
                format!("{base}/{method}"),
                ApplicationManage,
                move |state: State<Authority>, caller: Caller, ids: Ids<ApplicationId, ProfileId>| {
                    not_in_this_build(method, state, caller, ids)
                },
            )
            .named(format!("configureApplication{name}Enrollment"), "Not in this build; answers 400")
            .reads_only(),
        );
        all.push(
            Endpoint::delete(format!("{base}/{method}"), ApplicationManage, is_off)
                .named(format!("stopApplication{name}Enrollment"), "Fine: the method is always off in this build")
                .answers::<ApplicationProfilePair>()
                .reads_only(),
        );
    }
    all
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> Answer<EnrollmentAnswer> {
    let attached = authority.attached_profile(&call, id, profile).await?;
    let issuer = authority.reader().profile(call.project_id(), profile).await?.and_then(|it| it.issuer.ca_id());
    Ok(Json(EnrollmentAnswer {
        application_id: id.as_uuid(),
        profile_id: profile.as_uuid(),
        api: attached.api.as_ref().map(shown),
        est: None,
        acme: None,
        scep: None,
        ra_ca_signing_supported: false,
        ca_type: issuer.map(|_| "internal".to_owned()),
        est_configured: false,
        acme_configured: false,
        scep_configured: false,
    }))
}

async fn configure(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
    Body(body): Body<ConfigureApiEnrollment>,
) -> Answer<ApiEnrollmentAnswer> {
    let api = authority.configure_api_enrollment(&call, (id, profile), settings(body)?).await?;
    Ok(Json(ApiEnrollmentAnswer { application_id: id.as_uuid(), profile_id: profile.as_uuid(), api: shown(&api) }))
}

fn settings(body: ConfigureApiEnrollment) -> Result<ApiSettings, ApiError> {
    let mut issues = Issues::default();
    issues.range("renewBeforeDays", body.renew_before_days.unwrap_or(1), 1..=30);
    let settings = ApiSettings {
        auto_renew: body.auto_renew,
        renew_before_days: body.renew_before_days.and_then(|days| u32::try_from(days).ok()),
        renew_at: body.renew_at.and_then(|at| renew_at("renewAt", at, &mut issues)),
        renew_jitter: issues.ttl("renewJitter", body.renew_jitter.as_deref()),
        revoke_superseded_after: issues.ttl("revokeSupersededAfter", body.revoke_superseded_after.as_deref()),
    };
    issues.finish()?;
    Ok(settings)
}

async fn stop(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> Answer<ApplicationProfilePair> {
    authority.stop_api_enrollment(&call, (id, profile)).await?;
    Ok(pair(id, profile))
}

/// Refused, never stored and ignored.
async fn not_in_this_build(
    method: &'static str,
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> ApiError {
    match authority.attached_profile(&call, id, profile).await {
        Ok(_) => ApiError::bad_request(
            "application.enrollment_method",
            format!(
                "Enrolment by \"{method}\" does not exist in this build; use \"api\" (PUT …/enrollment/api), and remove the {method} settings from the request"
            ),
        ),
        Err(error) => error.into(),
    }
}

async fn is_off(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> Answer<ApplicationProfilePair> {
    authority.attached_profile(&call, id, profile).await?;
    Ok(pair(id, profile))
}

async fn no_eab(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Ids(id, profile): Ids<ApplicationId, ProfileId>,
) -> ApiError {
    match authority.attached_profile(&call, id, profile).await {
        Ok(_) => {
            let message = "ACME is off for this profile in the application: that method does not exist in this build";
            ApiError::new(StatusCode::NOT_FOUND, "NotFound", "application.acme_off", message)
        }
        Err(error) => error.into(),
    }
}

fn shown(api: &profile::ApiEnrollment) -> ApiEnrollment {
    ApiEnrollment {
        id: api.id.as_uuid(),
        auto_renew: api.auto_renew,
        renew_before_days: api.renew_before_days,
        renew_at: profile_answer::renew_at(api.renew_at),
        renew_jitter: api.renew_jitter.map(duration),
        revoke_superseded_after: api.revoke_superseded_after.map(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_for_their_shape() {
        let check = |text: &str, good: bool| {
            let read = crate::json::parse::<ConfigureApiEnrollment>(text.as_bytes()).and_then(settings);
            assert_eq!(read.is_ok(), good, "{text}");
        };
        check(r#"{"autoRenew":false}"#, true);
        check(r#"{"autoRenew":true,"renewBeforeDays":30}"#, true);
        check(r#"{"autoRenew":true,"renewBeforeDays":null}"#, true);
        check(r#"{"autoRenew":true,"renewAt":{"fraction":0.5},"renewJitter":"1h","revokeSupersededAfter":"2d"}"#, true);
        check(r#"{"renewBeforeDays":5}"#, false);
        check(r#"{"autoRenew":true,"renewBeforeDays":0}"#, false);
        check(r#"{"autoRenew":true,"renewBeforeDays":31}"#, false);
        check(r#"{"autoRenew":true,"renewAt":{}}"#, false);
        check(r#"{"autoRenew":true,"renewJitter":"soon"}"#, false);
    }
}
