//! Slack, by an incoming webhook: blocks with text, in which nothing that came from outside is markup.

use chancery_authority::alert::{Message, NotifyError};
use serde_json::{Value, json};

use crate::text;

/// Most characters of one section; Slack refuses more than 3 000.
const SECTION_MAX: usize = 2_800;
/// Most characters of a header.
const HEADER_MAX: usize = 150;

pub(crate) fn body(message: &Message, channel: Option<&str>, mention_users: &[String]) -> Result<String, NotifyError> {
    let headline: String = text::headline(message).chars().take(HEADER_MAX).collect();
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": headline, "emoji": false}})];
    let mut about = format!("Alert *{}*", escaped(&text::one_line(&message.alert.name)));
    let mentions: Vec<String> = mention_users.iter().filter_map(|user| mention(user)).collect();
    if !mentions.is_empty() {
        about.push(' ');
        about.push_str(&mentions.join(" "));
    }
    blocks.push(section(&about));
    let (lines, left_out) = text::lines(message);
    let mut list = String::new();
    for line in lines {
        let line = format!("• {}\n", escaped(&line));
        if list.chars().count() + line.chars().count() > SECTION_MAX && !list.is_empty() {
            blocks.push(section(&list));
            list.clear();
        }
        list.extend(line.chars().take(SECTION_MAX));
    }
    if left_out > 0 {
        list.push_str(&format!("and {left_out} more"));
    }
    if !list.is_empty() {
        blocks.push(section(&list));
    }
    if let Some(url) = &message.view_url {
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": escaped(url)}]}));
    }
    let mut body = json!({"text": headline, "blocks": blocks});
    if let (Some(channel), Some(fields)) = (channel, body.as_object_mut()) {
        fields.insert("channel".to_owned(), Value::from(channel));
    }
    serde_json::to_string(&body).map_err(|_| NotifyError::lasting("the message cannot be written as JSON"))
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})
}

/// The three characters that Slack's markup is made of, and those that would make text bold, code or a link target.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width space keeps the pair from being markup and leaves the text readable.
            '*' | '`' | '~' => out.extend([letter, '\u{200b}']),
            _ => out.push(letter),
        }
    }
    out
}

/// A user id, or one of the group words.
fn mention(user: &str) -> Option<String> {
    let user = user.trim().trim_start_matches('@');
    match user {
        "here" | "channel" | "everyone" => Some(format!("<!{user}>")),
        id if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Some(format!("<@{id}>")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn names_are_no_markup_and_users_are_mentioned() {
        let mut message = sample::message();
        message.certificates = vec![sample::certificate("<!channel> & <https://evil.test|click>")];
        let users = ["U123".to_owned(), "@here".to_owned(), "a b>".to_owned()];
        let text = body(&message, Some("#pki"), &users).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["channel"], "#pki");
        assert_eq!(body["text"], "1 certificate ends within 30d");
        let about = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert_eq!(about, "Alert *soon* <@U123> <!here>");
        let list = body["blocks"][2]["text"]["text"].as_str().unwrap();
        assert!(list.starts_with("• &lt;!channel&gt; &amp; &lt;https://evil.test|click&gt; (serial 0a1b"), "{list}");
    }

    #[test]
    fn long_lists_stay_within_the_limits() {
        let mut message = sample::message();
        message.certificates = vec![sample::certificate(&"<".repeat(300)); 100];
        message.total = 100;
        let body: Value = serde_json::from_str(&body(&message, None, &[]).unwrap()).unwrap();
        let blocks = body["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        for block in blocks {
            assert!(block["text"]["text"].as_str().is_none_or(|text| text.chars().count() <= 3_000));
        }
        assert!(body.to_string().contains("and 80 more"));
    }
}
