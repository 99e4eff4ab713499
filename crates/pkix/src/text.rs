//! Closed sets of words: one macro gives an enum its text form, so that `as_str`, `FromStr`, `Display` and serde can
//! never disagree. Used inside this crate only; it knows nothing about what the words mean.

/// A text that is not one of a closed set of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a known {noun}")]
pub struct UnknownText {
    /// What was looked for, such as `key algorithm`.
    pub noun: &'static str,
    /// The text that was given, cut to 64 characters.
    pub value: String,
}

impl UnknownText {
    pub(crate) fn new(noun: &'static str, value: &str) -> Self {
        Self { noun, value: value.chars().take(64).collect() }
    }
}

/// `text_enum!(Type, "noun", |variant| [further accepted spellings])`
macro_rules! text_enum {
    ($type:ty, $noun:literal, $aliases:expr) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::text::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let aliases: fn($type) -> &'static str = $aliases;
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.as_str() == text || aliases(*one) == text)
                    .ok_or_else(|| $crate::text::UnknownText::new($noun, text))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
