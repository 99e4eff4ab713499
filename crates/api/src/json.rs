//! Reading JSON from strangers: bounded first, then parsed, then explained.

use chancery_wire::Issue;
use chancery_wire::error::PathSegment;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

const DEPTH_MAX: usize = 32;
const TOKENS_MAX: usize = 10_000;

/// Parses a body. Not JSON at all is 400 `json.*`; JSON of another shape is 422 with the place.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    bounded(bytes)?;
    // The common case pays nothing for the path that only a refusal needs.
    serde_json::from_slice(bytes).or_else(|_| explain(bytes))
}

/// Refuses what is nested too deep or has too many parts, without building anything.
fn bounded(bytes: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut tokens) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                tokens += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' => tokens += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(ApiError::bad_request(
                "json.depth",
                format!("The JSON is nested deeper than {DEPTH_MAX} levels"),
            ));
        }
        if tokens > TOKENS_MAX {
            return Err(ApiError::bad_request("json.size", format!("The JSON has more than {TOKENS_MAX} parts")));
        }
    }
    Ok(())
}

/// Parses again, watching the path, to say where it went wrong.
fn explain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, inner) = (error.path().clone(), error.into_inner());
        match inner.classify() {
            serde_json::error::Category::Data => data_error(&path, &inner.to_string()),
            // The parser also calls it bad syntax when something other than text stands for a word of an enum.
            _ if serde_json::from_slice::<serde_json::Value>(bytes).is_ok() => {
                data_error(&path, "invalid type: expected a word in quotes")
            }
            _ => syntax_error(&inner),
        }
    })?;
    deserializer.end().map_err(|error| syntax_error(&error))?;
    Ok(value)
}

fn syntax_error(error: &serde_json::Error) -> ApiError {
    let code = if error.is_eof() { "json.incomplete" } else { "json.syntax" };
    ApiError::bad_request(code, format!("The body is not valid JSON: {error}"))
}

/// A serde message in the wire's issue form.
pub(crate) fn data_error(path: &serde_path_to_error::Path, message: &str) -> ApiError {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let mut segments = segments(path);
    if let Some(key) = quoted(message, "duplicate field `") {
        return ApiError::bad_request("json.duplicate_key", format!("The key \"{key}\" is given twice"));
    }
    let (code, message) = if let Some(key) = quoted(message, "missing field `") {
        segments.push(key.into());
        ("invalid_type", "Required".to_owned())
    } else if message.starts_with("unknown variant") {
        ("invalid_enum_value", message.to_owned())
    } else if message.starts_with("UUID parsing failed") {
        ("invalid_string", "Invalid uuid".to_owned())
    } else if message.starts_with("invalid type") || message.starts_with("expected") {
        ("invalid_type", message.to_owned())
    } else {
        ("custom", message.to_owned())
    };
    ApiError::invalid(vec![Issue { code: code.to_owned(), path: segments, message }])
}

fn segments(path: &serde_path_to_error::Path) -> Vec<PathSegment> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(PathSegment::Index(u32::try_from(*index).unwrap_or(u32::MAX))),
            Segment::Map { key } => Some(key.as_str().into()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn quoted<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

#[cfg(test)]
mod tests {
    use chancery_wire::certificate::IssueCertificate;
    use chancery_wire::template::CreateTemplate;

    use super::*;

    fn refusal<T: DeserializeOwned>(text: &str) -> (u16, String, String) {
        let body = parse::<T>(text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {text:.60}")).body("r");
        (body.status_code, body.code.unwrap(), body.message.to_string())
    }

    #[test]
    fn what_is_not_json_is_a_bad_request_with_its_own_code() {
        let deep = "[".repeat(100_000);
        let wide = format!("{{{}\"z\":1}}", "\"k\":1,".repeat(20_000));
        for (text, code) in [
            (deep.as_str(), "json.depth"),
            (wide.as_str(), "json.size"),
            (r#"{"profileId":NaN}"#, "json.syntax"),
            (r#"{"profileId":"\ud800"}"#, "json.syntax"),
            (r#"{"profileId":"#, "json.incomplete"),
            ("", "json.incomplete"),
            (r#"{"profileId":"00000000-0000-7000-8000-000000000000"} {}"#, "json.syntax"),
            (r#"{"csr":"a","csr":"b"}"#, "json.duplicate_key"),
        ] {
            let (status, found, _) = refusal::<IssueCertificate>(text);
            assert_eq!((status, found.as_str()), (400, code), "{text:.40}");
        }
    }

    #[test]
    fn json_of_another_shape_names_the_place() {
        let id = "00000000-0000-7000-8000-000000000000";
        for (text, message) in [
            ("{}".to_owned(), "profileId: Required".to_owned()),
            (r#"{"profileId":"x"}"#.to_owned(), "profileId: Invalid uuid".to_owned()),
            (
                format!(r#"{{"profileId":"{id}","attributes":{{"altNames":[{{"type":"dns_name"}}]}}}}"#),
                "attributes.altNames[0].value: Required".to_owned(),
            ),
            (
                format!(r#"{{"profileId":"{id}","attributes":{{"commonName":5}}}}"#),
                "attributes.commonName: invalid type: integer `5`, expected a string".to_owned(),
            ),
            (
                format!(r#"{{"profileId":"{id}","attributes":{{"keyUsages":[true]}}}}"#),
                "attributes.keyUsages[0]: invalid type: expected a word in quotes".to_owned(),
            ),
        ] {
            assert_eq!(refusal::<IssueCertificate>(&text), (422, "schema".to_owned(), message));
        }
        let (_, _, message) = refusal::<CreateTemplate>(r#"{"name":"a","sans":[{"type":"fax"}]}"#);
        assert!(message.starts_with("sans[0].type: unknown variant `fax`, expected one of `dns_name`"), "{message}");
    }

    #[test]
    fn unknown_keys_are_dropped() {
        assert!(parse::<CreateTemplate>(br#"{"name":"a","isAdmin":true,"other":{"x":[1,2]}}"#).is_ok());
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        let text = format!(r#"{{"name":"{}","description":"\"{{"}}"#, "[".repeat(1_000));
        assert!(parse::<CreateTemplate>(text.as_bytes()).is_ok());
    }
}
