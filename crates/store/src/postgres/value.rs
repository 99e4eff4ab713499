//! Values on their way to PostgreSQL and back.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::statement::Value;

impl ToSql for Value {
    fn to_sql(&self, place: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, place) {
            (Self::Null, _) => Ok(IsNull::Yes),
            // A place that only small literals stand beside is taken for a small one.
            (Self::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(place, out),
            (Self::Int(value), &Type::INT8) => value.to_sql(place, out),
            (Self::Text(value), &Type::TEXT | &Type::VARCHAR | &Type::JSON) => plain(value, out),
            (Self::Word(value), &Type::TEXT | &Type::VARCHAR | &Type::JSON) => plain(value, out),
            (Self::Blob(value), &Type::BYTEA) => value.to_sql(place, out),
            (Self::Uuid(value), &Type::BYTEA) => value.as_bytes().as_slice().to_sql(place, out),
            (other, place) => Err(format!("{other:?} does not fit a place of type {place}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Text and JSON have the same form on the way: their letters.
fn plain(text: &str, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
    out.extend_from_slice(text.as_bytes());
    Ok(IsNull::No)
}

/// A row's values. A type that the schema does not use becomes NULL, which no noun takes for its own.
pub(super) fn values(row: &Row) -> Result<Vec<Value>, tokio_postgres::Error> {
    let mut values = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(Value::Int),
            Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(|it| Value::Int(it.into())),
            Type::TEXT => row.try_get::<_, Option<String>>(index)?.map(Value::Text),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Value::Blob),
            _ => None,
        };
        values.push(value.unwrap_or(Value::Null));
    }
    Ok(values)
}
