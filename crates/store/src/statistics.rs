//! Figures about the inventory that are kept while it changes, so that no question has to count certificates.
//!
//! Each is a number by kind and UTC day. Certificates whose validity is still of interest stand under the day of their
//! end: in [`Kind::Ending`], or in [`Kind::SupersededEnding`] once they have a successor; what is revoked or deleted stands
//! in neither. Issuances and revocations stand under the day they happened, and stay.

use chancery_model::certificate::{Certificate, CertificateSource};
use chancery_model::{CertificateId, ProjectId, Timestamp};

use crate::statement::{Statement, params};

pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Neither revoked nor superseded nor deleted, by the day of the end.
    Ending = 1,
    /// Certificates made here, by the day they were recorded.
    Issued = 2,
    /// Revocations, a hold among them, by the day of revocation.
    Revoked = 3,
    /// Superseded, not revoked, not deleted, by the day of the end.
    SupersededEnding = 4,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Figure {
    pub project: ProjectId,
    pub kind: Kind,
    /// Days since 1970, cut as SQL cuts them: towards zero.
    pub day: i64,
}

pub(crate) const fn day_of(time: Timestamp) -> i64 {
    time.as_millis() / MILLIS_PER_DAY
}

/// What a certificate adds when it comes into the inventory.
pub(crate) fn inserted(it: &Certificate) -> impl Iterator<Item = (Figure, i64)> {
    let project = it.project_id;
    let ending = if it.renewal.renewed_by.is_none() { Kind::Ending } else { Kind::SupersededEnding };
    let figures = [
        (it.revocation.is_none(), ending, it.not_after),
        (it.source == CertificateSource::Issued, Kind::Issued, it.created_at),
        (it.revocation.is_some(), Kind::Revoked, it.revocation.map_or(it.created_at, |revocation| revocation.at)),
    ];
    figures
        .into_iter()
        .filter(|(counts, ..)| *counts)
        .map(move |(_, kind, time)| (Figure { project, kind, day: day_of(time) }, 1))
}

/// The figures of a group, added to this node's own rows.
pub(crate) fn add(figure: Figure, change: i64, node: &str) -> Statement {
    Statement::new(
        "INSERT INTO statistic (project_id, kind, bucket, node, value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value",
        params![figure.project, figure.kind as i64, figure.day, node.to_owned(), change],
    )
    .bulk(
        "INSERT INTO statistic (project_id, kind, bucket, node, value) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[]) \
         ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value",
    )
}

/// A change of figures that only the certificate's own row knows the days of. `$moved` gives a kind and a value each.
macro_rules! move_figures {
    ($kind:literal, $time:literal, $moved:literal, $project:literal, $condition:literal) => {
        concat!(
            "INSERT INTO statistic (project_id, kind, bucket, node, value) SELECT p.id, ",
            $kind,
            ", (",
            $time,
            ") / 86400000, $2, moved.value FROM certificate c JOIN project p ON p.number = ",
            $project,
            " JOIN (",
            $moved,
            ") AS moved ON true WHERE c.id = $1",
            $condition,
            " ON CONFLICT (project_id, kind, bucket, node) DO UPDATE SET value = statistic.value + excluded.value"
        )
    };
}

/// After the certificate got its successor.
pub(crate) fn superseded(id: CertificateId, node: &str) -> Statement {
    Statement::new(
        move_figures!(
            "moved.kind",
            "c.not_after",
            "SELECT 1 AS kind, -1 AS value UNION ALL SELECT 4, 1",
            "c.project",
            ""
        ),
        params![id, node.to_owned()],
    )
}

/// After the certificate was revoked.
pub(crate) fn revoked(id: CertificateId, node: &str) -> Statement {
    Statement::new(
        move_figures!(
            "CASE WHEN moved.kind = 3 THEN 3 WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "CASE WHEN moved.kind = 3 THEN c.revoked_at ELSE c.not_after END",
            "SELECT 1 AS kind, -1 AS value UNION ALL SELECT 3, 1",
            "c.project",
            ""
        ),
        params![id, node.to_owned()],
    )
}

/// After the certificate's hold was taken back.
pub(crate) fn released(id: CertificateId, node: &str) -> Statement {
    Statement::new(
        move_figures!(
            "CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "c.not_after",
            "SELECT 1 AS value",
            "c.project",
            ""
        ),
        params![id, node.to_owned()],
    )
}

/// After the certificate was moved out of its project.
pub(crate) fn deleted(id: CertificateId, node: &str) -> Statement {
    Statement::new(
        move_figures!(
            "CASE WHEN c.renewed_by IS NULL THEN 1 ELSE 4 END",
            "c.not_after",
            "SELECT -1 AS value",
            "-c.project",
            " AND c.revoked_at IS NULL"
        ),
        params![id, node.to_owned()],
    )
}
