//! Rehearsal: what rules that are not in force yet would have said to the requests of the last days.
//!
//! Every granted request kept its resolved enrolment. It is read back, what it had left open is filled in as these rules
//! would, and the one judge of real requests judges it. Only the template is rehearsed: what an issuer says against a
//! request does not change with it. Nothing is written down.

use std::collections::VecDeque;

use chancery_model::permission::Permission;
use chancery_model::profile::ProfileIssuer;
use chancery_model::template::TemplateRules;
use chancery_model::{ProfileId, RequestId, TemplateId, Timestamp, Violation};
use chancery_store::PastRequest;
use tokio::sync::Semaphore;

use super::{Detail, Template, problems_error};
use crate::enrollment::{Past, refill, reread};
use crate::{Authority, Call, Error};

/// Requests that one rehearsal looks at.
const EXAMINED_MAX: u64 = 10_000;
/// Refusals that it tells in full.
const LISTED_MAX: usize = 500;
/// Requests that are read at once. Between two reads other calls have their turn.
const READ_MAX: u32 = 250;
const DAYS_MAX: u32 = 3_650;
/// Few at a time: each reads thousands of documents, and issuance wants the processors as well.
static TURNS: Semaphore = Semaphore::const_new(2);

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Rehearsal {
    /// Judged requests, at most 10 000, the newest.
    pub examined: u64,
    /// Requests among the newest whose document could not be read back; nobody knows about these.
    pub unreadable: u64,
    /// There are older requests in the time asked for, which were not looked at.
    pub truncated: bool,
    pub refused_total: u64,
    /// The newest 500.
    pub refused: Vec<RehearsedRefusal>,
}

/// A request that was granted and would not be.
#[derive(Clone, Debug)]
pub struct RehearsedRefusal {
    pub request_id: RequestId,
    pub common_name: Option<String>,
    pub created_at: Timestamp,
    pub profile_id: ProfileId,
    pub violations: Vec<Violation>,
}

/// One line of requests, newest first, read piece by piece.
struct Line {
    profile: Option<ProfileId>,
    read: VecDeque<PastRequest>,
    /// Where to read on; none at the end.
    before: Option<i64>,
}

impl Authority {
    /// Judges the granted requests of the last `days` days (1 to 3 650) by rules that are not saved: those of the profiles
    /// that use `template`, or without one those of every profile of the project.
    pub async fn rehearse_template(
        &self,
        call: &Call,
        rules: &TemplateRules,
        template: Option<TemplateId>,
        days: u32,
    ) -> Result<Rehearsal, Error> {
        call.requester.require(Permission::TemplateRead)?;
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(Error::malformed("rehearsal.days", "days", format!("must be between 1 and {DAYS_MAX}")));
        }
        let compiled = Template::compile(rules).map_err(problems_error)?;
        let _turn = TURNS.acquire().await.map_err(Error::internal)?;
        let since = self.now().plus_seconds(-i64::from(days) * 86_400);
        let mut lines = self.lines(call, template).await?;
        let mut rehearsal = Rehearsal::default();
        while let Some(request) = self.newest(call, &mut lines, since).await? {
            if rehearsal.examined + rehearsal.unreadable >= EXAMINED_MAX {
                rehearsal.truncated = true;
                break;
            }
            rehearsal.judge(call, &compiled, &request);
        }
        Ok(rehearsal)
    }

    /// Where the requests are found.
    async fn lines(&self, call: &Call, template: Option<TemplateId>) -> Result<Vec<Line>, Error> {
        let line = |profile| Line { profile, read: VecDeque::new(), before: Some(i64::MAX) };
        let Some(id) = template else { return Ok(vec![line(None)]) };
        let project = call.project_id();
        if self.reader().template(project, id).await?.is_none() {
            return Err(Error::not_found("Certificate policy", id));
        }
        let profiles = self.reader().profiles_by_template(project, id).await?;
        Ok(profiles.into_iter().map(Some).map(line).collect())
    }

    /// Takes the newest request of all lines.
    async fn newest(&self, call: &Call, lines: &mut [Line], since: Timestamp) -> Result<Option<PastRequest>, Error> {
        // Many lines share what is read ahead.
        let share = u32::try_from(lines.len().max(1)).unwrap_or(u32::MAX);
        let limit = (READ_MAX / share).max(10);
        for line in lines.iter_mut() {
            while line.read.is_empty()
                && let Some(before) = line.before
            {
                let found =
                    self.reader().issued_requests(call.project_id(), line.profile, (since, before), limit).await?;
                line.read.extend(found.0);
                line.before = found.1;
            }
        }
        let next = lines.iter_mut().max_by_key(|line| line.read.front().map(|it| it.place));
        Ok(next.and_then(|line| line.read.pop_front()))
    }
}

impl Rehearsal {
    fn judge(&mut self, call: &Call, rules: &Template, request: &PastRequest) {
        let past = Past {
            project_id: call.project_id(),
            profile_id: request.profile_id,
            issuer: request.ca_id.map_or(ProfileIssuer::SelfSigned, ProfileIssuer::Ca),
            description: &request.description,
            csr: None,
        };
        let Some(mut enrollment) = reread(&request.document, &past) else {
            self.unreadable += 1;
            return;
        };
        self.examined += 1;
        refill(rules, &mut enrollment);
        if rules.passes(&enrollment) {
            return;
        }
        self.refused_total += 1;
        if self.refused.len() < LISTED_MAX {
            // The key of the CSR matters for what is suggested, and costs more than all the rest.
            let with_key = Past { csr: request.csr.as_deref(), ..past };
            if let Some(same) = reread(&request.document, &with_key) {
                enrollment.key = same.key;
            }
            self.refused.push(RehearsedRefusal {
                request_id: request.id,
                common_name: request.common_name.clone(),
                created_at: request.created_at,
                profile_id: request.profile_id,
                violations: rules.evaluate(&enrollment, Detail::Violations).violations(),
            });
        }
    }
}
