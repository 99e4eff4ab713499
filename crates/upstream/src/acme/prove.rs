//! Proving control of the names (RFC 8555 §7.5, §8): a challenge is chosen for each, its answer is put where the CA will
//! look, and only when it can be seen there the CA is told.

use std::time::Duration;

use chancery_authority::external::{Next, Step, UpstreamError, UpstreamErrorKind};
use chancery_model::external::ChallengeKind;
use chancery_model::order::PublishedChallenge;
use tokio::time::Instant;

use super::client::is_base64url;
use super::jws::{base64url, sha256};
use super::order::Order;
use super::problem::tame;
use super::progress::{Name, Proof, Stage};
use super::resources::{Authorization, Challenge, Identifier, IdentifierKind, OrderStatus, identifiers, sni_name};
use crate::dns::Visibility;

/// Questions to the CA, or to a DNS provider, within one step: a step ends long before its lease does.
const PER_STEP: usize = 8;
/// A step that has taken this long begins nothing more. The core cuts a step off after a good minute and forgets what it did:
/// with many names and a slow provider it would begin at the first name for ever.
const ENOUGH: Duration = Duration::from_secs(10);
/// RFC 8555 §8 asks for 128 bits, which are 22 characters; no CA sends more than this.
const TOKEN_CHARS_MAX: usize = 512;

