//! Webhooks: a CloudEvents 1.0 event in structured JSON, signed where the receiver shares a secret.

use aws_lc_rs::hmac;
use chancery_authority::alert::{Message, MessageCertificate, MessageCrl, NotifyError};
use serde_json::{Map, Value, json};

pub const SIGNATURE_HEADER: &str = "x-chancery-signature";

/// Existing receivers tell events apart by this.
const TYPE_PREFIX: &str = "com.infisical.pki.certificate";

/// `t=<unix seconds>,v1=<hex HMAC-SHA-256 over "<t>.<body>">`. The time lets a receiver refuse what was recorded and sent
/// again; the body is signed as it is sent, octet for octet.
#[must_use]
pub fn signature(secret: &str, time: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{time}.").as_bytes());
    context.update(body);
    format!("t={time},v1={}", hex::encode(context.sign()))
}

pub(crate) fn body(message: &Message) -> Result<String, NotifyError> {
    let event = message.event.map_or("test", |event| event.as_str());
    let mut data = Map::new();
    data.insert(
        "alert".to_owned(),
        json!({
            "id": message.alert.id, "name": message.alert.name, "alertBefore": message.alert.before,
            "projectId": message.alert.project_id,
        }),
    );
    let of = |requests: bool| message.certificates.iter().filter(move |it| it.request_id.is_some() == requests);
    data.insert("certificates".to_owned(), of(false).map(certificate).collect());
    if of(true).next().is_some() {
        data.insert("certificateRequests".to_owned(), of(true).map(request).collect());
    }
    if !message.crls.is_empty() {
        data.insert("crls".to_owned(), message.crls.iter().map(crl).collect());
    }
    data.insert("metadata".to_owned(), json!({ "totalCertificates": message.total, "viewUrl": message.view_url }));
    let envelope = json!({
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": format!("{TYPE_PREFIX}.{event}"),
        "subject": format!("certificate-{event}-alert"),
        "time": message.time.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    });
    serde_json::to_string(&envelope).map_err(|_| NotifyError::lasting("the message cannot be written as JSON"))
}

fn certificate(it: &MessageCertificate) -> Value {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("id", json!(it.id));
    put("serialNumber", json!(it.serial_number));
    put("commonName", json!(it.common_name));
    put("san", json!(it.sans));
    put("profileName", json!(it.profile_name));
    put("notBefore", json!(it.not_before.to_string()));
    put("notAfter", json!(it.not_after.to_string()));
    put("status", json!(it.status));
    put("daysUntilExpiry", json!(it.days_until_expiry));
    if let Some(ca) = it.ca_id {
        put("caId", json!(ca));
    }
    if let Some(error) = &it.error {
        put("renewalError", json!(error));
    }
    Value::Object(shown)
}

/// A request that led to no certificate.
fn request(it: &MessageCertificate) -> Value {
    json!({
        "id": it.request_id, "commonName": it.common_name, "san": it.sans, "profileName": it.profile_name,
        "createdAt": it.not_before.to_string(), "status": it.status, "error": it.error,
    })
}

fn crl(it: &MessageCrl) -> Value {
    json!({
        "id": it.id, "caId": it.ca_id, "caName": it.ca_name, "partition": it.partition, "number": it.number,
        "thisUpdate": it.this_update.to_string(), "nextUpdate": it.next_update.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use chancery_model::RequestId;
    use chancery_model::alert::AlertEvent;
    use uuid::Uuid;

    use super::*;
    use crate::sample;

    /// RFC 4231 §4.3 has the key and the HMAC of its text; here the text starts with the time.
    #[test]
    fn the_signature_covers_time_and_body() {
        let signed = signature("Jefe", 7, b"what do ya want for nothing?");
        assert!(signed.starts_with("t=7,v1=") && signed.len() == 7 + 64, "{signed}");
        for other in [
            signature("Jefe", 8, b"what do ya want for nothing?"),
            signature("Jeff", 7, b"what do ya want for nothing?"),
            signature("Jefe", 7, b"what do ya want for nothing!"),
        ] {
            assert_ne!(signed.split_once(",").unwrap().1, other.split_once(",").unwrap().1);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let expected = hmac::sign(&key, b"7.what do ya want for nothing?");
        assert_eq!(signed, format!("t=7,v1={}", hex::encode(expected)));
    }

    #[test]
    fn the_event_has_the_shape_that_receivers_know() {
        let body: Value = serde_json::from_str(&body(&sample::message()).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({
                "specversion": "1.0",
                "id": "00000000-0000-0000-0000-000000000001",
                "source": "https://pki.acme.com/alert",
                "type": "com.infisical.pki.certificate.expiration",
                "subject": "certificate-expiration-alert",
                "time": "2027-01-15T08:00:00.000Z",
                "datacontenttype": "application/json",
                "data": {
                    "alert": {
                        "id": "00000000-0000-0000-0000-000000000002", "name": "soon", "alertBefore": "30d",
                        "projectId": "00000000-0000-0000-0000-000000000003",
                    },
                    "certificates": [{
                        "id": "00000000-0000-0000-0000-000000000004", "serialNumber": "0a1b",
                        "commonName": "www.acme.com", "san": ["www.acme.com", "10.0.0.1"], "profileName": "web",
                        "notBefore": "2026-09-21T14:13:20.000Z", "notAfter": "2027-02-14T08:00:00.000Z",
                        "status": "active", "daysUntilExpiry": 30,
                    }],
                    "metadata": {"totalCertificates": 1, "viewUrl": "https://pki.acme.com/view"},
                },
            })
        );
        let mut failed = Message { event: Some(AlertEvent::IssuanceFailed), ..sample::message() };
        failed.certificates[0].request_id = Some(RequestId::from_uuid(Uuid::from_u128(5)));
        failed.certificates[0].error = Some("it is for another key".to_owned());
        let told: Value = serde_json::from_str(&super::body(&failed).unwrap()).unwrap();
        assert_eq!(told["type"], "com.infisical.pki.certificate.issuance_failed");
        assert_eq!(told["data"]["certificates"], json!([]));
        assert_eq!(told["data"]["certificateRequests"][0]["id"], "00000000-0000-0000-0000-000000000005");
        assert_eq!(told["data"]["certificateRequests"][0]["error"], "it is for another key");
        assert_eq!(told["data"]["certificateRequests"][0].get("serialNumber"), None);
        let test = Message { event: None, ..sample::message() };
        let body: Value = serde_json::from_str(&super::body(&test).unwrap()).unwrap();
        assert_eq!(body["type"], "com.infisical.pki.certificate.test");
    }
}
