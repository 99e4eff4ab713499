//! Running the built program and foreign ones.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the command ended with this code and said these words on standard error.
    #[track_caller]
    pub fn failed(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "\"{word}\" is not in {}", self.stderr);
        }
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The program with a clean environment, started in `directory`.
pub fn chancery<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHANCERY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(directory);
    command
}

/// Runs a command to its end, with text on its standard input.
pub fn run_with(command: &mut Command, input: &str) -> Ended {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
    // A program that ends without reading is not to blame the test for it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn run(command: &mut Command) -> Ended {
    run_with(command, "")
}

/// `openssl` with its answer; a test never goes on without it.
pub fn openssl(directory: &Path, arguments: &[&str]) -> Ended {
    run(Command::new("openssl").args(arguments).current_dir(directory))
}

/// A program that serves until it is told to stop.
pub struct Served {
    child: Child,
    /// Everything it printed before it was ready.
    pub greeting: String,
    pub url: String,
    rest: Option<JoinHandle<String>>,
}

impl Served {
    /// Starts it and waits for the line that says where it listens.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // From here on it is stopped whatever happens.
        let mut served = Self { child, greeting: String::new(), url: String::new(), rest: None };
        let mut errors = served.child.stderr.take().unwrap();
        let rest = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        let mut lines = BufReader::new(served.child.stdout.take().unwrap());
        while served.url.is_empty() {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                panic!("it ended before it listened: {}\n{}", served.greeting, rest.join().unwrap());
            }
            served.greeting.push_str(&line);
            if let Some(url) = line.strip_prefix("listening on ") {
                url.trim().clone_into(&mut served.url);
            }
        }
        // What comes later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        served.rest = Some(rest);
        served
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C, and how it ended.
    pub fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        if let Some(rest) = self.rest.take() {
            let errors = rest.join().unwrap();
            assert!(!errors.contains("panicked"), "{errors}");
        }
        status
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory that the quickstart has filled, and its server running.
pub struct Place {
    pub directory: TempDir,
    pub served: Served,
}

impl Place {
    pub fn ready() -> Self {
        Self::set_up(&[])
    }

    /// With further keys of the configuration, as environment variables.
    pub fn set_up(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut quickstart = chancery(directory.path(), &["quickstart", "--listen", "127.0.0.1:0"]);
        let served = Served::start(quickstart.envs(settings.iter().copied()));
        Self { directory, served }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An operator's command. It finds server and credentials by itself, from where the quickstart was started.
    pub fn chancery(&self, arguments: &[&str]) -> Ended {
        run(&mut chancery(self.directory.path(), arguments))
    }
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Two PEM files, a certificate and a key, belong together.
#[track_caller]
pub fn assert_key_fits(directory: &Path, certificate: &str, key: &str) {
    let of_certificate = openssl(directory, &["x509", "-in", certificate, "-noout", "-pubkey"]).succeeded().stdout;
    let of_key = openssl(directory, &["pkey", "-in", key, "-pubout"]).succeeded().stdout;
    assert_eq!(of_certificate, of_key);
}
