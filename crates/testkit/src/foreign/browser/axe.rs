//! axe-core judges what people with a screen reader, a keyboard or weak eyes get of a page.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::must;
use super::{Browser, texts_of};

const ADVICE: &str = "run scripts/test once: it makes target/test-tools with axe-core in it";

/// WCAG 2.2 up to level AA, and what the makers of axe-core found good besides.
const TAGS: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

impl Browser {
    /// What is wrong with the page as it is shown now, one text for each rule that is broken.
    pub async fn accessibility_faults(&self) -> Vec<String> {
        let source = must(ADVICE, std::fs::read_to_string(program()));
        let options = json!({"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]});
        let script = format!("{source}\n;return axe.run(document, arguments[0]).then((it) => it.violations)");
        let violations = self.execute(&script, &[options]).await;
        let Some(violations) = violations.as_array() else { panic!("axe-core says {violations}") };
        violations.iter().map(sentence).collect()
    }

    /// Fails the test if axe-core finds a fault.
    pub async fn assert_accessible(&self) {
        let faults = self.accessibility_faults().await;
        if !faults.is_empty() {
            panic!("{} is not accessible:\n{}", self.url().await, faults.join("\n"));
        }
    }
}

fn sentence(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let part = |name: &str| texts_of(&violation[name]);
    let places: Vec<String> =
        nodes.iter().map(|it| format!("{}: {}", it["target"], texts_of(&it["failureSummary"]))).collect();
    format!("{} ({}): {}\n  {}", part("id"), part("impact"), part("help"), places.join("\n  "))
}

/// Where `scripts/test` says, or where it would have put it.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("CHANCERY_TEST_AXE") {
        return PathBuf::from(path);
    }
    let libraries = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools/venv/lib"));
    let versions = std::fs::read_dir(&libraries).map(|it| it.flatten().map(|entry| entry.path()).collect());
    let versions: Vec<PathBuf> = versions.unwrap_or_default();
    let inside = |path: &PathBuf| path.join("site-packages/axe_playwright_python/axe.min.js");
    versions.iter().map(inside).find(|path| path.exists()).unwrap_or(libraries)
}
