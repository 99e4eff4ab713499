//! Whole starts on a temporary folder: what a first start makes, and which states are refused.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use chancery_keys::SystemRandomness;
use chancery_model::time::SystemClock;
use chancery_server::{Config, RunningServer, StartError, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn config(data_dir: &Path, more: &[(&str, &str)]) -> Config {
    let data_dir = data_dir.to_str().unwrap();
    let own = [("CHANCERY_DATA_DIR", data_dir), ("CHANCERY_LISTEN", "127.0.0.1:0")];
    let variables = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(None, variables).unwrap()
}

async fn started(config: Config) -> Result<RunningServer, StartError> {
    start(config, Arc::new(SystemClock), Arc::new(SystemRandomness)).await
}

async fn refusal(config: Config) -> StartError {
    started(config).await.err().expect("the server started")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn health(server: &RunningServer) -> io::Result<String> {
    answer(server.address, "/healthz").await
}

async fn answer(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_first_start_makes_private_files_and_a_second_one_finds_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for round in 0..2 {
        let server = started(config(&data, &[])).await.unwrap();
        assert_ne!(server.address.port(), 0);
        assert_eq!(server.url(), format!("http://{}", server.address));
        assert!(health(&server).await.unwrap().starts_with("HTTP/1.1 200 "), "round {round}");
        let address = server.address;
        server.stop().await;
        assert!(TcpStream::connect(address).await.is_err(), "round {round}");
    }
    assert_eq!((mode(&data), mode(&data.join("kek")), mode(&data.join("chancery.db"))), (0o700, 0o600, 0o600));
}

#[tokio::test]
async fn files_that_others_can_read_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    started(config(dir.path(), &[])).await.unwrap().stop().await;
    for name in ["kek", "chancery.db"] {
        let path = dir.path().join(name);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let message = refusal(config(dir.path(), &[])).await.to_string();
        assert!(message.contains(&format!("chmod 600 {}", path.display())), "{message}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    started(config(dir.path(), &[])).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_lost_or_wrong_key_encryption_key_is_told_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    started(config(dir.path(), &[])).await.unwrap().stop().await;
    let (kek, kept) = (dir.path().join("kek"), dir.path().join("kept"));
    std::fs::rename(&kek, &kept).unwrap();
    assert!(matches!(refusal(config(dir.path(), &[])).await, StartError::MissingKek { .. }));
    assert!(!kek.exists(), "no new key is made for data sealed under another");

    let other = [("CHANCERY_KEK", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")];
    let message = refusal(config(dir.path(), &other)).await.to_string();
    assert!(message.contains("another key-encryption key"), "{message}");

    std::fs::rename(&kept, &kek).unwrap();
    started(config(dir.path(), &[])).await.unwrap().stop().await;
}

#[tokio::test]
async fn postgresql_without_a_key_is_refused_before_connecting() {
    let dir = tempfile::tempdir().unwrap();
    let unreachable = [("CHANCERY_DATABASE_URL", "postgres://u@127.0.0.1:1/d")];
    let message = refusal(config(dir.path(), &unreachable)).await.to_string();
    assert!(message.contains("openssl rand -hex 32"), "{message}");
    assert!(!dir.path().join("kek").exists());
}

#[tokio::test]
async fn a_taken_port_is_named_and_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let error = refusal(config(&data, &[("CHANCERY_LISTEN", &address)])).await;
    assert!(error.to_string().contains(&address), "{error}");
    assert!(!data.exists());
}

#[tokio::test]
async fn the_repository_has_a_listener_of_its_own_whose_port_certificates_name() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("CHANCERY_REPOSITORY_LISTEN", "127.0.0.1:0"), ("CHANCERY_REPOSITORY_URL", "http://127.0.0.1:0/")];
    let server = started(config(dir.path(), &settings)).await.unwrap();
    let address = server.repository_address.unwrap();
    assert_ne!(address, server.address);
    assert_eq!(server.authority().repository_url(), Some(format!("http://{address}").as_str()));
    assert!(answer(address, "/healthz").await.unwrap().starts_with("HTTP/1.1 404 "), "no other route");
    let unknown = "/api/v1/cert-manager/crl/00000000-0000-7000-8000-000000000000/der";
    for listener in [address, server.address] {
        assert!(answer(listener, unknown).await.unwrap().ends_with("There is no such CRL\n"), "{listener}");
    }
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "it is stopped with the server");

    let without = started(config(dir.path(), &[])).await.unwrap();
    assert_eq!((without.repository_address, without.authority().repository_url()), (None, None));
    without.stop().await;
}

#[tokio::test]
async fn a_taken_port_of_the_repository_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let error = refusal(config(dir.path(), &[("CHANCERY_REPOSITORY_LISTEN", &address)])).await;
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn challenges_have_listeners_of_their_own_that_answer_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let without = started(config(dir.path(), &[])).await.unwrap();
    assert_eq!((without.acme_http_address, without.acme_tls_address), (None, None));
    without.stop().await;

    let settings = [("CHANCERY_ACME_HTTP_LISTEN", "127.0.0.1:0"), ("CHANCERY_ACME_TLS_LISTEN", "127.0.0.1:0")];
    let server = started(config(dir.path(), &settings)).await.unwrap();
    let (http, tls) = (server.acme_http_address.unwrap(), server.acme_tls_address.unwrap());
    for path in ["/.well-known/acme-challenge/token", "/healthz", "/api/v1/cert-manager/ca/internal", "/"] {
        assert!(answer(http, path).await.unwrap().starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(TcpStream::connect(tls).await.is_ok());
    server.stop().await;
    for address in [http, tls] {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is stopped with the server");
    }
}

#[tokio::test]
async fn a_dns_hook_that_others_can_change_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let hook = dir.path().join("hook");
    std::fs::write(&hook, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&hook, Permissions::from_mode(0o775)).unwrap();
    let listed = format!("inner={}", hook.display());
    let settings = [("CHANCERY_DNS_HOOKS", listed.as_str())];
    let data = dir.path().join("data");
    let message = refusal(config(&data, &settings)).await.to_string();
    assert!(message.contains(&format!("chmod go-w {}", hook.display())), "{message}");
    std::fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    started(config(&data, &settings)).await.unwrap().stop().await;
}
