//! When the server is due to renew: seconds precision, an absolute lead or a fraction of the life, with jitter so that
//! certificates made together are not renewed together.

use chancery_model::certificate::{Certificate, RenewalState};
use chancery_model::profile::{ApiEnrollment, RenewAt};
use chancery_model::time::Ttl;
use chancery_model::{Randomness, Timestamp};

const DAY_SECONDS: i64 = 86_400;
/// Of the life that is left at the issue, at least this part is used before the renewal: a lead as long as the life would
/// otherwise renew again and again without end.
const EARLIEST_PART: i64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub renew_before_days: Option<u32>,
    pub due_at: Timestamp,
}

/// The plan for a certificate that can be renewed: what was set on its predecessor, else what its application or profile
/// says (`api`). `None`: never by itself.
pub(crate) fn planned(
    certificate: &Certificate,
    predecessor: Option<&RenewalState>,
    api: Option<&ApiEnrollment>,
    random: &dyn Randomness,
) -> Option<Plan> {
    let own = predecessor.and_then(|old| old.settings).unwrap_or_default();
    if own.switched_off {
        return None;
    }
    if let Some(days) = predecessor.and_then(|old| old.renew_before_days) {
        return Some(before_days(certificate, days));
    }
    if let Some(rule) = own.renew_at {
        let jitter = own.renew_jitter.or(api.and_then(|it| it.renew_jitter));
        return Some(Plan { renew_before_days: None, due_at: at(certificate, rule, jitter, random) });
    }
    let api = api.filter(|it| it.auto_renew)?;
    Some(match api.renew_before_days {
        Some(days) => before_days(certificate, days),
        None => Plan { renew_before_days: None, due_at: at(certificate, api.renew_at, api.renew_jitter, random) },
    })
}

/// Days before the end; a lead as long as the life becomes one day less than it, and where that leaves nothing either, the
/// usual part of the life.
pub(crate) fn before_days(certificate: &Certificate, days: u32) -> Plan {
    let days = effective_days(certificate.ttl, days);
    let lead = i64::from(days) * DAY_SECONDS;
    let lead = if lead < certificate.ttl { lead } else { lead_of(certificate, RenewAt::default()) };
    let due_at = end(certificate).plus_seconds(-lead);
    Plan { renew_before_days: Some(days), due_at: due_at.max(earliest(certificate)) }
}

/// The due time of a rule: earlier by a random part of the jitter (absent: 5 % of what is left by then), never right after
/// the issue nor after the end.
pub(crate) fn at(certificate: &Certificate, rule: RenewAt, jitter: Option<Ttl>, random: &dyn Randomness) -> Timestamp {
    let lead = lead_of(certificate, rule);
    let jitter = jitter.map_or(lead / 20, Ttl::as_seconds).max(0);
    let mut entropy = [0u8; 8];
    random.fill(&mut entropy);
    let shift = i64::try_from(u64::from_le_bytes(entropy) % (jitter.unsigned_abs() + 1)).unwrap_or(0);
    end(certificate).plus_seconds(-lead - shift).max(earliest(certificate))
}

/// Seconds before the end.
fn lead_of(certificate: &Certificate, rule: RenewAt) -> i64 {
    let fraction = |permille: i64| certificate.ttl - certificate.ttl * permille / 1000;
    match rule {
        RenewAt::Permille(permille) => fraction(i64::from(permille)),
        RenewAt::Before(lead) if lead.as_seconds() < certificate.ttl => lead.as_seconds(),
        RenewAt::Before(_) => lead_of(certificate, RenewAt::default()),
    }
}

/// The contract's threshold: `max(1, days − 1)` when the lead is not shorter than the life in whole days.
fn effective_days(ttl_seconds: i64, days: u32) -> u32 {
    let life = u32::try_from((ttl_seconds + DAY_SECONDS - 1) / DAY_SECONDS).unwrap_or(u32::MAX);
    if days >= life { life.saturating_sub(1).max(1) } else { days }
}

