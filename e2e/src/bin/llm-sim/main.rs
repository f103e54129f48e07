//! A stand-in for an LLM server: the `OpenAI` protocol, one gRPC call and an engine's metrics, with knobs for every
//! way to be slow or broken. It reads its environment and serves; the modules do the work.

mod clock;
mod config;
mod dialect;
mod dist;
mod duration;
mod grpc;
mod histogram;
mod job;
mod metrics;
mod openai;
mod plan;
mod protocol;
mod server;
mod sim;

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    str::FromStr,
    sync::Arc,
};

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    config::{Config, ConfigError},
    sim::{Identity, Sim},
};

#[derive(Debug, Error)]
enum StartError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{name}: `{text}` cannot be used: {why}")]
    Variable { name: &'static str, text: String, why: String },
    #[error("cannot listen on {address}: {source}; set POD_IP and PORT to an address of this machine that is free")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the server ended: {0}")]
    Serve(io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), StartError> {
    let config = Config::from_env(env::vars())?;
    let address = SocketAddr::new(variable("POD_IP", IpAddr::V4(Ipv4Addr::LOCALHOST))?, variable("PORT", 8000)?);
    let text = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
    let identity = Identity {
        pod: text("POD_NAME").or_else(|| text("HOSTNAME")).unwrap_or_else(|| address.to_string()),
        color: text("COLOR").or_else(|| text("POD_LABEL_COLOR")),
    };
    let listener = listen(address).map_err(|source| StartError::Listen { address, source })?;
    eprintln!("llm-sim {} on {address}", config.version);
    server::serve(listener, Arc::new(Sim::new(config, identity))).await.map_err(StartError::Serve)?;
    eprintln!("llm-sim on {address} has answered everything and ends");
    Ok(())
}

/// Listens with room for a burst of connections: the usual 128 are few for an open-loop load.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

/// A variable of the environment, or `default` where it is not set.
fn variable<T: FromStr<Err: ToString>>(name: &'static str, default: T) -> Result<T, StartError> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => text.parse().map_err(|why: T::Err| StartError::Variable { name, why: why.to_string(), text }),
    }
}
