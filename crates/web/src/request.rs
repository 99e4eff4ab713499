//! Requesting a certificate: choose a profile, fill in what its template leaves open, see what every rule says meanwhile.

pub(crate) mod command;
mod draft;
mod verdict;
pub(crate) mod words;

use askama::Template;
use axum::extract::State;
use chancery_authority::Authority;
use chancery_authority::enrollment::Offer;
use chancery_authority::issuance::{Issuance, Issued, Zeroizing};
use chancery_authority::template::TextChoice;
use chancery_model::ProfileId;
use chancery_model::application::Application;
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use chancery_model::profile::KeyCustody;
use chancery_model::template::RuleState;
use chancery_model::time::Ttl;
use chancery_pkix::{AttributeType, KeyAlgorithm, pem};
use http::StatusCode;

use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Id, Query, Visit};
use draft::{Draft, Way};
use verdict::Verdict;

/// Profiles on one page.
const OFFERS_MAX: u32 = 48;

pub(crate) fn pages() -> Vec<Page> {
    use Permission::CertificateIssue;
    vec![
        Page::get("/ui/request", CertificateIssue, choose),
        Page::get("/ui/request/{id}", CertificateIssue, fill_in),
        Page::post("/ui/request/{id}", CertificateIssue, send),
        Page::post("/ui/request/{id}/check", CertificateIssue, check),
    ]
}

#[derive(Template)]
#[template(path = "request/choose.html")]
struct ChoosePage {
    frame: Frame,
    offers: Vec<Offer>,
    search: String,
    next: Option<String>,
}

async fn choose(State(authority): State<Authority>, visit: Visit, Query(query): Query) -> Answer {
    let cursor = query.given("cursor").map(ToOwned::to_owned);
    let slice = PageRequest { offset: 0, limit: OFFERS_MAX, cursor };
    let found = authority.offers(&visit.call, query.given("search"), &slice).await?;
    let search = query.text("search").to_owned();
    let next = found.next_cursor.map(|cursor| {
        let pairs = [("search", search.as_str()), ("cursor", cursor.as_str())];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    });
    page(&ChoosePage {
        frame: visit.frame("Request a certificate", Section::Request),
        offers: found.items,
        search,
        next,
    })
}

#[derive(Template)]
#[template(path = "request/form.html")]
struct FormPage {
    frame: Frame,
    offer: Offer,
    draft: Draft,
    problems: Problems,
    verdict: Verdict,
    address: String,
}

/// The part of the page that is shown anew while somebody types.
#[derive(Template)]
#[template(path = "request/verdict.html")]
struct VerdictPart {
    offer: Offer,
    draft: Draft,
    verdict: Verdict,
    address: String,
}

impl FormPage {
    fn new(visit: &Visit, offer: Offer, draft: Draft) -> Self {
        Self {
            frame: visit.frame(format!("Request by {}", offer.profile.slug), Section::Request),
            address: address(&offer),
            problems: Problems::default(),
            verdict: Verdict::default(),
            offer,
            draft,
        }
    }

    fn may_make_key(&self) -> bool {
        draft::may_make_key(&self.offer)
    }

    fn may_bring_csr(&self) -> bool {
        draft::may_bring_csr(&self.offer)
    }

    /// Lengths to pick from, within what the template permits.
    fn lengths(&self) -> Vec<(&'static str, String)> {
        let choices = &self.offer.choices;
        let permits = |ttl: &Ttl| {
            choices.validity_max.is_none_or(|most| *ttl <= most)
                && choices.validity_min.is_none_or(|least| *ttl >= least)
        };
        let common = ["1h", "24h", "7d", "30d", "90d", "180d", "1y", "2y", "10y"];
        let parsed = common.into_iter().filter_map(|text| Ttl::parse(text).ok().map(|ttl| (text, ttl)));
        parsed.filter(|(_, ttl)| permits(ttl)).map(|(text, ttl)| (text, ttl.to_string())).collect()
    }

    fn length_hint(&self) -> String {
        let bounds = match (self.offer.choices.validity_min, self.offer.choices.validity_max) {
            (None, None) => "The issuer's own end is the limit.".to_owned(),
            (None, Some(most)) => format!("At most {most}."),
            (Some(least), None) => format!("At least {least}."),
            (Some(least), Some(most)) => format!("{least} to {most}."),
        };
        format!("A number and a unit: 12h, 90d, 1y. {bounds}")
    }

    /// What people usually fill in stands in the open; the rest of an unbounded subject is folded away.
    fn is_main(&self, choice: &TextChoice<AttributeType>) -> bool {
        let main = matches!(choice.kind, AttributeType::CommonName | AttributeType::Organization);
        main || choice.is_required || !choice.allowed.is_empty()
    }

    fn minor(&self) -> impl Iterator<Item = &TextChoice<AttributeType>> {
        self.offer.choices.subject.iter().filter(|it| !self.is_main(it) && it.values.is_empty())
    }

    fn has_minor(&self) -> bool {
        self.minor().next().is_some()
    }

    fn uses_minor(&self) -> bool {
        let is_used =
            |kind: &AttributeType| !self.draft.value_of(kind).is_empty() || !self.problems.of(kind.as_str()).is_empty();
        self.minor().any(|it| is_used(&it.kind))
    }

