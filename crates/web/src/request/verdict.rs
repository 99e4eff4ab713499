//! What stands beside the form: the CSR as it was read, and what each rule says.

use chancery_authority::enrollment::Offer;
use chancery_authority::issuance::Explanation;
use chancery_authority::{Authority, Error};
use chancery_model::error::Suggestion;
use chancery_pkix::CertificationRequest;

use super::draft::{Draft, Way};
use super::words::{attribute_label, field_label, source_label, value_label};
use crate::error::WebError;
use crate::form::Problems;
use crate::visit::Visit;

#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Of the rules as a whole; `None` while there is nothing to judge.
    pub approved: Option<bool>,
    /// What is wrong with the form itself, so that no rule was asked.
    pub unreadable: Vec<String>,
    pub checks: Vec<CheckRow>,
    /// Every field of the certificate-to-be, with its value and where that came from.
    pub fields: Vec<(String, String, &'static str)>,
    pub warnings: Vec<String>,
    pub csr: Option<CsrView>,
    pub suggestions: Vec<Suggestion>,
}

#[derive(Debug)]
pub(super) struct CheckRow {
    pub passed: bool,
    pub field: String,
    pub value: String,
    pub allowed: String,
    pub source: Option<&'static str>,
    pub suggestion: Option<String>,
}

#[derive(Debug)]
pub(super) struct CsrView {
    pub facts: Vec<(String, String)>,
    pub key: &'static str,
    pub signature: &'static str,
    pub holds_password: bool,
}

impl Verdict {
    /// Asks the core what it would do. Writes nothing down.
    pub async fn of(authority: &Authority, visit: &Visit, offer: &Offer, draft: &Draft) -> Result<Self, WebError> {
        if draft.is_blank(offer) {
            return Ok(Self::default());
        }
        let csr = match draft.way {
            Way::Csr => CertificationRequest::from_pem(&draft.csr).ok(),
            Way::Managed => None,
        };
        let csr = csr.as_ref().map(CsrView::of);
        let mut problems = Problems::default();
        let Some(request) = draft.to_core(offer, &mut problems) else {
            return Ok(Self { csr, ..Self::unread(&problems) });
        };
        match authority.explain(&visit.call, request).await {
            Ok(explanation) => Ok(Self { csr, ..Self::told(explanation) }),
            Err(Error::Malformed { field, message, .. }) => {
                let text = if field.is_empty() { message } else { format!("{}: {message}", field_label(&field)) };
                Ok(Self { approved: Some(false), unreadable: vec![text], csr, ..Self::default() })
            }
            Err(error) => {
                let problems = Problems::from_core(error, &[])?;
                Ok(Self { approved: Some(false), unreadable: problems.whole, csr, ..Self::default() })
            }
        }
    }

    fn unread(problems: &Problems) -> Self {
        let fields = super::words::FIELDS.iter().filter_map(|(_, here, label)| {
            let text = problems.of(here);
            (!text.is_empty()).then(|| format!("{label}: {text}"))
        });
        Self {
            approved: Some(false),
            unreadable: fields.chain(problems.whole.iter().cloned()).collect(),
            ..Self::default()
        }
    }

    fn told(explanation: Explanation) -> Self {
        let suggestions = explanation.rules.iter().filter_map(|it| it.suggestion.clone()).collect();
        let mut checks: Vec<CheckRow> = explanation
            .rules
            .into_iter()
            .map(|it| CheckRow {
                passed: it.passed,
                value: value_label(&it.field, &it.value),
                field: field_label(&it.field),
                allowed: it.allowed,
                source: it.source.map(source_label),
                suggestion: it.suggestion.map(|it| it.text),
            })
            .collect();
        // What needs a hand first.
        checks.sort_by_key(|it| it.passed);
        let fields = explanation.fields.into_iter();
        Self {
            approved: Some(explanation.approved),
            checks,
            fields: fields
                .map(|it| (field_label(&it.field), value_label(&it.field, &it.value), source_label(it.source)))
                .collect(),
            warnings: explanation.warnings.into_iter().map(|it| it.message).collect(),
            suggestions,
            ..Self::default()
        }
    }

    pub fn broken(&self) -> usize {
        self.checks.iter().filter(|it| !it.passed).count()
    }

    /// Whether the form can be mended by the suggestions: a CSR has to be made anew.
    pub fn is_mendable(&self, draft: &Draft) -> bool {
        let named = |it: &Suggestion| draft.way == Way::Managed || matches!(it.field.as_str(), "ttl" | "notAfter");
        !self.suggestions.is_empty() && self.suggestions.iter().all(named)
    }
}

impl CsrView {
    fn of(csr: &CertificationRequest) -> Self {
        let subject = csr.subject().attributes().iter().map(|it| (attribute_label(it.kind), it.value.clone()));
        let names = csr.subject_alt_names().iter().map(|it| (it.kind().label().to_owned(), it.value()));
        let usages = csr.key_usages().into_iter().flat_map(|it| it.iter().collect::<Vec<_>>());
        let usages = usages.map(|it| ("Key usage".to_owned(), it.label().to_owned()));
        let purposes = csr.extended_key_usages().unwrap_or_default().iter();
        let purposes = purposes.map(|it| ("Extended key usage".to_owned(), it.label().to_owned()));
        let others = csr.unknown_extensions().iter().map(|it| ("Other extension".to_owned(), it.to_string()));
        Self {
            facts: subject.chain(names).chain(usages).chain(purposes).chain(others).collect(),
            key: csr.public_key().algorithm().label(),
            signature: csr.signature_algorithm().as_str(),
            holds_password: csr.has_challenge_password(),
        }
    }
}
