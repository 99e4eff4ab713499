//! What a person does on a page.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Browser, Fault, texts_of};

const FIND: &str = include_str!("find.js");
/// How WebDriver spells a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Longer texts are pasted, as a person would; shorter ones are typed key by key.
const TYPED_MAX: usize = 120;

/// A reference to an element of the page that is shown now.
pub(super) struct Element(Value);

impl Element {
    fn id(&self) -> &str {
        self.0.get(ELEMENT).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Browser {
    /// Clicks on the first element that the selector fits.
    pub async fn click(&self, css: &str) {
        self.patiently(&format!("a click on {css}"), async || {
            let found = self.found("css", css).await?;
            self.press_on(found.first().ok_or("there is no such element")?).await
        })
        .await;
    }

    /// Clicks on the one link, button or summary with this text. If the text stands on one in the main part of the page,
    /// the others do not count; beginnings of longer texts count only where no whole one does.
    pub async fn click_text(&self, text: &str) {
        self.patiently(&format!("a click on \"{text}\""), async || {
            self.press_on(&self.only("button", text).await?).await
        })
        .await;
    }

    /// Replaces what is in a field, by its label or, where no label fits, by a selector.
    pub async fn fill(&self, label: &str, value: &str) {
        self.patiently(&format!("\"{label}\" := \"{value}\""), async || {
            let field = self.only("control", label).await?;
            if self.set_directly(&field, value).await? {
                return Ok(());
            }
            self.on(&field, "clear", json!({})).await?;
            if value.len() <= TYPED_MAX && !value.contains('\n') {
                return self.on(&field, "value", json!({"text": value})).await;
            }
            self.try_execute("arguments[0].focus()", std::slice::from_ref(&field.0)).await?;
            let insertion = json!({"cmd": "Input.insertText", "params": {"text": value}});
            self.call(Method::POST, "goog/cdp/execute", insertion).await.map(drop)
        })
        .await;
    }

    /// Dates and the like are typed in an order that depends on the reader's language; tells whether this was one.
    async fn set_directly(&self, field: &Element, value: &str) -> Result<bool, Fault> {
        const SCRIPT: &str = "const [field, value] = arguments;
            if (!['date', 'datetime-local', 'time', 'month', 'week', 'color', 'range'].includes(field.type)) return false;
            field.value = value;
            for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, { bubbles: true }));
            return true";
        Ok(self.try_execute(SCRIPT, &[field.0.clone(), json!(value)]).await? == Value::Bool(true))
    }

    /// Chooses from a drop-down, by the texts of its label and of the option.
    pub async fn choose(&self, label: &str, option: &str) {
        const SCRIPT: &str = "const [list, wanted] = arguments;
            const options = [...list.options].map((it) => [it, it.textContent.replace(/\\s+/g, ' ').trim()]);
            const like = (test) => (options.find(([, text]) => test(text)) || [])[0];
            return like((it) => it === wanted) || like((it) => it.startsWith(wanted)) || options.map(([, text]) => text)";
        self.patiently(&format!("\"{option}\" of \"{label}\""), async || {
            let list = self.only("control", label).await?;
            let found = self.try_execute(SCRIPT, &[list.0, json!(option)]).await?;
            if found.get(ELEMENT).is_none() {
                return Err(format!("there are only {found}"));
            }
            self.on(&Element(found), "click", json!({})).await
        })
        .await;
    }

    /// Ticks a box, or picks one of several choices, by its label.
    pub async fn check(&self, label: &str) {
        self.set_checked(label, true).await;
    }

    pub async fn uncheck(&self, label: &str) {
        self.set_checked(label, false).await;
    }

