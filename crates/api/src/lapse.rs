//! How long what was published about revocation still holds: for probes, and for a metrics collector.

use std::fmt::Write as _;

use chancery_authority::status::{StatusHealth, StatusKind};
use chancery_authority::{Authority, Error};
use chancery_model::Timestamp;
use chancery_model::job::JobLane;

/// The nearest end of all CRLs, and of all OCSP responders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lapses {
    /// Seconds; negative once it has lapsed. Absent while there is none.
    pub crl: Option<i64>,
    pub ocsp: Option<i64>,
    /// One that has lapsed although this server should have made the next in time.
    pub lapsed: Option<StatusHealth>,
}

impl Lapses {
    pub async fn now(authority: &Authority) -> Result<Self, Error> {
        Ok(Self::of(&authority.status_health().await?, authority.now()))
    }

    /// What is not made yet cannot lapse: it comes within a second of its CA.
    fn of(health: &[StatusHealth], now: Timestamp) -> Self {
        let mut lapses = Self::default();
        for one in health {
            let Some(at) = one.lapses_at else { continue };
            let seconds = at.as_seconds() - now.as_seconds();
            let nearest = match one.kind {
                StatusKind::Crl => &mut lapses.crl,
                StatusKind::OcspResponder => &mut lapses.ocsp,
            };
            *nearest = Some(nearest.map_or(seconds, |before| before.min(seconds)));
            if seconds < 0 {
                lapses.lapsed = lapses.lapsed.or(Some(*one));
            }
        }
        lapses
    }

    /// Why the server is not ready, in words for everybody.
    pub fn reason(&self) -> Option<String> {
        let lapsed = self.lapsed?;
        let at = lapsed.lapses_at.map(|at| at.to_string()).unwrap_or_default();
        Some(match lapsed.kind {
            StatusKind::Crl => {
                format!("The CRL {} ended at {at} and no newer one could be made; see the server's log", lapsed.object)
            }
            StatusKind::OcspResponder => format!(
                "The OCSP responder of CA {} ended at {at} and no newer one could be made; see the server's log",
                lapsed.ca_id
            ),
        })
    }
}

/// Gauges and counters of CRLs, OCSP and jobs. What the store cannot say just now is left out: no number is better than a
/// wrong one.
pub(crate) async fn measure(authority: &Authority, text: &mut String) {
    // Writing to a String cannot fail.
    let mut gauge = |name: &str, help: &str, value: Option<i64>| {
        if let Some(value) = value {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
    };
    let lapses = Lapses::now(authority).await.unwrap_or_default();
    gauge("chancery_crl_lapse_seconds", "Until the first CRL would lapse; negative when one has.", lapses.crl);
    gauge(
        "chancery_ocsp_lapse_seconds",
        "Until the first OCSP responder certificate would lapse; negative when one has.",
        lapses.ocsp,
    );
    gauge("chancery_jobs_due", "Jobs that wait to be done, counted up to 10000.", jobs_due(authority).await);

    let jobs = authority.job_counters();
    let answers = authority.ocsp_counters();
    counters(
        text,
        ("chancery_jobs_total", "outcome", "Jobs run by this node since the start."),
        &[("done", jobs.done), ("failed", jobs.failed)],
    );
    counters(
        text,
        (
            "chancery_ocsp_answers_total",
            "status",
            "OCSP answers since the start, a certificate each; refused: requests without an answer about any.",
        ),
        &[
            ("good", answers.good),
            ("revoked", answers.revoked),
            ("unknown", answers.unknown),
            ("refused", answers.refused),
        ],
    );
}

/// One counter with a label; `name` is its name, the label, and its help.
fn counters(text: &mut String, (name, label, help): (&str, &str, &str), values: &[(&str, u64)]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (value, count) in values {
        let _ = writeln!(text, "{name}{{{label}=\"{value}\"}} {count}");
    }
}

const JOBS_MAX: u32 = 10_000;

async fn jobs_due(authority: &Authority) -> Option<i64> {
    let mut due = 0;
    for lane in JobLane::ALL {
        due += authority.reader().due_jobs(authority.now(), *lane, JOBS_MAX).await.ok()?.len();
    }
    i64::try_from(due).ok().map(|due| due.min(i64::from(JOBS_MAX)))
}

#[cfg(test)]
mod tests {
    use chancery_model::CaId;
    use uuid::Uuid;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn health(kind: StatusKind, lapses_in: Option<i64>) -> StatusHealth {
        let lapses_at = lapses_in.map(|seconds| Timestamp::from_seconds(NOW + seconds));
        StatusHealth { kind, ca_id: CaId::from_uuid(Uuid::from_u128(7)), object: Uuid::from_u128(9), lapses_at }
    }

    fn of(health: &[StatusHealth]) -> Lapses {
        Lapses::of(health, Timestamp::from_seconds(NOW))
    }

    #[test]
    fn the_nearest_end_of_each_kind_counts() {
        use StatusKind::{Crl, OcspResponder};
        let lapses = of(&[
            health(Crl, Some(50)),
            health(OcspResponder, Some(9)),
            health(Crl, Some(40)),
            health(Crl, None),
            health(OcspResponder, Some(10)),
        ]);
        assert_eq!((lapses.crl, lapses.ocsp, lapses.reason()), (Some(40), Some(9), None));
        assert_eq!(of(&[]), Lapses::default());
        assert_eq!(of(&[health(Crl, Some(0))]).reason(), None, "the last second still holds");
    }

    #[test]
    fn what_has_lapsed_is_named() {
        let crl = of(&[health(StatusKind::Crl, Some(-1))]);
        assert_eq!(crl.crl, Some(-1));
        assert!(crl.reason().unwrap().contains("CRL 00000000-0000-0000-0000-000000000009"), "{crl:?}");
        let responder = of(&[health(StatusKind::Crl, Some(5)), health(StatusKind::OcspResponder, Some(-3_600))]);
        assert!(responder.reason().unwrap().contains("CA 00000000-0000-0000-0000-000000000007"), "{responder:?}");
    }
}
