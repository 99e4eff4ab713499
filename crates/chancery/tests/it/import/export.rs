//! What comes out again: files in every form, tables, and the older routes by serial number.

use super::*;

/// Both ages of PKCS#12, read by OpenSSL: key, certificate and chain are in it.
async fn check_pkcs12(world: &World, id: &str, count: usize) {
    for (legacy, cipher) in [(false, "AES-256-CBC"), (true, "pbeWithSHA1And3-KeyTripleDES-CBC")] {
        let wanted = json!({"password": "correct horse", "alias": "www", "legacy": legacy});
        let url = path(&format!("/{id}/pkcs12"));
        let answer = world
            .admin()
            .raw(Method::POST, &url, &[("content-type", "application/json")], wanted.to_string().into_bytes())
            .await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["cache-control"].to_str().unwrap().contains("no-store"));
        assert!(answer.headers()["content-disposition"].to_str().unwrap().ends_with(".p12\""));
        let bytes = answer.bytes().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("it.p12"), &bytes).unwrap();
        let said = openssl(
            folder.path(),
            &["pkcs12", "-legacy", "-in", "it.p12", "-info", "-nodes", "-passin", "pass:correct horse"],
        )
        .succeeded();
        assert!(said.stderr.contains(cipher), "legacy {legacy}: {}", said.stderr);
        assert_eq!(said.stdout.matches("BEGIN CERTIFICATE").count(), count);
        assert!(said.stdout.contains("PRIVATE KEY-----"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_reads_every_export() {
    let foreign = Foreign::usual();
    let world = world_for(&foreign).await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let body = json!({"certificatePem": foreign.read("leaf.pem"), "chainPem": foreign.read("root.pem"),
        "privateKeyPem": foreign.read("leaf.key")});
    let foreign_id = imported(&world, &body).await;
    for (id, names, count) in
        [(text(&issued, "/certificate/certificateId"), "www.acme.test", 3), (foreign_id, "www.elsewhere.test", 2)]
    {
        for (format, media_type, ending) in [
            ("pem", "application/x-pem-file", "pem"),
            ("chain", "application/x-pem-file", "chain.pem"),
            ("der", "application/pkix-cert", "cer"),
            ("pkcs7", "application/pkcs7-mime", "p7b"),
        ] {
            let url = path(&format!("/{id}/export?format={format}"));
            let answer = world.auditor().raw(Method::GET, &url, &[], Vec::new()).await;
            assert_eq!(answer.status(), 200, "{format}");
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert!(header("content-type").starts_with(media_type), "{format}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            let disposition = header("content-disposition");
            assert!(
                disposition.starts_with("attachment; filename=\"certificate-")
                    && disposition.ends_with(&format!(".{ending}\"")),
                "{disposition}"
            );
            let bytes = answer.bytes().await.unwrap();
            let certificates = match format {
                "der" => judge::openssl_reads(&["x509", "-inform", "DER"], &bytes),
                "pkcs7" => judge::openssl_reads(&["pkcs7", "-inform", "DER", "-print_certs"], &bytes),
                _ => String::from_utf8(bytes.to_vec()).unwrap(),
            };
            let wanted = if matches!(format, "pem" | "der") { 1 } else { count };
            assert_eq!(certificates.matches("BEGIN CERTIFICATE").count(), wanted, "{format}: {certificates}");
            let first = &certificates[certificates.find("-----BEGIN").unwrap()..];
            assert!(judge::openssl_text(first).contains(names), "{format}");
        }
        check_pkcs12(&world, &id, count).await;
        let formats: Vec<Value> = entries(&world, "certificate.private-key-read", &id)
            .await
            .iter()
            .map(|it| it["details"]["format"].clone())
            .collect();
        assert_eq!(formats, [json!("pkcs12-legacy"), json!("pkcs12")], "each reading says in which form");
    }
    let url = path(&format!("/{}/export?format=docx", text(&issued, "/certificate/certificateId")));
    assert_eq!(world.auditor().get(&url).await.0, 422);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_becomes_a_table_that_no_spreadsheet_takes_for_formulas() {
    let foreign = Foreign::rsa("=cmd|calc", 2048, "sha256");
    let world = world_for(&foreign).await;
    let pki = world.pki().await;
    imported(&world, &json!({"certificatePem": foreign.read("leaf.pem"), "friendlyName": "@SUM(1,2)"})).await;
    for number in 0..30 {
        let name = format!("n{number}.acme.test");
        world.issue(pki.profile, &json!({"attributes": {"commonName": name}})).await;
    }
    let url = format!("/api/v1/projects/{}/certificates/export-csv", project(&world).await);
    let json = [("content-type", "application/json")];
    let answer = world.auditor().raw(Method::POST, &url, &json, b"{\"limit\": 5}".to_vec()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"certificates.csv\"");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let table = answer.text().await.unwrap();
    let rows: Vec<&str> = table.split("\r\n").collect();
    assert!(rows[0].starts_with("id,status,common_name,"), "{}", rows[0]);
    assert_eq!(rows.len(), 33, "a heading, 31 certificates, and the end: a limit does not bind");
    assert!(table.contains("\"'=cmd|calc\"") && table.contains("\"'@SUM(1,2)\""), "{table}");
    assert!(!table.contains(",=") && !table.contains(",@"), "{table}");
    let filtered = world.auditor().raw(Method::POST, &url, &json, b"{\"source\": \"imported\"}".to_vec()).await;
    assert_eq!(filtered.text().await.unwrap().matches("\r\n").count(), 2);
    let nothing = world.auditor().raw(Method::POST, &url, &json, b"{\"source\": \"discovered\"}".to_vec()).await;
    assert_eq!(nothing.text().await.unwrap().matches("\r\n").count(), 1, "the heading alone");
    let wrong = world.auditor().raw(Method::POST, &url, &json, b"{\"sortBy\": \"serial; DROP\"}".to_vec()).await;
    assert_eq!(wrong.status(), 422);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_routes_name_a_certificate_by_its_serial_number() {
    let world = World::start().await;
    let pki = world.pki().await;
    let issued = world.issue(pki.profile, &json!({})).await;
    let (serial, id) = (text(&issued, "/certificate/serialNumber"), text(&issued, "/certificate/certificateId"));
    let old = |serial: &str, rest: &str| format!("/api/v1/pki/certificates/{serial}{rest}");
    for spelled in [serial.clone(), serial.to_uppercase()] {
        let it = world.auditor().ok(Method::GET, &old(&spelled, ""), None).await;
        assert_eq!(it["certificate"]["id"], json!(id));
    }
    let it = world.auditor().ok(Method::GET, &old(&serial, "/certificate"), None).await;
    assert_eq!(it["certificate"], issued["certificate"]["certificate"]);
    assert_eq!(it["serialNumber"], json!(serial));
    let bundle = world.operator().ok(Method::GET, &old(&serial, "/bundle"), None).await;
    assert_eq!(bundle["privateKey"], issued["certificate"]["privateKey"]);
    assert_eq!(world.auditor().ok(Method::GET, &old(&serial, "/bundle"), None).await["privateKey"], Value::Null);
    let key = world.operator().ok(Method::GET, &old(&serial, "/private-key"), None).await;
    assert_eq!(key, issued["certificate"]["privateKey"]);
    assert_eq!(world.auditor().get(&old(&serial, "/private-key")).await.0, 403);
    for unknown in ["00", "no-hex", &"ab".repeat(40)] {
        assert_eq!(world.admin().get(&old(unknown, "")).await.0, 404, "{unknown}");
    }
    assert_eq!(world.other_project_admin().await.get(&old(&serial, "")).await.0, 404);
    assert_eq!(world.operator().delete(&old(&serial, "")).await.0, 403);
    let gone = world.admin().ok(Method::DELETE, &old(&serial, ""), None).await;
    assert_eq!(gone["certificate"]["id"], json!(id));
    assert_eq!(world.admin().get(&old(&serial, "")).await.0, 404);
    world.stop().await;
}
