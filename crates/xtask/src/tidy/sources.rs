//! Habits that can be seen in a file's text: lengths, names, unfinished work, and knowledge in the wrong room.

/// More than this is two files.
const FILE_LINES_MAX: usize = 800;
/// A crate's opening words say what lives there; the rest belongs to its modules.
const OPENING_LINES_MAX: usize = 40;

/// Module names that say nothing about what lives inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "base", "core", "types", "manager", "stuff"];

/// Knowledge that must be absent: (needle, where it may stand, why).
const ABSENT: &[(&str, &[&str], &str)] = &[
    ("\"SELECT ", &["crates/store/", "crates/testkit/", "crates/xtask/"], "SQL lives in the store"),
    ("\"INSERT INTO ", &["crates/store/", "crates/testkit/", "crates/xtask/"], "SQL lives in the store"),
    ("\"DELETE FROM ", &["crates/store/", "crates/testkit/", "crates/xtask/"], "SQL lives in the store"),
    (
        "chancery_store::Store",
        &["crates/store/", "crates/authority/", "crates/testkit/", "crates/xtask/"],
        "only authority holds the writing store",
    ),
    (
        "Store::open",
        &["crates/store/", "crates/authority/", "crates/testkit/", "crates/xtask/"],
        "only authority holds the writing store",
    ),
    (
        "StatusCode",
        &[
            "crates/api/",
            "crates/repository/",
            "crates/web/",
            "crates/egress/",
            "crates/server/",
            "crates/cli/",
            "crates/chancery/",
            "crates/testkit/",
            "crates/xtask/",
        ],
        "an HTTP status is a door's word, or of the way out",
    ),
    (
        "println!(",
        &["crates/cli/", "crates/chancery/", "crates/xtask/", "crates/testkit/"],
        "only commands speak to a terminal",
    ),
    (
        "SystemTime::now(",
        &["crates/model/", "crates/server/", "crates/chancery/", "crates/cli/", "crates/xtask/"],
        "time comes from the Clock",
    ),
];

pub fn check(sources: &[(String, String)]) -> Vec<String> {
    sources.iter().flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let count = text.lines().count();
    if count > FILE_LINES_MAX {
        problems.push(format!("{path}: {count} lines, at most {FILE_LINES_MAX}"));
    }
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    let folder = path.rsplit('/').nth(1).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) || (stem == "mod" && EMPTY_NAMES.contains(&folder)) {
        problems.push(format!("{path}: a name that says nothing about what lives here"));
    }
    problems.extend(opening(path, text));
    let in_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    // Tests stand at the end of a file, so everything before them is the product.
    let product_lines = text.lines().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(count);
    for (index, line) in text.lines().enumerate() {
        let product = !in_tests && index < product_lines;
        problems.extend(line_problems(path, line, product).map(|problem| format!("{path}:{}: {problem}", index + 1)));
    }
    problems
}

/// Each `lib.rs` says at once what lives in the crate.
fn opening(path: &str, text: &str) -> Option<String> {
    if !path.ends_with("/src/lib.rs") && !path.ends_with("/src/main.rs") {
        return None;
    }
    match text.lines().take_while(|line| line.starts_with("//!")).count() {
        0 => Some(format!("{path}: opens without saying what lives here")),
        lines if lines > OPENING_LINES_MAX => {
            Some(format!("{path}: opens with {lines} lines, at most {OPENING_LINES_MAX}"))
        }
        _ => None,
    }
}

fn line_problems<'a>(path: &'a str, line: &'a str, product: bool) -> impl Iterator<Item = String> + 'a {
    // Written in halves, so that this file does not hold what it looks for.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
    let unfinished =
        unfinished.into_iter().filter(|mark| line.contains(mark)).map(|mark| format!("unfinished: {mark}"));
    let ignored = line.contains(concat!("#[", "ignore")).then(|| "a test that does not run".to_owned());
    let allowed =
        line.trim_start().starts_with(concat!("#[", "allow(")).then(|| "expect with a reason, not allow".to_owned());
    let name = line.split_once("fn ").map(|(_, name)| name).filter(|_| !line.trim_start().starts_with("//"));
    let empty = ["get_", "do_", "handle_"].into_iter().find(|prefix| name.is_some_and(|name| name.starts_with(prefix)));
    let empty = empty.map(|prefix| format!("a function named {prefix}… does not say what it does"));
    let absent = ABSENT.iter().filter(move |(needle, rooms, _)| {
        product && says(line, needle) && !rooms.iter().any(|room| path.starts_with(room))
    });
    let absent = absent.map(|(needle, _, why)| format!("{} here: {why}", needle.trim_matches(['"', ' '])));
    unfinished.chain(ignored).chain(allowed).chain(empty).chain(absent)
}

/// Whether the line has the needle as a whole word, so that `StoreError` is not taken for `Store`.
fn says(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| {
        let next = line.get(at + needle.len()..).and_then(|rest| rest.chars().next());
        !needle.ends_with(char::is_alphanumeric) || !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(check_file(path, text), expected, "{path}");
    }

    #[test]
    fn clean_files_pass() {
        check_text("crates/pkix/src/name.rs", "//! Names.\nfn parse() {}\n", &[]);
        check_text("crates/store/src/project.rs", "const ALL: &str = \"SELECT id FROM project\";\n", &[]);
    }

    #[test]
    fn each_habit_is_checked() {
        check_text(
            "crates/api/src/util.rs",
            "",
            &["crates/api/src/util.rs: a name that says nothing about what lives here"],
        );
        check_text(
            "crates/api/src/lib.rs",
            "mod a;\n",
            &["crates/api/src/lib.rs: opens without saying what lives here"],
        );
        check_text(
            "crates/api/src/a.rs",
            concat!("\n", "fn ", "get_name() {}\n"),
            &["crates/api/src/a.rs:2: a function named get_… does not say what it does"],
        );
        check_text(
            "crates/api/src/a.rs",
            "let sql = \"SELECT 1\";\n",
            &["crates/api/src/a.rs:1: SELECT here: SQL lives in the store"],
        );
        check_text(
            "crates/api/src/a.rs",
            concat!("// TO", "DO later\n    #[", "ignore]\n#[", "allow(dead_code)]\n"),
            &[
                concat!("crates/api/src/a.rs:1: unfinished: TO", "DO"),
                "crates/api/src/a.rs:2: a test that does not run",
                "crates/api/src/a.rs:3: expect with a reason, not allow",
            ],
        );
        let long = "\n".repeat(FILE_LINES_MAX + 1);
        check_text("crates/api/src/a.rs", &long, &["crates/api/src/a.rs: 801 lines, at most 800"]);
    }

    #[test]
    fn tests_may_know_more_than_the_product() {
        check_text("crates/api/src/a.rs", "#[cfg(test)]\nlet sql = \"SELECT 1\";\n", &[]);
        check_text("crates/api/tests/it/a.rs", "let sql = \"SELECT 1\";\n", &[]);
    }
}