    async fn set_checked(&self, label: &str, wanted: bool) {
        self.patiently(&format!("\"{label}\" to be {}", if wanted { "chosen" } else { "free" }), async || {
            let field = self.only("control", label).await?;
            let is_checked = "return arguments[0].checked === arguments[1]";
            let arguments = [field.0.clone(), json!(wanted)];
            if self.try_execute(is_checked, &arguments).await? == Value::Bool(true) {
                return Ok(());
            }
            if let Err(fault) = self.press_on(&field).await {
                // A drawn box lies over the real one; a person clicks on the words.
                let words = self.try_execute("return (arguments[0].labels || [])[0]", &[field.0]).await?;
                if words.is_null() {
                    return Err(fault);
                }
                self.press_on(&Element(words)).await?;
            }
            // A choice may lead to another page at once.
            match self.try_execute(is_checked, &arguments).await {
                Ok(Value::Bool(false)) => Err("it does not change".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// Gives a file to a file field.
    pub async fn upload(&self, label: &str, file: &Path) {
        self.patiently(&format!("the file of \"{label}\""), async || {
            let field = self.only("control", label).await?;
            self.on(&field, "value", json!({"text": file.display().to_string()})).await
        })
        .await;
    }

    /// Sends the form that the first element fitting the selector is, or is in, as the Enter key would.
    pub async fn submit(&self, css: &str) {
        self.patiently(&format!("sending {css}"), async || {
            let found = self.found("css", css).await?;
            let form = found.first().ok_or("there is no such element")?;
            let script = "(arguments[0].closest('form')).requestSubmit()";
            self.try_execute(script, std::slice::from_ref(&form.0)).await.map(drop)
        })
        .await;
    }

    /// Presses and releases one key where the focus is: a character, or `Tab`, `Enter`, `Escape`, `Space`, `ArrowDown`,
    /// `ArrowUp`. With `Shift+` before it, both.
    pub async fn press(&self, key: &str) {
        let (shift, name) = key.strip_prefix("Shift+").map_or((false, key), |name| (true, name));
        let code = match name {
            "Tab" => "\u{e004}",
            "Enter" => "\u{e007}",
            "Escape" => "\u{e00c}",
            "Space" => " ",
            "ArrowUp" => "\u{e013}",
            "ArrowDown" => "\u{e015}",
            other => other,
        };
        let mut actions = vec![json!({"type": "keyDown", "value": code}), json!({"type": "keyUp", "value": code})];
        if shift {
            actions.insert(0, json!({"type": "keyDown", "value": "\u{e008}"}));
            actions.push(json!({"type": "keyUp", "value": "\u{e008}"}));
        }
        let keys = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.must_call(Method::POST, "actions", keys).await;
    }

    /// Answers a question of the browser's own (`confirm`), and gives its text.
    pub async fn answer_dialog(&self, yes: bool) -> String {
        let asked =
            self.patiently("a question", async || self.call(Method::GET, "alert/text", Value::Null).await).await;
        self.must_call(Method::POST, if yes { "alert/accept" } else { "alert/dismiss" }, json!({})).await;
        texts_of(&asked)
    }

    async fn press_on(&self, element: &Element) -> Result<(), Fault> {
        self.on(element, "click", json!({})).await
    }

    async fn on(&self, element: &Element, verb: &str, body: Value) -> Result<(), Fault> {
        self.call(Method::POST, &format!("element/{}/{verb}", element.id()), body).await.map(drop)
    }

    /// `css`, `control` or `button`: see the script.
    pub(super) async fn found(&self, kind: &str, wanted: &str) -> Result<Vec<Element>, Fault> {
        match self.try_execute(FIND, &[json!(kind), json!(wanted), json!(self.scope)]).await? {
            Value::Array(found) => Ok(found.into_iter().map(Element).collect()),
            other => Err(format!("the search gives {other}")),
        }
    }

    async fn only(&self, kind: &str, wanted: &str) -> Result<Element, Fault> {
        let mut found = self.found(kind, wanted).await?;
        match (found.len(), found.pop()) {
            (1, Some(element)) => Ok(element),
            (0, _) => Err(format!("there is no such {kind}")),
            (count, _) => Err(format!("there are {count} of them: say in which part of the page")),
        }
    }

    /// Runs a script whose first argument is the one field with this label.
    pub(super) async fn ask_field(&self, label: &str, script: &str) -> String {
        let answer = self
            .patiently(&format!("\"{label}\""), async || {
                let field = self.only("control", label).await?;
                self.try_execute(script, &[field.0]).await
            })
            .await;
        texts_of(&answer)
    }

    /// Runs a script whose first argument is the first element that fits the selector.
    pub(super) async fn ask_element(&self, css: &str, script: &str) -> Value {
        self.patiently(css, async || {
            let mut found = self.found("css", css).await?;
            if found.is_empty() {
                return Err("there is no such element".to_owned());
            }
            self.try_execute(script, &[found.swap_remove(0).0]).await
        })
        .await
    }
}
