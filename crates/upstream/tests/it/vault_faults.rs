//! What the kind `vault` makes of a server in trouble, by a stand-in.

use chancery_authority::external::{Upstream as _, UpstreamErrorKind};
use chancery_model::external::{ConnectionApp, ExternalCaKind, ExternalConfiguration, VaultConfiguration};
use serde_json::json;

use crate::pki;
use crate::site;
use crate::stand_in::{Reply, StandIn};

const PASSING: UpstreamErrorKind = UpstreamErrorKind::Passing { retry_after: None };

async fn asked_for_a_signature(
    reply: impl Fn() -> Reply + Send + 'static,
) -> (StandIn, Result<String, (UpstreamErrorKind, String)>) {
    let server = StandIn::start(move |_| reply()).await;
    let outside = site::outside(site::egress(Some(server.ca_pem())), 1);
    let ca = outside.ca(ExternalCaKind::Vault).unwrap();
    let url = format!("{}/behind/a/proxy/", server.url());
    let fields = [("instanceUrl", url.as_str()), ("namespace", "team/a"), ("accessToken", "t0ken")];
    let configuration = ExternalConfiguration::Vault(VaultConfiguration {
        connection_id: site::connection_id(),
        mount: "team/pki".to_owned(),
        role: "web".to_owned(),
        issuer_ref: None,
    });
    let site = site::site(configuration, site::connection(ConnectionApp::Vault, "access-token", &fields));
    let mut hand = site::order(pki::csr("w.acme.test", "DNS:w.acme.test"), 3_600, 1);
    let outcome = match site::run(ca, &site, &mut hand).await {
        Ok(chancery_authority::external::Next::Failed { message }) => Ok(message),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err((error.kind, error.text)),
    };
    (server, outcome)
}

#[tokio::test]
async fn troubles_of_the_server_pass_and_refusals_last() {
    let said = |text: &str| json!({ "errors": [text] });
    for (status, body, headers, expected, words) in [
        (503, said("Vault is sealed").to_string(), vec![], Some(PASSING), "unseal it"),
        (500, said("internal error").to_string(), vec![], Some(PASSING), "internal error"),
        (
            429,
            said("quota").to_string(),
            vec![("retry-after", "17".to_owned())],
            Some(UpstreamErrorKind::Passing { retry_after: Some(17) }),
            "429",
        ),
        (473, String::new(), vec![], Some(PASSING), "standby"),
        (472, String::new(), vec![], Some(PASSING), "standby"),
        (307, String::new(), vec![("location", "https://10.0.0.1/".to_owned())], Some(PASSING), "standby"),
        (412, said("required index state not present").to_string(), vec![], Some(PASSING), "caught up"),
        (502, "<html>bad gateway</html>".to_owned(), vec![], Some(PASSING), "502"),
        (200, "<html>hello</html>".to_owned(), vec![], Some(PASSING), "no JSON"),
        (200, "{}".to_owned(), vec![], Some(PASSING), "without a certificate"),
        (
            200,
            json!({ "data": { "certificate": "rubbish" } }).to_string(),
            vec![],
            Some(UpstreamErrorKind::Lasting),
            "not a certificate",
        ),
        (
            400,
            said("common name w.acme.test not allowed by this role").to_string(),
            vec![],
            None,
            "not allowed by this role",
        ),
        (403, said("1 error occurred: permission denied").to_string(), vec![], None, "policy"),
        (404, said("no handler for route").to_string(), vec![], None, "no role web at team/pki"),
    ] {
        let (server, outcome) = asked_for_a_signature(move || Reply(status, headers.clone(), body.clone())).await;
        match (&outcome, expected) {
            (Ok(message), None) => assert!(message.contains(words), "{status}: {message}"),
            (Err((kind, text)), Some(expected)) => {
                assert_eq!(*kind, expected, "{status}: {text}");
                assert!(text.contains(words), "{status}: {text}");
            }
            _ => panic!("{status}: {outcome:?}"),
        }
        let asked = server.asked();
        assert_eq!(asked.len(), 1, "{status}");
        assert_eq!(asked[0].path, "/behind/a/proxy/v1/team/pki/sign/web");
        assert_eq!(asked[0].header("x-vault-namespace"), Some("team/a"));
        assert_eq!(asked[0].header("x-vault-token"), Some("t0ken"));
        assert_eq!(asked[0].body["ttl"], json!("3600s"));
    }
}