const fn end(certificate: &Certificate) -> Timestamp {
    certificate.not_after.plus_seconds(1)
}

const fn earliest(certificate: &Certificate) -> Timestamp {
    let life = end(certificate).as_seconds() - certificate.created_at.as_seconds();
    certificate.created_at.plus_seconds(life / EARLIEST_PART)
}

#[cfg(test)]
pub(super) mod tests {
    use chancery_model::certificate::{CertificateDescription, CertificateSource, RenewalSettings};
    use chancery_model::identity::ActorId;
    use chancery_model::profile::EnrollmentType;
    use chancery_model::random::SeededRandomness;
    use chancery_model::{CertificateId, EnrollmentConfigId, ProjectId, RequestId};
    use uuid::Uuid;

    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// A certificate issued at `START` for so many seconds.
    pub fn lasting(ttl: i64) -> Certificate {
        Certificate {
            id: CertificateId::from_uuid(Uuid::nil()),
            project_id: ProjectId::from_uuid(Uuid::nil()),
            request_id: RequestId::from_uuid(Uuid::nil()),
            profile_id: None,
            template_id: None,
            template_version: 1,
            ca_id: None,
            ca_certificate_id: None,
            application_id: None,
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Issued,
            friendly_name: None,
            requester: ActorId::System,
            serial_number: "01".to_owned(),
            der: Vec::new(),
            fingerprint_sha256: [0; 32],
            not_before: START,
            not_after: START.plus_seconds(ttl - 1),
            ttl,
            description: CertificateDescription {
                subject: Vec::new(),
                sans: Vec::new(),
                key_usages: Vec::new(),
                extended_key_usages: Vec::new(),
                key_algorithm: None,
                signature_algorithm: None,
                is_ca: false,
                path_length: None,
                from_csr: false,
                foreign: None,
            },
            key_id: None,
            crl_partition: 0,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: Vec::new(),
            created_at: START,
            updated_at: START,
        }
    }

    fn ttl(seconds: i64) -> Ttl {
        Ttl::from_seconds(seconds).unwrap()
    }

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3_600;
    const DAY: i64 = DAY_SECONDS;

    /// Seconds from the issue to the due time.
    fn after(due_at: Timestamp) -> i64 {
        due_at.as_seconds() - START.as_seconds()
    }

    #[test]
    fn days_before_the_end_fit_every_life() {
        for (life, days, kept, expected) in [
            (90 * DAY, 30, 30, 60 * DAY),
            (30 * DAY, 30, 29, DAY * 3), // a day is left, and a tenth of the life is used at least
            (10 * DAY, 9, 9, DAY),
            (2 * DAY, 30, 1, DAY),
            (DAY, 1, 1, DAY * 67 / 100),
            (2 * HOUR, 30, 1, 2 * HOUR * 67 / 100),
            (5 * MINUTE, 1, 1, 201),
        ] {
            let plan = before_days(&lasting(life), days);
            assert_eq!((plan.renew_before_days, after(plan.due_at)), (Some(kept), expected), "{life} s, {days} days");
        }
    }

    #[test]
    fn a_point_of_the_life_is_met_to_the_second_without_jitter() {
        // One second of jitter is the least that can be asked for; the earlier of the two due times is always possible.
        let random = SeededRandomness::new(1);
        for (life, rule, expected) in [
            (100 * DAY, RenewAt::Permille(670), 67 * DAY),
            (100, RenewAt::Permille(670), 67),
            (2 * MINUTE, RenewAt::Permille(950), 114),
            (90 * DAY, RenewAt::Before(ttl(30 * DAY)), 60 * DAY),
            (10 * MINUTE, RenewAt::Before(ttl(MINUTE)), 9 * MINUTE),
            // As long as the life or longer: the usual point, not at once and again and again.
            (10 * MINUTE, RenewAt::Before(ttl(10 * MINUTE)), 402),
            (10 * MINUTE, RenewAt::Before(ttl(DAY)), 402),
            (100 * MINUTE, RenewAt::Before(ttl(99 * MINUTE)), 10 * MINUTE),
        ] {
            let due = after(at(&lasting(life), rule, Some(ttl(1)), &random));
            assert!(due == expected || due == expected - 1, "{life} s, {rule:?}: {due}");
        }
    }

