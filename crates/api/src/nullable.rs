//! The wire's missing, null and value in the core's words.

use chancery_authority::enrollment::Field;
use chancery_wire::Nullable;

pub(crate) fn field<T>(from: Nullable<T>) -> Field<T> {
    match from {
        Nullable::Missing => Field::Missing,
        Nullable::Null => Field::Null,
        Nullable::Value(value) => Field::Value(value),
    }
}

/// Converts the value. One that cannot be converted (its issue is noted by then) counts as missing.
pub(crate) fn try_field<T, U>(from: Nullable<T>, convert: impl FnOnce(T) -> Option<U>) -> Field<U> {
    match from {
        Nullable::Missing => Field::Missing,
        Nullable::Null => Field::Null,
        Nullable::Value(value) => convert(value).map_or(Field::Missing, Field::Value),
    }
}
