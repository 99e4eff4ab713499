//! The sockets: accepts connections, speaks TLS and HTTP/1.1 on them, and lets them end gracefully.
//!
//! Everything a stranger can make grow is bounded here: connections, header bytes, and the time until a handshake is
//! done or headers are complete. Bodies and the time of a call are bounded by the door.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use chancery_api::Peer;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::config::Limits;
use crate::peer::{Network, caller};

/// Pause after the system refused to accept, for instance because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The next connection and its place, until `stop` is sent or dropped.
pub(crate) async fn next_connection(
    tcp: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &mut oneshot::Receiver<()>,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    loop {
        let next = async {
            // The place is taken before the connection: what cannot be served stays in the kernel's queue.
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            Some((place, tcp.accept().await))
        };
        let accepted = tokio::select! {
            biased;
            _ = &mut *stop => return None,
            accepted = next => accepted,
        };
        match accepted? {
            (place, Ok((stream, remote))) => return Some((place, stream, remote)),
            (_, Err(error)) => {
                tracing::warn!(%error, "A connection could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What every connection is served with.
pub struct Listener {
    pub router: Router,
    pub tls: Option<TlsAcceptor>,
    pub trusted_proxies: Vec<Network>,
    pub limits: Limits,
}

impl Listener {
    /// Serves until `stop` is sent or dropped; then takes no new connection, lets the running requests finish within
    /// the stop timeout, and cuts off the rest.
    pub async fn serve(self, tcp: TcpListener, mut stop: oneshot::Receiver<()>) {
        let stop_timeout = self.limits.stop_timeout;
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let graceful = GracefulShutdown::new();
        let listener = Arc::new(self);
        let mut connections = JoinSet::new();
        while let Some((place, stream, remote)) = next_connection(&tcp, &places, &mut stop).await {
            while connections.try_join_next().is_some() {}
            connections.spawn(Arc::clone(&listener).connection(stream, remote.ip(), graceful.watcher(), place));
        }
        drop(tcp);
        if tokio::time::timeout(stop_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!(connections = connections.len(), "Requests were cut off after the stop timeout.");
        }
        connections.shutdown().await;
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        remote: IpAddr,
        watcher: Watcher,
        place: OwnedSemaphorePermit,
    ) {
        stream.set_nodelay(true).ok();
        match &self.tls {
            None => self.http(stream, remote, watcher).await,
            Some(acceptor) => {
                let handshake = acceptor.accept(stream);
                match tokio::time::timeout(self.limits.header_timeout, handshake).await {
                    Ok(Ok(stream)) => self.http(stream, remote, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%remote, %error, "A TLS handshake failed."),
                    Err(_) => tracing::debug!(%remote, "A TLS handshake took too long."),
                }
            }
        }
        drop(place);
    }

    async fn http<S>(&self, stream: S, remote: IpAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| self.respond(request, remote));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_header_size(self.limits.header_bytes_max);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%remote, %error, "A connection ended early.");
        }
    }

    async fn respond(&self, request: Request<Incoming>, remote: IpAddr) -> Result<Response<Body>, Infallible> {
        let address = caller(remote, request.headers(), &self.trusted_proxies);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(address));
        request.extensions_mut().insert(chancery_web::Peer(address));
        // A router is always ready, and a clone of it is one count of references.
        self.router.clone().call(request).await
    }
}

#[cfg(test)]
mod tests;
