//! Values whose absence has shades: a key that is missing, a key that is `null`, and booleans sent as text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field where *missing* and `null` mean different things: keep (or use the default), and clear.
///
/// Write it with `#[serde(default, skip_serializing_if = "Nullable::is_missing")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nullable<T> {
    #[default]
    Missing,
    Null,
    Value(T),
}

impl<T> Nullable<T> {
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The value, for fields where missing and `null` are the same.
    #[must_use]
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }

    /// Missing is `None`, `null` is `Some(None)`.
    #[must_use]
    pub fn into_change(self) -> Option<Option<T>> {
        match self {
            Self::Missing => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    #[must_use]
    pub const fn as_value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Nullable<U> {
        match self {
            Self::Missing => Nullable::Missing,
            Self::Null => Nullable::Null,
            Self::Value(value) => Nullable::Value(change(value)),
        }
    }
}

impl<T> From<Option<T>> for Nullable<T> {
    /// `None` leaves the key out.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Self::Value)
    }
}

impl<T: Serialize> Serialize for Nullable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing | Self::Null => serializer.serialize_none(),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// Reads `true`, `false`, `"true"`, `"false"` and `null`: some clients send booleans as text.
pub fn lenient_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    struct Lenient;
    impl<'de> serde::de::Visitor<'de> for Lenient {
        type Value = Option<bool>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("boolean")
        }

        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(Some(value))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            match text {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
            }
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    deserializer.deserialize_any(Lenient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(default, skip_serializing_if = "Nullable::is_missing")]
        name: Nullable<String>,
        #[serde(default, deserialize_with = "lenient_bool", skip_serializing_if = "Option::is_none")]
        flag: Option<bool>,
    }

    #[test]
    fn missing_null_and_value_stay_apart_in_both_directions() {
        for (text, expected) in [
            ("{}", Nullable::Missing),
            (r#"{"name":null}"#, Nullable::Null),
            (r#"{"name":"a"}"#, Nullable::Value("a".to_owned())),
        ] {
            let sample: Sample = serde_json::from_str(text).unwrap();
            assert_eq!(sample.name, expected, "{text}");
            assert_eq!(serde_json::to_string(&sample).unwrap(), text);
        }
    }

    #[test]
    fn booleans_are_read_from_text_too() {
        for (text, expected) in
            [("true", Some(true)), (r#""true""#, Some(true)), (r#""false""#, Some(false)), ("null", None)]
        {
            let sample: Sample = serde_json::from_str(&format!(r#"{{"flag":{text}}}"#)).unwrap();
            assert_eq!(sample.flag, expected, "{text}");
        }
        for text in ["1", r#""yes""#, r#""TRUE""#, "[]"] {
            assert!(serde_json::from_str::<Sample>(&format!(r#"{{"flag":{text}}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_dropped_and_a_known_key_given_twice_is_refused() {
        assert!(serde_json::from_str::<Sample>(r#"{"other":{"deep":[1]},"name":"a"}"#).is_ok());
        let error = serde_json::from_str::<Sample>(r#"{"name":"a","name":"b"}"#).unwrap_err();
        assert!(error.to_string().starts_with("duplicate field"), "{error}");
    }
}
