//! The floor table of `ARCHITECTURE.md` against every `Cargo.toml`.
//!
//! A row reads `| floor | crate | what lives here | may use | never |`. Of our own crates only those under *may use* may
//! be depended on, never one of a higher floor, and never a door by a door. *never* lists foreign crates whose presence
//! would mean that a floor has learnt what it must not know.

use std::collections::BTreeMap;

use crate::workspace::Member;

/// The floor of the doors; they never see each other.
const DOORS: u8 = 4;

#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// `None` for crates beside the house (`testkit`, `xtask`).
    floor: Option<u8>,
    may_use: Vec<String>,
    never: Vec<String>,
}

pub fn check(architecture: &str, members: &[Member]) -> Vec<String> {
    let table = match parse(architecture) {
        Ok(table) => table,
        Err(problem) => return vec![format!("ARCHITECTURE.md: {problem}")],
    };
    let mut problems = Vec::new();
    for name in table.keys().filter(|name| !members.iter().any(|member| &&member.name == name)) {
        problems.push(format!("ARCHITECTURE.md: the floor table has {name}, but there is no crates/{name}"));
    }
    for member in members {
        match table.get(&member.name) {
            None => {
                problems.push(format!("crates/{0}: {0} is missing in the floor table of ARCHITECTURE.md", member.name))
            }
            Some(row) => problems.extend(check_member(member, row, &table)),
        }
    }
    problems
}

fn check_member(member: &Member, row: &Row, table: &BTreeMap<String, Row>) -> Vec<String> {
    let mut problems = Vec::new();
    let manifest = format!("crates/{}/Cargo.toml", member.name);
    for dependency in &member.dependencies {
        if row.never.contains(dependency) {
            problems.push(format!("{manifest}: {} must never use {dependency} (ARCHITECTURE.md)", member.name));
        }
        let Some((ours, lower)) = ours(dependency, table) else { continue };
        if !row.may_use.iter().any(|allowed| allowed == ours) {
            problems.push(format!("{manifest}: the floor table does not let {} use {ours}", member.name));
        }
        match (row.floor, lower.floor) {
            (Some(_), None) => problems.push(format!("{manifest}: {ours} is for tests and tools only")),
            (Some(own), Some(other)) if other > own => {
                problems.push(format!("{manifest}: floor {own} may not look up to {ours} on floor {other}"));
            }
            (Some(DOORS), Some(DOORS)) => {
                problems.push(format!("{manifest}: doors never see each other, so not {ours}"))
            }
            _ => {}
        }
    }
    for dependency in &member.dev_dependencies {
        // A test may look at a lower floor from outside, and at the testkit; never up.
        let Some((ours, Row { floor: Some(other), .. })) = ours(dependency, table) else { continue };
        if row.floor.is_some_and(|own| *other > own) {
            problems.push(format!("{manifest}: the tests of {} may not look up to {ours}", member.name));
        }
    }
    problems
}

/// The crate of ours that a manifest means by this name.
fn ours<'a>(dependency: &'a str, table: &'a BTreeMap<String, Row>) -> Option<(&'a str, &'a Row)> {
    let name = dependency.strip_prefix("chancery-").unwrap_or(dependency);
    table.get(name).filter(|_| name != dependency || name == "chancery").map(|row| (name, row))
}

fn parse(architecture: &str) -> Result<BTreeMap<String, Row>, String> {
    let header = "| floor | crate |";
    let Some(start) = architecture.lines().position(|line| line.starts_with(header)) else {
        return Err(format!("no table that begins with \"{header}\""));
    };
    let mut table = BTreeMap::new();
    for line in architecture.lines().skip(start + 2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [floor, name, _, may_use, never] = cells.as_slice() else {
            return Err(format!("a row of the floor table has not five cells: {line}"));
        };
        let floor = match *floor {
            "–" => None,
            number => Some(number.parse().map_err(|_| format!("not a floor: {number}"))?),
        };
        for name in quoted(name) {
            let row = Row { floor, may_use: quoted(may_use), never: quoted(never) };
            if table.insert(name.clone(), row).is_some() {
                return Err(format!("{name} stands twice in the floor table"));
            }
        }
    }
    Ok(table)
}

/// The names between backticks in a cell.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| floor | crate | what lives here | may use | never |
|---|---|---|---|---|
| 4 | `api` | JSON | `authority`, `web` | |
| 4 | `web` | pages | `authority` | |
| 3 | `authority` | decisions | `pkix` | `axum` |
| 0 | `pkix` | bytes | – | `tokio` |
| – | `testkit` | tests | `api` | |
";

    fn member(name: &str, dependencies: &[&str], dev: &[&str]) -> Member {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Member {
            name: name.to_owned(),
            package: format!("chancery-{name}"),
            dependencies: names(dependencies),
            dev_dependencies: names(dev),
        }
    }

    /// Puts one crate of the table in another light and compares what is said about it.
    fn check_one(changed: Member, expected: &[&str]) {
        let mut members: Vec<Member> = vec![
            member("api", &["chancery-authority", "axum"], &[]),
            member("web", &["chancery-authority"], &["chancery-testkit"]),
            member("authority", &["chancery-pkix"], &[]),
            member("pkix", &["der"], &[]),
            member("testkit", &["chancery-api"], &[]),
        ];
        members.retain(|member| member.name != changed.name);
        members.push(changed);
        assert_eq!(check(TABLE, &members), expected);
    }

    #[test]
    fn a_house_that_follows_its_plan_has_no_problem() {
        check_one(member("pkix", &["der"], &["chancery-testkit"]), &[]);
    }

    #[test]
    fn a_dependency_outside_the_plan_is_named() {
        let manifest = "crates/authority/Cargo.toml";
        check_one(
            member("authority", &["chancery-pkix", "axum"], &[]),
            &[&format!("{manifest}: authority must never use axum (ARCHITECTURE.md)")],
        );
        check_one(
            member("authority", &["chancery-web"], &[]),
            &[
                &format!("{manifest}: the floor table does not let authority use web"),
                &format!("{manifest}: floor 3 may not look up to web on floor 4"),
            ],
        );
        check_one(
            member("authority", &[], &["chancery-api"]),
            &[&format!("{manifest}: the tests of authority may not look up to api")],
        );
        check_one(
            member("api", &["chancery-web"], &[]),
            &["crates/api/Cargo.toml: doors never see each other, so not web"],
        );
        check_one(
            member("web", &["chancery-testkit"], &[]),
            &[
                "crates/web/Cargo.toml: the floor table does not let web use testkit",
                "crates/web/Cargo.toml: testkit is for tests and tools only",
            ],
        );
    }

    #[test]
    fn table_and_folders_must_name_the_same_crates() {
        let problems = check(TABLE, &[member("acme", &[], &[])]);
        assert_eq!(problems.len(), 6);
        assert!(problems.contains(&"crates/acme: acme is missing in the floor table of ARCHITECTURE.md".to_owned()));
        assert!(
            problems.contains(&"ARCHITECTURE.md: the floor table has pkix, but there is no crates/pkix".to_owned())
        );
    }

    #[test]
    fn a_paper_without_a_table_is_a_problem() {
        assert_eq!(check("# The house", &[]).len(), 1);
    }
}
