//! What a search body asks for, in the store's terms. Unknown words are refused; nothing of it ever becomes SQL text.

use chancery_model::certificate::{
    CertificateFilter, CertificateSort, CertificateSource, CertificateStatus, CertificateView,
};
use chancery_model::page::{PageRequest, SortOrder};
use chancery_model::request::{RequestFilter, RequestStatus};
use chancery_model::{ApplicationId, CaId, ProfileId};
use chancery_pkix::KeyAlgorithm;
use chancery_wire as wire;
use chancery_wire::certificate::SearchCertificates;
use chancery_wire::page::KeyValueCondition;
use chancery_wire::request::SearchRequests;

use crate::error::ApiError;
use crate::issues::Issues;
use crate::page::{Slice, page};

/// Most ids in one condition, and longest search text.
const LIST_MAX: usize = 100;
const TEXT_MAX: usize = 255;

/// `None` when nothing can match.
pub(crate) fn certificates(body: SearchCertificates) -> Result<Option<(CertificateFilter, PageRequest)>, ApiError> {
    let slice = Slice { offset: body.offset, limit: body.limit, cursor: body.cursor.as_deref() };
    let page = page(&slice, 25, PageRequest::LIMIT_MAX)?;
    let mut issues = Issues::default();
    let impossible = is_impossible(&body);
    let key_algorithms = key_algorithms(&body, &mut issues);
    let excludes_all = key_algorithms.as_ref().is_some_and(Vec::is_empty);
    let filter = CertificateFilter {
        search: text("search", body.search, &mut issues),
        common_name: text("commonName", body.common_name, &mut issues),
        friendly_name: text("friendlyName", body.friendly_name, &mut issues),
        statuses: list("status", body.status.as_deref(), CertificateStatus::from_name, &mut issues),
        profile_ids: ids("profileIds", body.profile_ids, ProfileId::from_uuid, &mut issues),
        ca_ids: ids("caIds", body.ca_ids, CaId::from_uuid, &mut issues),
        created_from: issues.date("fromDate", body.from_date.as_deref()),
        created_to: issues.date("toDate", body.to_date.as_deref()),
        not_before_from: issues.date("notBeforeFrom", body.not_before_from.as_deref()),
        not_before_to: issues.date("notBeforeTo", body.not_before_to.as_deref()),
        not_after_from: issues.date("notAfterFrom", body.not_after_from.as_deref()),
        not_after_to: issues.date("notAfterTo", body.not_after_to.as_deref()),
        key_algorithms: key_algorithms.unwrap_or_default(),
        signature_algorithms: list(
            "signatureAlgorithm",
            body.signature_algorithm.as_deref(),
            |it| it.parse().ok(),
            &mut issues,
        ),
        extended_key_usage: body.extended_key_usage.and_then(|it| issues.word("extendedKeyUsage", it.as_str())),
        metadata: metadata(body.metadata, &mut issues),
        source: body.source.as_deref().and_then(CertificateSource::from_name),
        application_id: body.application_id.map(ApplicationId::from_uuid),
        view: body.view.as_deref().filter(|it| !it.is_empty()).and_then(|name| view(name, &mut issues)),
        sort_by: match body.sort_by.as_deref() {
            None | Some("" | "createdAt") => CertificateSort::CreatedAt,
            Some("notAfter") => CertificateSort::NotAfter,
            Some(_) => {
                issues.add_as("sortBy", "invalid_enum_value", "must be createdAt or notAfter");
                CertificateSort::CreatedAt
            }
        },
        sort_order: order(body.sort_order),
        ..CertificateFilter::default()
    };
    issues.finish()?;
    Ok((!impossible && !excludes_all).then_some((filter, page)))
}

fn view(name: &str, issues: &mut Issues) -> Option<CertificateView> {
    let found = CertificateView::from_name(name);
    if found.is_none() {
        let known: Vec<&str> = CertificateView::ALL.iter().map(|it| it.as_str()).collect();
        issues.add_as("view", "invalid_enum_value", format!("must be one of {}", known.join(", ")));
    }
    found
}

/// Conditions that no certificate of this build meets: sources such as `discovered`, and doors that do not exist.
fn is_impossible(body: &SearchCertificates) -> bool {
    let other_source =
        body.source.as_deref().is_some_and(|it| !it.is_empty() && CertificateSource::from_name(it).is_none());
    let other_door =
        body.enrollment_types.as_ref().is_some_and(|it| !it.is_empty() && !it.iter().any(|one| one == "api"));
    other_source || other_door
}

/// The algorithms that both `keyAlgorithm` and `keySizes` allow; absent when neither is given.
fn key_algorithms(body: &SearchCertificates, issues: &mut Issues) -> Option<Vec<KeyAlgorithm>> {
    let named: Vec<KeyAlgorithm> = list("keyAlgorithm", body.key_algorithm.as_deref(), |it| it.parse().ok(), issues);
    let sizes = body.key_sizes.as_deref().unwrap_or_default();
    if named.is_empty() && sizes.is_empty() {
        return None;
    }
    let among = if named.is_empty() { KeyAlgorithm::ALL.to_vec() } else { named };
    Some(among.into_iter().filter(|it| sizes.is_empty() || sizes.contains(&bits(*it))).collect())
}

/// Key size in bits as people name it.
const fn bits(algorithm: KeyAlgorithm) -> u32 {
    match algorithm {
        KeyAlgorithm::Rsa2048 => 2_048,
        KeyAlgorithm::Rsa3072 => 3_072,
        KeyAlgorithm::Rsa4096 => 4_096,
        KeyAlgorithm::EcP256 | KeyAlgorithm::Ed25519 => 256,
        KeyAlgorithm::EcP384 => 384,
        KeyAlgorithm::EcP521 => 521,
        KeyAlgorithm::MlDsa44 => 44,
        KeyAlgorithm::MlDsa65 => 65,
        KeyAlgorithm::MlDsa87 => 87,
    }
}

