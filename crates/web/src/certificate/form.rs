//! What the forms about a certificate hold while they are filled in, and what the core gets of it.

use chancery_authority::enrollment::Attributes;
use chancery_authority::renewal::{RenewRequest, RenewalConfiguration, RenewalKeySource};
use chancery_model::certificate::Certificate;
use chancery_model::profile::RenewAt;
use chancery_model::time::Ttl;

use crate::form::{Form, Problems};

/// A renewal by hand.
#[derive(Clone, Debug, Default)]
pub(super) struct RenewDraft {
    pub key: String,
    pub csr: String,
    pub ttl: String,
}

pub(super) const fn key_word(source: RenewalKeySource) -> &'static str {
    match source {
        RenewalKeySource::New => "new",
        RenewalKeySource::Reuse => "reuse",
        RenewalKeySource::Csr => "csr",
    }
}

impl RenewDraft {
    pub fn read(form: &Form) -> Self {
        Self { key: form.text("key").to_owned(), csr: form.text("csr").to_owned(), ttl: form.text("ttl").to_owned() }
    }

    pub fn to_core(&self, problems: &mut Problems) -> Option<RenewRequest> {
        let sources = [RenewalKeySource::New, RenewalKeySource::Reuse, RenewalKeySource::Csr];
        let Some(source) = sources.into_iter().find(|it| key_word(*it) == self.key) else {
            problems.add("key", "Choose which key the new certificate gets");
            return None;
        };
        let csr = (source == RenewalKeySource::Csr).then(|| self.csr.clone());
        if csr.as_deref().is_some_and(str::is_empty) {
            problems.add("csr", "Paste the CSR, or choose another key");
            return None;
        }
        let ttl = (!self.ttl.is_empty()).then(|| self.ttl.clone());
        let attributes = ttl.map(|ttl| Attributes { ttl: Some(ttl), ..Attributes::default() });
        Some(RenewRequest { key_source: Some(source), csr, attributes })
    }
}

/// When, and whether, the server renews by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AutoDraft {
    /// `keep`, `off`, `fraction` or `before`.
    pub mode: String,
    /// Of the lifetime, 10 to 95.
    pub percent: String,
    /// Before the end.
    pub before: String,
    pub jitter: String,
    /// How long after its renewal the old certificate is revoked; empty follows the profile.
    pub superseded: String,
}

impl AutoDraft {
    pub fn read(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            mode: text("mode"),
            percent: text("percent"),
            before: text("before"),
            jitter: text("jitter"),
            superseded: text("superseded"),
        }
    }

    pub fn of(it: &Certificate) -> Self {
        let own = it.renewal.settings.unwrap_or_default();
        let text = |ttl: Option<Ttl>| ttl.map(|it| it.to_string()).unwrap_or_default();
        let mut draft = Self {
            mode: if own.switched_off { "off" } else { "keep" }.to_owned(),
            percent: "67".to_owned(),
            jitter: text(own.renew_jitter),
            superseded: text(own.revoke_superseded_after),
            ..Self::default()
        };
        match (own.renew_at, it.renewal.renew_before_days) {
            (Some(RenewAt::Permille(permille)), _) => {
                draft.mode = "fraction".to_owned();
                draft.percent = (f64::from(permille) / 10.0).to_string();
            }
            (Some(RenewAt::Before(lead)), _) => {
                draft.mode = "before".to_owned();
                draft.before = lead.to_string();
            }
            (None, Some(days)) => draft.before = format!("{days} days"),
            (None, None) => {}
        }
        draft
    }

    pub fn to_core(&self, before: &Self, problems: &mut Problems) -> Option<RenewalConfiguration> {
        let mut wanted = RenewalConfiguration::default();
        match self.mode.as_str() {
            "keep" => {}
            "off" => wanted.enable = Some(false),
            "fraction" => wanted.renew_at = self.fraction(problems).map(RenewAt::Permille),
            "before" => {
                wanted.renew_at = duration(&self.before, "before", problems).map(RenewAt::Before);
                if self.before.is_empty() {
                    problems.add("before", "Say how long before the end, such as 30 days");
                }
            }
            _ => problems.add("mode", "Choose one of these"),
        }
        if wanted.renew_at.is_some() {
            wanted.renew_jitter = duration(&self.jitter, "jitter", problems);
        }
        if self.superseded != before.superseded {
            wanted.revoke_superseded_after = Some(duration(&self.superseded, "superseded", problems));
        }
        problems.is_empty().then_some(wanted)
    }

    fn fraction(&self, problems: &mut Problems) -> Option<u16> {
        let tenths = self.percent.trim_end_matches('%').trim().parse::<f64>().ok().map(|it| (it * 10.0).round());
        match tenths.filter(|it| (100.0..=950.0).contains(it)) {
            // Within 100 and 950 by the line above.
            Some(tenths) => Some(tenths as u16),
            None => {
                problems.add("percent", "Give a part of the lifetime between 10 and 95 percent");
                None
            }
        }
    }
}

