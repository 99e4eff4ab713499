//! `chancery audit`: take the log out of a server, and check such an export with nothing but the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use chancery_cli::files::{self, Access, Existing};
use chancery_cli::output::print_bytes;
use chancery_cli::{ConnectionArguments, Reply};
use clap::{Args, Subcommand};
use reqwest::Method;

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  chancery audit export --as-admin --out audit.ndjson
  chancery audit verify audit.ndjson
  chancery audit verify audit.ndjson --public-key 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AuditArguments {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Write the whole log of the project's server, with hashes and signed checkpoints, to a file
    Export {
        #[command(flatten)]
        connection: Box<ConnectionArguments>,
        /// File to write; without it the export goes to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check an export: every hash, every link, no gap, every checkpoint's signature
    Verify {
        /// The export; - for standard input
        file: PathBuf,
        /// Ed25519 key that the checkpoints must be signed with, as an earlier export showed it
        #[arg(long, value_name = "HEX")]
        public_key: Option<String>,
    },
}

pub async fn run(arguments: AuditArguments) -> Result<(), Failure> {
    match arguments.command {
        AuditCommand::Export { connection, out } => export(&connection, out.as_deref()).await,
        AuditCommand::Verify { file, public_key } => verify(&file, public_key.as_deref()),
    }
}

async fn export(connection: &ConnectionArguments, out: Option<&Path>) -> Result<(), Failure> {
    let client = connection.connect().await?;
    let (status, bytes) = client.send_raw(Method::GET, "/api/v1/audit-logs/export", None::<&()>).await?;
    if status != 200 {
        Reply { status, body: serde_json::from_slice(&bytes).unwrap_or_default() }.success()?;
    }
    match out {
        Some(path) => Ok(files::write(path, &bytes, Access::Private, Existing::Keep)?),
        None => Ok(print_bytes(&bytes)?),
    }
}

fn verify(path: &Path, public_key: Option<&str>) -> Result<(), Failure> {
    let key = public_key.map(parse_key).transpose()?;
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file =
            File::open(path).map_err(|error| Failure::failed(format!("Cannot read {}: {error}", path.display())))?;
        Box::new(BufReader::new(file))
    };
    let verdict = match &key {
        Some(key) => chancery_authority::audit::verify_export_signed_by(reader, key),
        None => chancery_authority::audit::verify_export(reader),
    };
    let found = verdict.map_err(|fault| Failure::failed(format!("The audit log is not intact: {fault}")))?;
    let mut text =
        format!("The audit log is intact: {} entries, {} signed checkpoints\n", found.entries, found.checkpoints);
    for chain in &found.nodes {
        text.push_str(&format!("  node {}: up to entry {}\n", chain.node, chain.last_sequence));
    }
    if found.withheld > 0 {
        text.push_str(&format!(
            "  {} entries belong to other projects; they are counted, their text is withheld\n",
            found.withheld
        ));
    }
    text.push_str(&format!("  signed by {}\n", hex::encode(found.public_key)));
    if key.is_none() {
        text.push_str("  Whose key that is, the file alone cannot show: compare it, or give it with --public-key\n");
    }
    Ok(print_bytes(text.as_bytes())?)
}

fn parse_key(text: &str) -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|_| Failure::usage("The public key is 32 bytes in hexadecimal: 64 characters of 0-9 and a-f"))?;
    Ok(key)
}
