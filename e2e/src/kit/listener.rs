//! A server on loopback, for whoever plays somebody. It ends with its handle. Nothing here knows what is said.

use std::{io, net::SocketAddr};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::KitError;

/// The server, while it is held.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where it is.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Every connection is answered by a task of its own.
    pub(crate) async fn start<F, A>(answer: F) -> Result<Self, KitError>
    where
        F: Fn(TcpStream) -> A + Send + 'static,
        A: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(KitError::failed("a server of one's own"))?;
        let address = listener.local_addr().map_err(KitError::failed("a server of one's own"))?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answered = answer(stream);
                // Who asks hangs up when it likes; that is what is tried.
                tokio::spawn(async move { drop(answered.await) });
            }
        });
        Ok(Self { address, task })
    }
}
