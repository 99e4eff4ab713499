//! What a person sees on a page, and what the browser says about it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Browser, texts_of};

impl Browser {
    /// The text of the first element that fits, as it is shown.
    pub async fn text(&self, css: &str) -> String {
        texts_of(&self.ask_element(css, "return arguments[0].innerText.trim()").await)
    }

    /// The texts of all that fit now, in the order of the page.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let script = "const root = arguments[1] ? document.querySelector(arguments[1]) : document;
            return root ? [...root.querySelectorAll(arguments[0])].map((it) => it.innerText.trim()) : []";
        match self.execute(script, &[json!(css), json!(self.scope)]).await {
            Value::Array(texts) => texts.iter().map(texts_of).collect(),
            other => panic!("the texts of {css}: {other}"),
        }
    }

    /// An attribute of the first element that fits; `None` if it has none.
    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let script = format!("return arguments[0].getAttribute({})", json!(name));
        self.ask_element(css, &script).await.as_str().map(str::to_owned)
    }

    /// What is in a field.
    pub async fn value(&self, label: &str) -> String {
        self.ask_field(label, "return arguments[0].value").await
    }

    /// Whether a box is ticked or a choice picked.
    pub async fn is_checked(&self, label: &str) -> bool {
        self.ask_field(label, "return arguments[0].checked").await == "true"
    }

    /// What a screen reader says after the label of a field: hints, and what is wrong with it.
    pub async fn description(&self, label: &str) -> String {
        let script = "const ids = (arguments[0].getAttribute('aria-describedby') || '').split(/\\s+/);
            return ids.map((id) => document.getElementById(id)).filter(Boolean).map((it) => it.innerText).join(' ')";
        self.ask_field(label, script).await
    }

    /// The name of what has the focus, as a screen reader says it; empty: nothing has it.
    pub async fn focused(&self) -> String {
        let script = "const it = document.activeElement;
            if (!it || it === document.body) return '';
            const labels = [...(it.labels || [])].map((label) => label.innerText);
            const said = it.getAttribute('aria-label') || labels[0] || it.innerText || it.value || it.id || it.tagName;
            return said.replace(/\\s+/g, ' ').trim()";
        texts_of(&self.execute(script, &[]).await)
    }

    /// Whether something that fits is shown now.
    pub async fn shows(&self, css: &str) -> bool {
        let script = "const root = arguments[1] ? document.querySelector(arguments[1]) : document;
            const found = root ? [...root.querySelectorAll(arguments[0])] : [];
            return found.some((it) => it.checkVisibility({ visibilityProperty: true }))";
        self.execute(script, &[json!(css), json!(self.scope)]).await == Value::Bool(true)
    }

    /// Whether a text stands on the page now; white space counts as one space.
    pub async fn shows_text(&self, text: &str) -> bool {
        let script = "const root = arguments[1] ? document.querySelector(arguments[1]) : document.body;
            const plain = (it) => it.replace(/\\s+/g, ' ');
            return !!root && plain(root.innerText).includes(plain(arguments[0]))";
        self.execute(script, &[json!(text), json!(self.scope)]).await == Value::Bool(true)
    }

    /// Waits until something that fits is shown.
    pub async fn wait_for(&self, css: &str) {
        let missing = || "it is not shown".to_owned();
        self.patiently(css, async || if self.shows(css).await { Ok(()) } else { Err(missing()) }).await;
    }

    /// Waits until nothing that fits is shown.
    pub async fn wait_until_gone(&self, css: &str) {
        let there = || "it is still shown".to_owned();
        self.patiently(css, async || if self.shows(css).await { Err(there()) } else { Ok(()) }).await;
    }

    /// Waits until a text stands on the page.
    pub async fn wait_for_text(&self, text: &str) {
        let missing = || "the page does not say so".to_owned();
        let what = format!("\"{text}\"");
        self.patiently(&what, async || if self.shows_text(text).await { Ok(()) } else { Err(missing()) }).await;
    }

    /// Waits until the address has this in it, and gives the address.
    pub async fn wait_for_url(&self, part: &str) -> String {
        self.patiently(&format!("an address with {part}"), async || {
            let url = self.url().await;
            if url.contains(part) { Ok(url) } else { Err(format!("it is {url}")) }
        })
        .await
    }

    /// Waits until a file with this in its name has been downloaded; its name and contents.
    pub async fn wait_for_download(&self, part: &str) -> (String, Vec<u8>) {
        let folder = self.inner.folder.path().join("downloads");
        self.patiently(&format!("a download of {part}"), async || {
            let names = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
            let names: Vec<String> = names.flatten().map(|it| it.file_name().to_string_lossy().into_owned()).collect();
            let whole = |name: &&String| name.contains(part) && !name.ends_with(".crdownload");
            let name = names.iter().find(whole).ok_or_else(|| format!("there are {names:?}"))?;
            let bytes = std::fs::read(folder.join(name)).map_err(|error| error.to_string())?;
            Ok((name.clone(), bytes))
        })
        .await
    }

    /// The HTTP status of the page; 0 if the browser does not tell.
    pub async fn status(&self) -> u64 {
        let script = "return (performance.getEntriesByType('navigation')[0] || {}).responseStatus || 0";
        self.execute(script, &[]).await.as_u64().unwrap_or_default()
    }

    /// Bytes of the page and of everything that it loaded, without headers.
    pub async fn weight(&self) -> u64 {
        let script = "const entries = ['navigation', 'resource'].flatMap((it) => performance.getEntriesByType(it));
            return entries.reduce((sum, it) => sum + it.decodedBodySize, 0)";
        self.execute(script, &[]).await.as_u64().unwrap_or_default()
    }

    /// By how many pixels the page is wider than its window.
    pub async fn sideways_overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.execute(script, &[]).await.as_i64().unwrap_or_default()
    }

    /// What the browser has complained about since the last look: scripts that failed, whatever the page's own policy
    /// forbids (CSP), resources that are missing. A refusal of a page itself (4xx) is an answer and no complaint.
    pub async fn complaints(&self) -> Vec<String> {
        let mut log = self.log().await;
        log.retain(|line| !is_refused_page(line));
        log
    }

    /// Fails the test if the browser has complained; see [`Self::complaints`].
    pub async fn assert_quiet(&self) {
        let complaints = self.complaints().await;
        if !complaints.is_empty() {
            panic!("the browser complains:\n{}\n{}", complaints.join("\n"), self.describe().await);
        }
    }

    pub(super) async fn log(&self) -> Vec<String> {
        let log = self.call(Method::POST, "se/log", json!({"type": "browser"})).await.unwrap_or_default();
        let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
        let entries = entries.iter().filter(|it| it["level"] == "SEVERE" || it["level"] == "WARNING");
        entries.filter_map(|it| it["message"].as_str()).map(str::to_owned).collect()
    }
}

/// Pages have no extension in their address; styles, scripts and pictures have one.
fn is_refused_page(line: &str) -> bool {
    let Some((url, reason)) = line.split_once(" - Failed to load resource") else { return false };
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    reason.contains("status of 4") && !last.contains('.')
}

#[cfg(test)]
mod tests {
    use super::is_refused_page;

    #[test]
    fn only_a_refused_page_is_no_complaint() {
        let check = |url: &str, status: &str, expected: bool| {
            let line =
                format!("{url} - Failed to load resource: the server responded with a status of {status} (Reason)");
            assert_eq!(is_refused_page(&line), expected, "{line}");
        };
        check("http://127.0.0.1:1/ui/templates", "422", true);
        check("http://127.0.0.1:1/ui/certificates?q=a.b", "400", true);
        check("http://127.0.0.1:1/ui/assets/style.css", "404", false);
        check("http://127.0.0.1:1/favicon.ico", "404", false);
        check("http://127.0.0.1:1/ui/templates", "500", false);
        assert!(!is_refused_page("http://127.0.0.1:1/ui 3 Refused to apply inline style"));
    }
}
