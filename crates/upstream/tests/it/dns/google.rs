//! Google Cloud DNS, from the description of its API v1 and of service accounts (RFC 7523).

use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_model::external::DnsProviderKind;
use chancery_pkix::pem;
use serde_json::{Value, json};

use super::{Asked, NAME, NOW, Reply, StandIn, World, fits, passes_on_faults, refuses};

#[derive(Default)]
struct Zone {
    /// As they are shown: quoted.
    set: Option<Vec<String>>,
    /// What another client does between our reading and our change; once.
    meanwhile: Option<Vec<String>>,
    token_uri: String,
}

type Kept = Arc<Mutex<Zone>>;

fn key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn key_file(token_uri: &str, key: &RsaKeyPair) -> Value {
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    json!({
        "type": "service_account", "project_id": "acme-dns", "private_key_id": "k1",
        "private_key": pem::encode("PRIVATE KEY", pkcs8.as_ref()),
        "client_email": "dns@acme-dns.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "universe_domain": "googleapis.com",
    })
}

fn wrong(status: u16, reason: &str, message: &str) -> Reply {
    let body = json!({ "error": { "code": status, "message": message, "errors": [{ "reason": reason }] } });
    Reply::json(status, &body)
}

fn token(zone: &Zone, asked: &Asked) -> Reply {
    let form = asked.form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let parts: Vec<_> = form["assertion"].split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("{form:?}") };
    let signed = format!("{header}.{claims}");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key().public_key().as_ref());
    if public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_err() {
        let body = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
        return Reply::json(400, &body);
    }
    let decode = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(decode(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(
        decode(claims),
        json!({
            "iss": "dns@acme-dns.iam.gserviceaccount.com", "aud": zone.token_uri, "iat": NOW, "exp": NOW + 600,
            "scope": "https://www.googleapis.com/auth/ndev.clouddns.readwrite",
        })
    );
    Reply::json(200, &json!({ "access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer" }))
}

fn answer(zone: &mut Zone, asked: &Asked) -> Reply {
    let segments = asked.segments();
    let segments: Vec<_> = segments.iter().map(String::as_str).collect();
    if segments == ["token"] {
        return token(zone, asked);
    }
    if asked.header("authorization") != "Bearer ya29.token" {
        return wrong(401, "authError", "Request had invalid authentication credentials.");
    }
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["dns", "v1", "projects", "acme-dns", "managedZones"]) => zones(asked),
        ("GET", ["dns", "v1", "projects", "acme-dns", "managedZones", "acme-zone", "rrsets"]) => {
            assert_eq!((asked.query("name"), asked.query("type")), (format!("{NAME}.").as_str(), "TXT"));
            let sets: Vec<_> = zone.set.iter().map(|it| set(it)).collect();
            if let Some(meanwhile) = zone.meanwhile.take() {
                zone.set = Some(meanwhile);
            }
            Reply::json(200, &json!({ "kind": "dns#resourceRecordSetsListResponse", "rrsets": sets }))
        }
        ("POST", ["dns", "v1", "projects", "acme-dns", "managedZones", "acme-zone", "changes"]) => changed(zone, asked),
        ("GET", _) => wrong(404, "notFound", "The 'parameters.managedZone' resource was not found."),
        other => panic!("asked for {other:?}"),
    }
}

/// A private zone of the same name comes first; the public one is on the second page.
fn zones(asked: &Asked) -> Reply {
    let one = |name: &str, visibility: &str| json!({ "name": name, "dnsName": "acme.test.", "visibility": visibility });
    match (asked.query("dnsName"), asked.query("pageToken")) {
        ("acme.test.", "") => {
            Reply::json(200, &json!({ "managedZones": [one("inner", "private")], "nextPageToken": "p2" }))
        }
        ("acme.test.", "p2") => Reply::json(200, &json!({ "managedZones": [one("acme-zone", "public")] })),
        _ => Reply::json(200, &json!({ "kind": "dns#managedZonesListResponse" })),
    }
}

fn set(values: &[String]) -> Value {
    json!({ "kind": "dns#resourceRecordSet", "name": format!("{NAME}."), "type": "TXT", "ttl": 300, "rrdatas": values })
}

