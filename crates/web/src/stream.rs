//! Downloads of any length: sent piece by piece, as fast as they are read.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use chancery_authority::Error;
use chancery_authority::audit::AuditExport;
use chancery_authority::inventory::CertificateTable;
use http::{HeaderValue, header};
use http_body_util::channel::{Channel, Sender};

/// What the core gives out in pieces; `None` is the end.
pub(crate) trait Pieces: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Result<Option<String>, Error>> + Send;
}

impl Pieces for AuditExport {
    fn next(&mut self) -> impl Future<Output = Result<Option<String>, Error>> + Send {
        self.next_lines()
    }
}

impl Pieces for CertificateTable {
    fn next(&mut self) -> impl Future<Output = Result<Option<String>, Error>> + Send {
        Self::next(self)
    }
}

/// A file made of the pieces.
pub(crate) fn streamed(pieces: impl Pieces, media_type: &'static str, disposition: &'static str) -> Response {
    // A piece or two are read ahead; a slow reader slows the export, not the memory.
    let (sender, body) = Channel::new(2);
    tokio::spawn(send(pieces, sender));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition)),
    ];
    (headers, Body::new(body)).into_response()
}

async fn send(mut pieces: impl Pieces, mut sender: Sender<Bytes, std::io::Error>) {
    loop {
        match pieces.next().await {
            Ok(Some(text)) => {
                if sender.send_data(Bytes::from(text)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            // Cut off, so that nobody takes the part for the whole.
            Err(error) => {
                tracing::error!("an export broke off: {error}");
                return sender.abort(std::io::Error::other("the export broke off"));
            }
        }
    }
}