    fn hint_of(&self, choice: &TextChoice<AttributeType>) -> String {
        let allowed = sentence(&choice.allowed);
        let usual = match choice.kind {
            AttributeType::CommonName if allowed.is_empty() => "The name people know it by, such as www.example.com",
            AttributeType::Country => "Two letters, such as DE",
            AttributeType::DomainComponent => "Labels with commas between them, such as com,example",
            _ => "",
        };
        match (allowed.is_empty(), usual.is_empty()) {
            (true, _) => usual.to_owned(),
            (false, true) => allowed,
            (false, false) => format!("{allowed}. {usual}"),
        }
    }

    fn key_word(&self, key: &KeyAlgorithm) -> &'static str {
        key.label()
    }

    fn name_place(&self, row: &usize) -> String {
        format!("name-{row}")
    }

    fn is_application(&self, application: &Application) -> bool {
        application.id.to_string() == self.draft.application
    }

    fn may_be_ca(&self) -> bool {
        self.offer.choices.ca != RuleState::Denied
    }

    fn must_be_ca(&self) -> bool {
        self.offer.choices.ca == RuleState::Required
    }

    /// What becomes of the key, said before somebody asks.
    fn custody(&self) -> &'static str {
        match self.offer.profile.settings.key_custody {
            KeyCustody::Stored => {
                "The server makes the private key and keeps it sealed; you download it from the certificate's page."
            }
            KeyCustody::ReturnOnce => {
                "The server makes the private key and shows it once, on the next page. It is not kept."
            }
            KeyCustody::None => "This profile never makes private keys: bring a CSR made with your own.",
        }
    }
}

/// With a capital letter at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What a template lets one ask for, in one sentence.
fn in_brief(offer: &Offer) -> String {
    let choices = &offer.choices;
    let name = choices.subject.iter().find(|it| it.kind == AttributeType::CommonName);
    let names = match name {
        Some(it) if !it.values.is_empty() => it.values.join(", "),
        Some(it) if !it.allowed.is_empty() => format!("names that {}", it.allowed),
        Some(_) => "any common name".to_owned(),
        None => "no common name".to_owned(),
    };
    let length =
        choices.validity_max.map_or_else(|| "as long as the issuer lives".to_owned(), |it| format!("at most {it}"));
    let purposes: Vec<&str> = choices.extended_key_usages.required.iter().map(|it| it.label()).collect();
    let purposes = if purposes.is_empty() { String::new() } else { format!("; for {}", purposes.join(", ")) };
    format!("{}; {length}{purposes}.", sentence(&names))
}

fn address(offer: &Offer) -> String {
    format!("/ui/request/{}", offer.profile.id)
}

async fn fill_in(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<ProfileId>,
    Query(query): Query,
) -> Answer {
    let offer = authority.offer(&visit.call, id).await?;
    let draft = Draft::of(&offer, Way::of(&offer, query.text("way")));
    page(&FormPage::new(&visit, offer, draft))
}

/// What the rules say to the form as it stands: for the script a part of the page, without one the whole.
async fn check(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>, form: Form) -> Answer {
    let offer = authority.offer(&visit.call, id).await?;
    let mut draft = Draft::read(&form, &offer);
    let mut verdict = Verdict::of(&authority, &visit, &offer, &draft).await?;
    if visit.is_fragment {
        return page(&VerdictPart { address: address(&offer), offer, draft, verdict });
    }
    if form.text("do") == "mend" && verdict.is_mendable(&draft) {
        for suggestion in &verdict.suggestions {
            draft.apply(suggestion);
        }
        draft.settle(&offer);
        verdict = Verdict::of(&authority, &visit, &offer, &draft).await?;
    }
    let mut problems = Problems::default();
    if form.text("do") != "more" {
        draft.to_core(&offer, &mut problems);
    }
    page(&FormPage { verdict, problems, ..FormPage::new(&visit, offer, draft) })
}

async fn send(State(authority): State<Authority>, visit: Visit, Id(id): Id<ProfileId>, form: Form) -> Answer {
    let offer = authority.offer(&visit.call, id).await?;
    let draft = Draft::read(&form, &offer);
    let mut problems = Problems::default();
    if let Some(request) = draft.to_core(&offer, &mut problems) {
        match authority.issue(&visit.once(&form), request).await {
            Ok(Issuance::Issued(issued)) => return answered(&visit, &offer, *issued),
            Ok(Issuance::Pending(pending)) => {
                let to = format!("/ui/requests/{}", pending.request.id);
                return Ok(visit.done(&to, "The request was accepted; the certification authority is being asked"));
            }
            Err(error) => problems = draft.refusal(error)?,
        }
    }
    let verdict = Verdict::of(&authority, &visit, &offer, &draft).await?;
    let shown = FormPage { verdict, problems, ..FormPage::new(&visit, offer, draft) };
    page_with(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// A key that is not kept is shown now or never.
#[derive(Template)]
#[template(path = "request/key.html")]
struct KeyPage {
    frame: Frame,
    issued: Issued,
    key: Zeroizing<String>,
    certificate: String,
    chain: String,
    slug: String,
}

fn answered(visit: &Visit, offer: &Offer, mut issued: Issued) -> Answer {
    let key = issued.private_key.take().filter(|_| issued.certificate.key_id.is_none());
    let Some(key) = key else {
        return Ok(visit.done(&format!("/ui/requests/{}", issued.request_id), "The certificate was issued"));
    };
    page(&KeyPage {
        frame: visit.frame("Save the private key now", Section::Request),
        certificate: pem::encode(pem::CERTIFICATE, &issued.certificate.der),
        chain: issued.chain.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect(),
        slug: offer.profile.slug.clone(),
        issued,
        key,
    })
}
