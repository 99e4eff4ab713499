//! The tables of `docs/reference/performance.md`; the words around them are written by hand and kept.

use std::fmt::Write;
use std::time::Duration;

use chancery_authority::stage::Stage;

use super::IssuePath;
use super::crypto::Bare;
use super::load::Round;
use super::machine;
use super::server::Sample;
use crate::workspace::Workspace;

const PAGE: &str = "docs/reference/performance.md";

/// When, where and by which command a table was measured.
pub fn heading() -> String {
    let command: Vec<String> = std::env::args().skip(1).map(hide_password).collect();
    format!(
        "Measured on {} by `cargo xtask {}`; {}; {}. The client is a process of its own on the same machine.\n",
        machine::output("date", &["-u", "+%F"]),
        command.join(" "),
        machine::described(),
        machine::output("rustc", &["--version"]),
    )
}

pub struct Report {
    pub starts: Vec<Start>,
    pub rows: Vec<Row>,
}

/// What one server needed before and beside the load.
pub struct Start {
    pub database: &'static str,
    /// Wall time of the whole quickstart on an empty folder.
    pub first_certificate: Duration,
    pub idle_kib: u64,
    pub loaded_kib: u64,
}

pub struct Row {
    pub database: &'static str,
    pub path: IssuePath,
    pub clients: usize,
    pub round: Round,
    pub used: Sample,
    pub bare: Bare,
}

impl Row {
    /// Certificates the clients received; what the server counts beside it would be a fault.
    fn count(&self) -> f64 {
        self.round.count().max(1) as f64
    }

    fn cpu_micros(&self) -> f64 {
        self.used.cpu_micros as f64 / self.count()
    }

    /// The cryptography without which there is no certificate.
    fn bare_micros(&self) -> f64 {
        let nanos = match self.path {
            IssuePath::Csr => self.bare.verify + self.bare.sign,
            IssuePath::ServerKey => self.bare.generate + self.bare.sign,
        };
        nanos as f64 / 1000.0
    }
}

impl Report {
    pub fn render(&self) -> String {
        let mut text = heading();
        self.render_starts(&mut text);
        self.render_rows(&mut text);
        self.render_stages(&mut text);
        text
    }

    // Writing to a String cannot fail, so the results are dropped below.

    fn render_starts(&self, text: &mut String) {
        text.push_str(
            "\n| database | quickstart, whole | resident when idle | resident after the load |\n|---|---|---|---|\n",
        );
        for start in &self.starts {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let seconds = start.first_certificate.as_secs_f64();
            let (idle, loaded) = (mib(start.idle_kib), mib(start.loaded_kib));
            let _ = writeln!(text, "| {} | {seconds:.2} s | {idle:.1} MiB | {loaded:.1} MiB |", start.database);
        }
    }

    fn render_rows(&self, text: &mut String) {
        text.push_str(
            "\n| database | path | clients | certificates/s | p50 ms | p99 ms | server CPU µs | bare crypto µs | ratio | client CPU µs | bytes written | log bytes |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let (count, round) = (row.count(), &row.round);
            let _ = write!(text, "| {} | {} | {} ", row.database, row.path.as_str(), row.clients);
            let (rate, median, late) = (round.per_second(), round.quantile_millis(0.5), round.quantile_millis(0.99));
            let _ = write!(text, "| {rate:.0} | {median:.2} | {late:.2} ");
            let (cpu, bare) = (row.cpu_micros(), row.bare_micros());
            let _ = write!(text, "| {cpu:.1} | {bare:.1} | {:.2} × ", cpu / bare);
            let log = row.used.log.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / count));
            let (client, written) = (round.client_cpu_micros as f64 / count, row.used.written as f64 / count);
            let _ = writeln!(text, "| {client:.1} | {written:.0} | {log} |");
        }
    }

    fn render_stages(&self, text: &mut String) {
        text.push_str(
            "\nMicroseconds per certificate in each stage, by the server's own clock: wall time, so a stage that waits for a \
             processor or, in `record`, for the group commit counts its waiting too.\n\n",
        );
        let names: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        let rules = "---|".repeat(names.len() + 3);
        let _ = writeln!(text, "| database | path | clients | {} |\n|{rules}", names.join(" | "));
        for row in &self.rows {
            let _ = write!(text, "| {} | {} | {} |", row.database, row.path.as_str(), row.clients);
            for stage in &names {
                let nanos = row.used.stage_nanos.get(*stage).copied().unwrap_or_default();
                let _ = write!(text, " {:.1} |", nanos as f64 / 1000.0 / (row.used.issued.max(1) as f64));
            }
            text.push('\n');
        }
    }
}

/// A database address without its password.
fn hide_password(argument: String) -> String {
    match argument.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (user, place))) => {
            format!("{scheme}://{}@{place}", user.split(':').next().unwrap_or_default())
        }
        None => argument,
    }
}

/// Puts the tables of a benchmark between its marks; a page without them gets them at its end.
pub fn write(workspace: &Workspace, bench: &str, tables: &str) -> Result<(), String> {
    let page = workspace.text(PAGE).unwrap_or_else(|_| "# Performance\n".to_owned());
    let path = workspace.root.join(PAGE);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::write(path, replaced(&page, bench, tables)).map_err(|error| format!("{PAGE}: {error}"))
}

fn replaced(page: &str, bench: &str, tables: &str) -> String {
    let (begin, end) = (format!("<!-- bench {bench}: begin -->"), format!("<!-- bench {bench}: end -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or((page, ""));
    let after = rest.split_once(&end).map_or("\n", |(_, after)| after);
    format!("{}\n\n{begin}\n{}\n{end}{after}", before.trim_end(), tables.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tables_are_replaced() {
        let first = replaced("# Performance\n", "issue", "one");
        let second = replaced(&format!("{}\n## Where the time goes\n", first.trim_end()), "issue", "two");
        let (begin, end) = ("<!-- bench issue: begin -->", "<!-- bench issue: end -->");
        assert_eq!(second, format!("# Performance\n\n{begin}\ntwo\n{end}\n## Where the time goes\n"));
        assert!(replaced(&second, "crl", "three").contains("two\n<!-- bench issue: end -->"));
    }

    #[test]
    fn a_password_does_not_reach_the_page() {
        let shown = hide_password("postgres://chancery:secret@127.0.0.1:5432/postgres".to_owned());
        assert_eq!(shown, "postgres://chancery@127.0.0.1:5432/postgres");
        assert_eq!(hide_password("--postgres".to_owned()), "--postgres");
    }
}
