//! CRLs copied elsewhere: to a directory, and to a server that takes a PUT.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_pkix::crl::CertificateList;
use tokio::net::TcpListener;

use super::*;

/// Longer than any copy takes; nothing waits for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that another task does.
async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a server was sent: target and body of every PUT.
type Received = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that takes PUTs; the first is answered 503.
async fn sink() -> (SocketAddr, Received) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let received = Received::default();
    let keeping = Arc::clone(&received);
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((mut stream, _)) = tcp.accept().await {
            let (target, body) = read_put(&mut stream).await;
            count += 1;
            let status = if count == 1 { "503 Service Unavailable" } else { "201 Created" };
            if count > 1 {
                keeping.lock().unwrap().push((target, body));
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, received)
}

async fn read_put(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let Some(split) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..split]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if bytes.len() >= split + 4 + length {
            assert!(head.starts_with("put ") && head.contains("content-type: application/pkix-crl"), "{head}");
            return (head.split(' ').nth(1).unwrap().to_owned(), bytes[split + 4..].to_vec());
        }
    }
}

fn number(path: &Path) -> Option<i64> {
    CertificateList::from_der(&std::fs::read(path).ok()?).ok()?.number()
}

impl Scene {
    fn crl_id(&self) -> String {
        path(&self.crl_url()).split('/').nth(5).unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_new_crl_is_copied_to_a_directory_and_to_a_server() {
    let (address, received) = sink().await;
    let directory = tempfile::tempdir().unwrap();
    let mirrors = format!("{}, http://{address}/crls/", directory.path().display());
    let scene = Scene::with(builder().setting("crl_mirrors", &mirrors).start().await).await;
    let file: PathBuf = directory.path().join(format!("{}.crl", scene.crl_id()));
    let first = eventually("the first copy", || number(&file)).await;

    scene.revoke("SUPERSEDED").await;
    scene.later(5).await;
    let second = eventually("the newer copy", || number(&file).filter(|number| *number > first)).await;
    let served = get(scene.repository(), path(&scene.crl_url())).await.body;
    assert_eq!(std::fs::read(&file).unwrap(), served);
    // The server's first answer was a failure, and yet it has got everything.
    let target = format!("/crls/{}.crl", scene.crl_id());
    let sent = || {
        let received = received.lock().unwrap();
        received.iter().rev().find(|it| it.0 == target).map(|it| it.1.clone()).filter(|body| *body == served)
    };
    eventually("the copy on the server", sent).await;
    assert_eq!(CertificateList::from_der(&served).unwrap().number(), Some(second));

    let names = std::fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| name.ends_with(".crl") && !name.starts_with('.')), "nothing unfinished");
    scene.world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_is_away_holds_up_nothing_and_gets_everything_when_it_is_back() {
    let place = tempfile::tempdir().unwrap();
    let mount = place.path().join("mount");
    let scene = Scene::with(builder().setting("crl_mirrors", mount.to_str().unwrap()).start().await).await;
    scene.revoke("KEY_COMPROMISE").await;
    scene.later(5).await;
    let served = get(scene.repository(), path(&scene.crl_url())).await.body;
    assert_eq!(CertificateList::from_der(&served).unwrap().entry_count(), 1, "published all the same");
    let failures = |said: String| {
        let line = said.lines().find_map(|line| line.strip_prefix("chancery_crl_mirror_failures_total "));
        line.and_then(|count| count.parse::<u64>().ok())
    };
    let said = scene.world.anonymous().raw(Method::GET, "/metrics", &[], Vec::new()).await.text().await.unwrap();
    assert!(failures(said).is_some_and(|count| count > 0));
    assert!(!mount.exists(), "a directory that is missing is not made");

    std::fs::create_dir(&mount).unwrap();
    let file = mount.join(format!("{}.crl", scene.crl_id()));
    // The next publication, of whichever CRL, brings all that is missing.
    scene.world.root_ca("another", chancery_pkix::KeyAlgorithm::EcP256).await;
    scene.later(1).await;
    eventually("the copy", || std::fs::read(&file).ok().filter(|it| *it == served)).await;
    scene.world.stop().await;
}