impl Order<'_> {
    /// Reads authorizations and decides how each name is proved. What will be set outside is in the state before it is set.
    pub(super) async fn choose(mut self) -> Result<Step, UpstreamError> {
        let began = Instant::now();
        let asked = identifiers(&self.hand.order.csr).unwrap_or_default();
        let unread: Vec<_> =
            self.progress.names.iter().enumerate().filter(|(_, name)| name.identifier.is_none()).collect();
        let unread: Vec<_> = unread.into_iter().map(|(at, name)| (at, name.authorization.clone())).collect();
        for (at, url) in unread.iter().take(PER_STEP) {
            if began.elapsed() >= ENOUGH {
                break;
            }
            let found: Authorization = self.read(url, "authorization").await?;
            let proof = match found.status.as_str() {
                "valid" => None,
                "pending" if !is_asked_for(&found, &asked) => {
                    return Ok(self.failed(format!(
                        "{} wants control of {} proved, a name that was not asked for; nothing is done about it",
                        self.client.whom,
                        tame(&found.identifier.value, 100)
                    )));
                }
                "pending" => match self.choice(&found).await? {
                    Ok(proof) => Some(proof),
                    Err(message) => return Ok(self.failed(message)),
                },
                _ => return Ok(self.failed(self.authorization_failure(&found))),
            };
            if let Some(name) = self.progress.names.get_mut(*at) {
                (name.wildcard, name.proof) = (found.wildcard, proof);
                name.identifier = Some(found.identifier);
            }
        }
        if self.progress.names.iter().any(|name| name.identifier.is_none()) {
            return Ok(self.progress.step(Next::Continue));
        }
        self.progress.stage = Stage::Proving;
        let challenges = self.published();
        Ok(Step { challenges: Some(challenges), ..self.progress.step(Next::Continue) })
    }

    /// What this server's own listeners answer.
    fn published(&self) -> Vec<PublishedChallenge> {
        let mut all = Vec::new();
        for Name { identifier, proof, .. } in &self.progress.names {
            let (Some(identifier), Some(proof)) = (identifier, proof) else { continue };
            let name = match proof.kind {
                ChallengeKind::Dns01 => continue,
                ChallengeKind::Http01 => proof.value.split('.').next().unwrap_or_default().to_owned(),
                ChallengeKind::TlsAlpn01 => sni_name(identifier),
            };
            all.push(PublishedChallenge { kind: proof.kind, name, value: proof.value.clone() });
        }
        all
    }

    /// The first of the configured ways that the CA offers and that is possible here; else why there is none.
    async fn choice(&self, found: &Authorization) -> Result<Result<Proof, String>, UpstreamError> {
        let shown = if found.wildcard { format!("*.{}", found.identifier) } else { found.identifier.to_string() };
        let mut obstacles = Vec::new();
        for kind in &self.config.challenges {
            let Some(challenge) = found.challenges.iter().find(|it| it.kind() == Some(*kind)) else { continue };
            if !is_possible(*kind, found) {
                continue;
            }
            if !is_token(&challenge.token) {
                return Ok(Err(format!(
                    "{} sent a challenge for {shown} whose token is not base64url of a usual length; it is not answered",
                    self.client.whom
                )));
            }
            match self.proof(*kind, challenge, found).await {
                Ok(proof) => return Ok(Ok(proof)),
                Err(error) if error.kind == UpstreamErrorKind::Lasting => obstacles.push(error.text),
                Err(error) => return Err(error),
            }
        }
        if !obstacles.is_empty() {
            return Ok(Err(obstacles.join("; ")));
        }
        let offered: Vec<_> = found.challenges.iter().take(8).map(|it| tame(&it.kind, 40)).collect();
        let wanted: Vec<_> = self.config.challenges.iter().map(|it| it.as_str()).collect();
        let rule = match (found.wildcard, found.identifier.kind) {
            (true, _) => "; a wildcard name is proved by dns-01 only",
            (_, IdentifierKind::Ip) => "; an address is not proved by dns-01",
            _ => "",
        };
        Ok(Err(format!(
            "control of {shown} cannot be proved: {} offers {}, the CA's challenges here are {}{rule}. Next step: add one \
             of those offered to challenges",
            self.client.whom,
            list(&offered),
            list(&wanted)
        )))
    }

    async fn proof(
        &self,
        kind: ChallengeKind,
        challenge: &Challenge,
        found: &Authorization,
    ) -> Result<Proof, UpstreamError> {
        let authorization = format!("{}.{}", challenge.token, self.account.key.thumbprint());
        let url = self.client.own(&challenge.url)?.to_string();
        let (value, placement) = match kind {
            ChallengeKind::Dns01 => {
                let placement = self.acme.dns.place(self.site, &found.identifier.value).await?;
                (base64url(&sha256(authorization.as_bytes())), Some(placement))
            }
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => (authorization, None),
        };
        Ok(Proof { kind, url, value, placement, set: false, seen: false, told: false })
    }

    /// Sets, looks, tells, and looks how the CA gets on: each as often as it takes.
    pub(super) async fn prove(mut self) -> Result<Step, UpstreamError> {
        if self.progress.proofs().any(|it| it.placement.is_some() && !it.set) {
            return self.set_records().await;
        }
        if self.progress.proofs().any(|it| it.placement.is_some() && !it.seen) {
            return self.look_for_records().await;
        }
        if self.progress.proofs().any(|it| !it.told) {
            return self.tell().await;
        }
        self.follow().await
    }

    async fn set_records(mut self) -> Result<Step, UpstreamError> {
        let (dns, site) = (&self.acme.dns, self.site);
        let began = Instant::now();
        for proof in self.progress.proofs().filter(|it| !it.set).take(PER_STEP) {
            if began.elapsed() >= ENOUGH {
                break;
            }
            if let Some(placement) = &proof.placement {
                dns.set(site, placement, &proof.value).await?;
            }
            proof.set = true;
        }
        self.progress.records_set_at = Some(site.now);
        Ok(self.progress.step(Next::Continue))
    }

    async fn look_for_records(mut self) -> Result<Step, UpstreamError> {
        let (dns, site) = (&self.acme.dns, self.site);
        let mut missing = None;
        let began = Instant::now();
        for proof in self.progress.proofs().filter(|it| !it.seen).take(PER_STEP) {
            if began.elapsed() >= ENOUGH {
                break;
            }
            if let Some(placement) = &proof.placement
                && let Visibility::NotYet { server } = dns.check(site, placement, &proof.value).await?
            {
                missing = Some((placement.name.clone(), server));
                break;
            }
            proof.seen = true;
        }
        let Some((record, server)) = missing else {
            self.progress.polls = 0;
            return Ok(self.progress.step(Next::Continue));
        };
        let seconds = 2 * self.progress.pause().min(5);
        // An order that is somebody else's as well may have come further by their records, and those are gone by now.
        if self.progress.polls.is_multiple_of(4) && self.order_now().await?.0.status != OrderStatus::Pending {
            return self.follow().await;
        }
        let since = self.progress.records_set_at.unwrap_or(self.site.now);
        let limit = self.config.propagation_timeout;
        if self.site.now >= since.plus_seconds(limit.as_seconds()) {
            return Ok(self.failed(format!(
                "the TXT record {record} was set, but {server} did not answer with it within {limit}. Next step: look \
                 whether the zone's servers get their changes, or raise propagationTimeout"
            )));
        }
        let message = format!("The TXT record {record} is set; waiting until {server} answers with it");
        Ok(self.progress.step(Next::Wait { seconds, validating: true, message }))
    }

    async fn tell(mut self) -> Result<Step, UpstreamError> {
        let waiting: Vec<_> =
            self.progress.proofs().filter(|it| !it.told).take(PER_STEP).map(|it| it.url.clone()).collect();
        let began = Instant::now();
        for url in &waiting {
            if began.elapsed() >= ENOUGH {
                break;
            }
            self.tell_one(url).await?;
            if let Some(proof) = self.progress.proofs().find(|it| it.url == *url) {
                proof.told = true;
            }
        }
        self.progress.polls = 0;
        Ok(self.progress.step(Next::Continue))
    }

    /// Once: a challenge is not ready for a second attempt. After a crash the CA may have been told already, and then
    /// some answer with an error.
    async fn tell_one(&self, url: &str) -> Result<(), UpstreamError> {
        let url = self.client.own(url)?;
        match self.client.post(self.signer(), &url, &serde_json::json!({})).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind().is_some() => {
                let known: Option<Challenge> = self
                    .client
                    .read(&self.account, &url)
                    .await
                    .ok()
                    .and_then(|it| it.json(&self.client, "challenge").ok());
                if known.is_some_and(|it| matches!(it.status.as_str(), "processing" | "valid" | "invalid")) {
                    return Ok(());
                }
                Err(refusal.into())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn follow(mut self) -> Result<Step, UpstreamError> {
        let (found, retry_after) = self.order_now().await?;
        match found.status {
            OrderStatus::Ready => {
                (self.progress.stage, self.progress.polls) = (Stage::Finalizing, 0);
                Ok(self.progress.step(Next::Continue))
            }
            // Some CAs give the same order to all that ask for the same names, and another request was faster.
            OrderStatus::Processing | OrderStatus::Valid => self.start_over(),
            OrderStatus::Invalid => self.invalid(found).await,
            OrderStatus::Pending => {
                // Not every CA lets an order fail with its authorization, so one of those is looked at each time.
                if let Some(message) = self.look_at_one().await? {
                    return Ok(self.failed(message));
                }
                let seconds = retry_after.unwrap_or_else(|| self.progress.pause()).max(1);
                let names: Vec<_> =
                    self.progress.names.iter().filter(|it| it.proof.is_some()).map(Name::shown).collect();
                let message = format!("{} is checking control of {}", self.client.whom, list(&names));
                Ok(self.progress.step(Next::Wait { seconds, validating: true, message: capital(&message) }))
            }
        }
    }

    async fn look_at_one(&self) -> Result<Option<String>, UpstreamError> {
        let open: Vec<_> = self.progress.names.iter().filter(|it| it.proof.is_some()).collect();
        let at = usize::try_from(self.progress.polls).unwrap_or(0).checked_rem(open.len()).unwrap_or(0);
        let Some(name) = open.get(at) else { return Ok(None) };
        let found: Authorization = self.read(&name.authorization, "authorization").await?;
        let is_alive = matches!(found.status.as_str(), "pending" | "valid");
        Ok((!is_alive).then(|| self.authorization_failure(&found)))
    }

    /// Why the order came to nothing: the CA tells it name by name.
    pub(super) async fn invalid(self, found: super::resources::Order) -> Result<Step, UpstreamError> {
        let mut reasons = Vec::new();
        for name in self.progress.names.iter().filter(|it| it.proof.is_some()).take(2 * PER_STEP) {
            // What cannot be read any more must not hide the rest.
            let Ok(url) = self.client.own(&name.authorization) else { continue };
            let Ok(answer) = self.client.read(&self.account, &url).await else { continue };
            let Ok(one) = answer.json::<Authorization>(&self.client, "authorization") else { continue };
            if !matches!(one.status.as_str(), "pending" | "valid") {
                reasons.push(self.authorization_failure(&one));
            }
        }
        if reasons.is_empty() {
            let why = found.error.map_or_else(|| "it does not say why".to_owned(), |it| it.text());
            reasons.push(format!("{} has given the order up: {why}", self.client.whom));
        }
        Ok(self.failed(reasons.join("\n")))
    }

    fn authorization_failure(&self, found: &Authorization) -> String {
        let shown = if found.wildcard { format!("*.{}", found.identifier) } else { found.identifier.to_string() };
        let failed = found.challenges.iter().find_map(|it| it.error.as_ref().map(|error| (it.kind.as_str(), error)));
        match failed {
            Some((kind, error)) => format!(
                "{} did not accept control of {shown} by {}: {}{}",
                self.client.whom,
                tame(kind, 40),
                error.text(),
                error.hint(kind)
            ),
            None => format!(
                "the authorization of {shown} at {} is {}. Next step: request again",
                self.client.whom,
                tame(&found.status, 40)
            ),
        }
    }
}

/// RFC 8555 §8.4, RFC 8738 §7; Let's Encrypt and others offer what is impossible only by mistake.
fn is_possible(kind: ChallengeKind, found: &Authorization) -> bool {
    match kind {
        ChallengeKind::Dns01 => found.identifier.kind == IdentifierKind::Dns,
        ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !found.wildcard,
    }
}

/// The names of an authorization decide where records are set, so a CA that wants others than the order's is not obeyed.
fn is_asked_for(found: &Authorization, asked: &[Identifier]) -> bool {
    let name = &found.identifier.value;
    asked.iter().filter(|it| it.kind == found.identifier.kind).any(|it| match it.value.strip_prefix("*.") {
        Some(base) => base.eq_ignore_ascii_case(name),
        None => it.value.eq_ignore_ascii_case(name) && !found.wildcard,
    })
}

/// A token becomes part of a path and of a record.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_base64url)
}

fn list<T: AsRef<str>>(words: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut text = words.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if words.len() > SHOWN {
        text.push_str(&format!(" and {} more", words.len() - SHOWN));
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// The first letter of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_base64url_of_a_bounded_length() {
        for (token, expected) in [
            ("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA", true),
            ("", false),
            ("../../etc/x", false),
            ("a/b", false),
            ("a b", false),
            ("a\0b", false),
            ("a=", false),
            ("ä", false),
        ] {
            assert_eq!(is_token(token), expected, "{token:?}");
        }
        assert!(is_token(&"a".repeat(512)) && !is_token(&"a".repeat(10_240)));
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(list::<&str>(&[]), "nothing");
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(list(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }
}
