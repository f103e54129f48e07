//! Carries the gateway's port 80 to Envoy's 8080, where Contour puts a listener on port 80.
//! Measurements go to 8080 directly; this is for those who read address and port from the Gateway.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::{LabError, space::GATEWAY_ADDRESS};

/// Opens the port and serves it as long as the lab lives.
pub(crate) async fn open() -> Result<(), LabError> {
    let listener = TcpListener::bind((GATEWAY_ADDRESS, 80)).await.map_err(LabError::file("the gateway's port 80"))?;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut envoy) = TcpStream::connect((GATEWAY_ADDRESS, 8080)).await {
                    // Either side may hang up at any time; that ends the copy and is no news.
                    let _ = copy_bidirectional(&mut client, &mut envoy).await;
                }
            });
        }
    });
    Ok(())
}