fn duration(text: &str, field: &str, problems: &mut Problems) -> Option<Ttl> {
    if text.is_empty() {
        return None;
    }
    Ttl::parse(text).inspect_err(|error| problems.add(field, error.to_string())).ok()
}

/// Rows of labels; those without a key and a value are passed over.
pub(super) fn labels(form: &Form) -> Vec<(String, String)> {
    let pairs = form.column("label_key").zip(form.column("label_value"));
    pairs
        .filter(|(key, value)| !key.is_empty() || !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(mode: &str, percent: &str, before: &str) -> AutoDraft {
        AutoDraft {
            mode: mode.to_owned(),
            percent: percent.to_owned(),
            before: before.to_owned(),
            ..AutoDraft::default()
        }
    }

    #[test]
    fn renewal_points_are_read_and_refused() {
        let check = |mode: &str, percent: &str, before: &str, expected: Option<Option<RenewAt>>| {
            let mut problems = Problems::default();
            let found = draft(mode, percent, before).to_core(&AutoDraft::default(), &mut problems);
            assert_eq!(found.map(|it| it.renew_at), expected, "{mode} {percent} {before}");
        };
        check("keep", "", "", Some(None));
        check("off", "", "", Some(None));
        check("fraction", "67", "", Some(Some(RenewAt::Permille(670))));
        check("fraction", "33.3 %", "", Some(Some(RenewAt::Permille(333))));
        check("fraction", "9", "", None);
        check("fraction", "96", "", None);
        check("fraction", "NaN", "", None);
        check("before", "", "10 days", Some(Some(RenewAt::Before(Ttl::DAY.times(10)))));
        check("before", "", "", None);
        check("before", "", "soon", None);
        check("whenever", "", "", None);
    }

    #[test]
    fn only_a_changed_wish_about_superseded_certificates_is_sent() {
        let mut problems = Problems::default();
        let before = AutoDraft { superseded: "1 day".to_owned(), ..draft("keep", "", "") };
        assert_eq!(before.to_core(&before, &mut problems).unwrap().revoke_superseded_after, None);
        let cleared = draft("keep", "", "");
        assert_eq!(cleared.to_core(&before, &mut problems).unwrap().revoke_superseded_after, Some(None));
    }

    #[test]
    fn a_renewal_needs_a_key_and_a_csr_where_it_says_so() {
        let read = |fields: &str| {
            let mut problems = Problems::default();
            let found = RenewDraft::read(&Form::parse(fields.as_bytes())).to_core(&mut problems);
            (found.map(|it| (it.csr.is_some(), it.attributes.is_some())), !problems.is_empty())
        };
        assert_eq!(read("key=new"), (Some((false, false)), false));
        assert_eq!(read("key=new&csr=x&ttl=30d"), (Some((false, true)), false));
        assert_eq!(read("key=csr&csr=x"), (Some((true, false)), false));
        assert_eq!(read("key=csr"), (None, true));
        assert_eq!(read(""), (None, true));
    }
}