/// All or nothing.
fn changed(zone: &mut Zone, asked: &Asked) -> Reply {
    let body = asked.json();
    let values = |list: &Value| -> Option<Vec<String>> {
        let sets = list.as_array().unwrap();
        assert!(sets.len() <= 1);
        let one = sets.first()?;
        assert_eq!((&one["name"], &one["type"]), (&json!(format!("{NAME}.")), &json!("TXT")));
        let values: Vec<String> = serde_json::from_value(one["rrdatas"].clone()).unwrap();
        assert!(!values.is_empty() && values.iter().all(|it| it.starts_with('"')), "{values:?}");
        Some(values)
    };
    let (deletion, addition) = (values(&body["deletions"]), values(&body["additions"]));
    let mut after = zone.set.clone();
    if let Some(deletion) = deletion {
        if after != Some(deletion) || body["deletions"][0]["ttl"] != 300 {
            return wrong(412, "conditionNotMet", "Precondition not met for 'entity.change.deletions[0]'");
        }
        after = None;
    }
    if let Some(addition) = addition {
        if after.is_some() {
            return wrong(409, "alreadyExists", "The resource 'entity.change.additions[0]' already exists");
        }
        after = Some(addition);
    }
    zone.set = after;
    Reply::json(200, &json!({ "kind": "dns#change", "id": "1", "status": "pending" }))
}

async fn google() -> (StandIn, Kept) {
    let kept: Kept = Arc::new(Mutex::new(Zone { set: Some(vec!["\"theirs\"".to_owned()]), ..Zone::default() }));
    let zone = Arc::clone(&kept);
    let server = StandIn::start(move |asked| answer(&mut zone.lock().unwrap(), asked)).await;
    kept.lock().unwrap().token_uri = format!("{}/token", server.url);
    (server, kept)
}

fn world(server: &StandIn, zone: &str) -> World {
    let file = key_file(&format!("{}/token", server.url), key()).to_string();
    with_file(server, zone, &file)
}

fn with_file(server: &StandIn, zone: &str, file: &str) -> World {
    server.world(DnsProviderKind::GoogleCloudDns, zone, &[("serviceAccountKey", file), ("endpoint", &server.url)])
}

fn values(kept: &Kept) -> Vec<String> {
    let set = kept.lock().unwrap().set.clone().unwrap_or_default();
    set.iter().map(|it| it.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn values_come_and_go_one_by_one() {
    for zone in ["acme-zone", "acme-dns/acme-zone", "acme.test"] {
        let (server, kept) = google().await;
        fits(&world(&server, zone), || values(&kept)).await;
    }
}

#[tokio::test]
async fn a_change_in_between_is_not_lost() {
    let quoted = |values: &[&str]| Some(values.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>());
    for (before, meanwhile) in [(Some(vec!["theirs"]), vec!["theirs", "late"]), (None, vec!["late"])] {
        let (server, kept) = google().await;
        let world = world(&server, "acme-zone");
        {
            let mut zone = kept.lock().unwrap();
            zone.set = before.and_then(|it| quoted(&it));
            zone.meanwhile = quoted(&meanwhile);
        }
        world.set("ours").await.unwrap();
        let mut expected = [&meanwhile[..], &["ours"]].concat();
        assert_eq!(values(&kept), expected, "set");
        kept.lock().unwrap().meanwhile = quoted(&[&expected[..], &["later"]].concat());
        world.remove("ours").await.unwrap();
        expected.pop();
        expected.push("later");
        assert_eq!(values(&kept), expected, "removed");
    }
}

#[tokio::test]
async fn faults_are_told_as_what_they_are() {
    let (server, _) = google().await;
    passes_on_faults(&world(&server, "acme-zone"), &server).await;
    refuses(world(&server, "other").set("a").await, &["Google Cloud DNS", "404", "managedZone"]);
    refuses(world(&server, "other.test").set("a").await, &["no public zone other.test", "hostedZoneId"]);
}

#[tokio::test]
async fn key_files_are_tried_by_the_token_they_get() {
    let (server, _) = google().await;
    world(&server, "acme-zone").check_connection().await.unwrap();
    let uri = format!("{}/token", server.url);
    let another = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut of_a_user = key_file(&uri, key());
    of_a_user["type"] = json!("external_account");
    let mut broken = key_file(&uri, key());
    broken["private_key"] = json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    for (file, words) in [
        (key_file(&uri, &another).to_string(), &["Google sign-in", "Invalid JWT Signature"][..]),
        (of_a_user.to_string(), &["another type than service_account"]),
        (broken.to_string(), &["private_key", "not an RSA key"]),
        ("{\"private_key\": \"top secret\"}".to_owned(), &["not a service account's key file"]),
        (key_file("http://127.0.0.1/token", key()).to_string(), &["token_uri", "https://"]),
        (key_file("https://169.254.169.254/token", key()).to_string(), &["may not ask"]),
    ] {
        let outcome = with_file(&server, "acme-zone", &file).check_connection().await;
        refuses(outcome.clone(), words);
        let error = outcome.unwrap_err();
        assert!(!format!("{error:?}").contains("top secret"), "{error:?}");
    }
}
