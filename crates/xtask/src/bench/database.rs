//! Which database the measured server keeps its records in.

use tokio_postgres::NoTls;

#[derive(Clone, Debug)]
pub enum Database {
    Sqlite,
    /// A database made for this run on the administrator's server.
    Postgres {
        administrator: String,
        name: String,
        /// A server on PostgreSQL does not make its own key-encryption key, since several nodes share one.
        kek: String,
    },
}

impl Database {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres { .. } => "PostgreSQL",
        }
    }

    pub async fn create(administrator: &str) -> Result<Self, String> {
        let name = format!("chancery_bench_{}", std::process::id());
        execute(administrator, &format!("CREATE DATABASE {name}")).await?;
        let mut key = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|error| error.to_string())?;
        let kek = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::Postgres { administrator: administrator.to_owned(), name, kek })
    }

    pub async fn remove(&self) -> Result<(), String> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres { administrator, name, .. } => {
                execute(administrator, &format!("DROP DATABASE {name} WITH (FORCE)")).await
            }
        }
    }

    /// What the server is told by its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres { administrator, name, kek } => {
                vec![("CHANCERY_DATABASE_URL", replace_database(administrator, name)), ("CHANCERY_KEK", kek.clone())]
            }
        }
    }

    /// Bytes of write-ahead log ever written, where the database can say so.
    pub async fn log_bytes(&self) -> Result<Option<u64>, String> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Postgres { administrator, .. } => {
                number(administrator, "SELECT (pg_current_wal_lsn() - '0/0')::BIGINT").await.map(Some)
            }
        }
    }

    /// Bytes that the database takes, where it can say so itself.
    pub async fn stored_bytes(&self) -> Result<Option<u64>, String> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Postgres { administrator, name, .. } => {
                number(administrator, &format!("SELECT pg_database_size('{name}')")).await.map(Some)
            }
        }
    }
}

/// The one number that a query answers.
async fn number(url: &str, query: &str) -> Result<u64, String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(shown)?;
    let link = tokio::spawn(connection);
    let row = client.query_one(query, &[]).await.map_err(shown)?;
    let found: i64 = row.try_get(0).map_err(shown)?;
    drop(client);
    let _ = link.await;
    u64::try_from(found).map_err(|_| format!("PostgreSQL answers {found}"))
}

async fn execute(url: &str, statement: &str) -> Result<(), String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(shown)?;
    let link = tokio::spawn(connection);
    let done = client.batch_execute(statement).await.map_err(shown);
    drop(client);
    let _ = link.await;
    done
}

fn shown(error: tokio_postgres::Error) -> String {
    format!("PostgreSQL: {error}")
}

/// The same server, another database.
fn replace_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let server = match address.split_once("://").map(|(scheme, rest)| (scheme, rest.split('/').next().unwrap_or(rest)))
    {
        Some((scheme, authority)) => format!("{scheme}://{authority}"),
        None => address.to_owned(),
    };
    parameters.map_or_else(|| format!("{server}/{name}"), |parameters| format!("{server}/{name}?{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_in_the_address_is_replaced() {
        for (url, expected) in [
            ("postgres://a:b@127.0.0.1:5432/postgres", "postgres://a:b@127.0.0.1:5432/new"),
            ("postgres://127.0.0.1?sslmode=disable", "postgres://127.0.0.1/new?sslmode=disable"),
        ] {
            assert_eq!(replace_database(url, "new"), expected);
        }
    }
}