pub(crate) fn requests(body: SearchRequests) -> Result<(RequestFilter, PageRequest), ApiError> {
    let slice = Slice { offset: body.offset, limit: body.limit, cursor: body.cursor.as_deref() };
    let page = page(&slice, 20, 100)?;
    let mut issues = Issues::default();
    if body.sort_by.as_deref().is_some_and(|it| !matches!(it, "" | "createdAt")) {
        issues.add_as("sortBy", "invalid_enum_value", "must be createdAt");
    }
    let filter = RequestFilter {
        search: text("search", body.search, &mut issues),
        statuses: list("status", body.status.as_deref(), RequestStatus::from_name, &mut issues),
        profile_ids: ids("profileIds", body.profile_ids, ProfileId::from_uuid, &mut issues),
        application_id: body.application_id.map(ApplicationId::from_uuid),
        created_from: issues.date("fromDate", body.from_date.as_deref()),
        created_to: issues.date("toDate", body.to_date.as_deref()),
        metadata: metadata(body.metadata, &mut issues),
        ascending: matches!(order(body.sort_order), SortOrder::Ascending),
    };
    issues.finish()?;
    Ok((filter, page))
}

const fn order(order: Option<wire::words::SortOrder>) -> SortOrder {
    match order {
        Some(wire::words::SortOrder::Ascending) => SortOrder::Ascending,
        _ => SortOrder::Descending,
    }
}

fn text(place: &str, value: Option<String>, issues: &mut Issues) -> Option<String> {
    let value = value.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())?;
    issues.length(place, &value, 1..=TEXT_MAX);
    Some(value)
}

/// Words joined by commas.
fn list<T>(place: &str, joined: Option<&str>, word: impl Fn(&str) -> Option<T>, issues: &mut Issues) -> Vec<T> {
    let words = joined.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    let mut found = Vec::new();
    for text in words.take(LIST_MAX) {
        match word(text) {
            Some(word) => found.push(word),
            None => {
                let shown: String = text.chars().take(64).collect();
                issues.add_as(place, "invalid_enum_value", format!("{shown:?} is not one of the known values"));
            }
        }
    }
    found
}

fn ids<T>(place: &str, given: Option<Vec<uuid::Uuid>>, id: impl Fn(uuid::Uuid) -> T, issues: &mut Issues) -> Vec<T> {
    let given = given.unwrap_or_default();
    issues.count(place, given.len(), LIST_MAX);
    given.into_iter().map(id).collect()
}

fn metadata(given: Option<Vec<KeyValueCondition>>, issues: &mut Issues) -> Vec<(String, Option<String>)> {
    let given = given.unwrap_or_default();
    issues.count("metadata", given.len(), 20);
    for (index, pair) in given.iter().enumerate() {
        issues.length(&format!("metadata[{index}].key"), &pair.key, 1..=255);
        issues.length(&format!("metadata[{index}].value"), pair.value.as_deref().unwrap_or_default(), 0..=1_020);
    }
    given.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(CertificateFilter, PageRequest)>, ApiError> {
        certificates(crate::json::parse(text.as_bytes())?)
    }

    #[test]
    fn unknown_words_and_sort_fields_are_refused() {
        for text in [
            r#"{"sortBy":"serialNumber; DROP TABLE"}"#,
            r#"{"sortOrder":"sideways"}"#,
            r#"{"status":"active,gone"}"#,
            r#"{"keyAlgorithm":"ROT13"}"#,
            r#"{"limit":501}"#,
            r#"{"notAfterTo":"soon"}"#,
            r#"{"profileIds":["x"]}"#,
            r#"{"view":"everything"}"#,
            r#"{"applicationId":"x"}"#,
        ] {
            assert_eq!(read(text).expect_err(text).status(), 422, "{text}");
        }
        assert_eq!(read(r#"{"offset":10001}"#).unwrap_err().status(), 400);
    }

    #[test]
    fn both_spellings_and_comma_lists_are_read() {
        let (filter, page) =
            read(r#"{"status":"active, revoked","keyAlgorithm":"ECDSA-P256,RSA_2048"}"#).unwrap().unwrap();
        assert_eq!(filter.statuses, [CertificateStatus::Active, CertificateStatus::Revoked]);
        assert_eq!(filter.key_algorithms, [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048]);
        assert_eq!(page.limit, 25);
    }

    #[test]
    fn views_sources_and_applications_are_conditions() {
        let (filter, _) = read(r#"{"view":"weak-key","source":"imported","friendlyName":"web"}"#).unwrap().unwrap();
        assert_eq!(filter.view, Some(CertificateView::WeakKey));
        assert_eq!(filter.source, Some(CertificateSource::Imported));
        assert_eq!((filter.friendly_name.as_deref(), filter.common_name), (Some("web"), None));
        assert!(read(r#"{"view":"","source":""}"#).unwrap().unwrap().0.view.is_none());
        let (filter, _) = read(r#"{"applicationId":"00000000-0000-7000-8000-000000000000"}"#).unwrap().unwrap();
        assert!(filter.application_id.is_some());
    }

    #[test]
    fn conditions_that_exclude_each_other_find_nothing() {
        for text in [
            r#"{"source":"discovered"}"#,
            r#"{"enrollmentTypes":["acme"]}"#,
            r#"{"keyAlgorithm":"RSA_2048","keySizes":[4096]}"#,
        ] {
            assert!(read(text).unwrap().is_none(), "{text}");
        }
        assert!(read(r#"{"keySizes":[2048],"source":"issued","enrollmentTypes":["api","acme"]}"#).unwrap().is_some());
    }
}