    #[test]
    fn jitter_spreads_the_due_times_and_keeps_its_bounds() {
        let random = SeededRandomness::new(2);
        for (life, jitter, most) in [
            (100 * DAY, None, 33 * DAY / 20),
            (100 * DAY, Some(HOUR), HOUR),
            (10 * MINUTE, None, 9),
            (10 * MINUTE, Some(30), 30),
        ] {
            let certificate = lasting(life);
            let latest = life - (life - life * 670 / 1000);
            let due: Vec<i64> =
                (0..500).map(|_| after(at(&certificate, RenewAt::default(), jitter.map(ttl), &random))).collect();
            let (earliest, last) = (due.iter().min().unwrap(), due.iter().max().unwrap());
            assert!(latest - most <= *earliest && *last <= latest, "{life} {jitter:?}: {earliest} to {last}");
            assert!(last - earliest > most / 2, "{life} {jitter:?}: {earliest} to {last} is hardly spread");
        }
        // A jitter beyond the life does not lead to renewals without end.
        let short = lasting(10 * MINUTE);
        for _ in 0..100 {
            assert!(after(at(&short, RenewAt::default(), Some(ttl(30 * DAY)), &random)) >= MINUTE);
        }
    }

    fn api(auto_renew: bool, days: Option<u32>) -> ApiEnrollment {
        ApiEnrollment {
            id: EnrollmentConfigId::from_uuid(Uuid::nil()),
            auto_renew,
            renew_before_days: days,
            renew_at: RenewAt::Permille(500),
            renew_jitter: Some(ttl(1)),
            revoke_superseded_after: None,
        }
    }

    fn old(days: Option<u32>, settings: RenewalSettings, due: bool) -> RenewalState {
        RenewalState {
            renew_before_days: days,
            due_at: due.then_some(START),
            settings: (settings != RenewalSettings::default()).then_some(settings),
            ..RenewalState::default()
        }
    }

    #[test]
    fn what_was_set_on_the_predecessor_wins_over_application_and_profile() {
        let none = RenewalSettings::default();
        let own_point = RenewalSettings { renew_at: Some(RenewAt::Permille(900)), renew_jitter: Some(ttl(1)), ..none };
        let off = RenewalSettings { switched_off: true, ..none };
        let (on, in_days, inactive) = (api(true, None), api(true, Some(10)), api(false, Some(10)));
        let check = |label: &str, predecessor: Option<RenewalState>, api: Option<&ApiEnrollment>, day: Option<i64>| {
            let plan = planned(&lasting(100 * DAY), predecessor.as_ref(), api, &SeededRandomness::new(3));
            let found = plan.map(|it| (after(it.due_at) + 1) / DAY);
            assert_eq!(found, day, "{label}");
        };
        check("nothing", None, None, None);
        check("not switched on", None, Some(&inactive), None);
        check("the profile's point", None, Some(&on), Some(50));
        check("the profile's days", None, Some(&in_days), Some(90));
        check("own days", Some(old(Some(30), none, true)), Some(&on), Some(70));
        check("own days, profile off", Some(old(Some(30), none, true)), Some(&inactive), Some(70));
        check("own point", Some(old(None, own_point, true)), Some(&in_days), Some(90));
        check("own point, profile off", Some(old(None, own_point, true)), None, Some(90));
        check("switched off", Some(old(None, off, false)), Some(&on), None);
        // A due time that is gone by the time the predecessor is read is no switch.
        check("due time cleared", Some(old(None, none, false)), Some(&on), Some(50));
        check("own days, due time cleared", Some(old(Some(30), none, false)), Some(&on), Some(70));
    }
}
