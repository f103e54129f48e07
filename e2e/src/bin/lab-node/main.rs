//! The lab's node: kubelet, scheduler and service proxy in small, for a control plane that has none of them.
//! Only the arguments and the order of starting live here; never what a pod or a connection goes through.
//!
//! There is no mount namespace per pod: arguments and environment values that start with a volume's mount path are
//! rewritten to the directory that holds the volume. Images are names of programs on this machine.

mod account;
mod address;
mod board;
mod container;
mod driver;
mod env;
mod error;
mod images;
mod mounts;
mod node;
mod pods;
mod probe;
mod process;
mod proxy;
mod routes;
mod schedule;
mod shared;
mod status;
mod status_only;
mod stop;
mod volumes;
mod watch;
mod worker;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{error::NodeError, shared::Shared};

/// Kubelet, scheduler and service proxy of the lab.
#[derive(Debug, Parser)]
#[command(name = "lab-node", version)]
struct Arguments {
    /// Kubeconfig of a cluster administrator.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Directory for volumes, logs and the pods' kubeconfigs.
    #[arg(long)]
    state: PathBuf,
    /// YAML map from the last path component of an image's repository to a program.
    #[arg(long)]
    images: PathBuf,
    /// Pods get addresses and become Ready without processes.
    #[arg(long)]
    status_only: bool,
    /// Name of the node.
    #[arg(long, default_value = "lab-node")]
    node_name: String,
    /// Allocatable `nvidia.com/gpu`.
    #[arg(long, default_value_t = 64)]
    gpus: i64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), NodeError> {
    process::raise_file_limit();
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let cluster = account::cluster_of(&kubeconfig)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(NodeError::Signal)?;

    let state = shared::prepare_state(&arguments.state)?;
    process::kill_leftovers(&state.join("pods"));
    let proxy = tokio::spawn(proxy::run(client.clone()));
    node::register(&client, &arguments.node_name, arguments.gpus).await?;
    let (shutdown, stopping) = tokio::sync::watch::channel(false);
    let shared = Arc::new(Shared::new(
        client.clone(),
        cluster,
        stopping,
        shared::Settings {
            node_name: arguments.node_name,
            gpus: arguments.gpus,
            state,
            images: arguments.images,
            status_only: arguments.status_only,
            api_service: node::poll_api_service(&client).await?,
        },
    )?);
    let pods = tokio::spawn(pods::run(shared));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // The workers end their containers; the watch of pods ends with the last of them.
    shutdown.send_replace(true);
    if let Err(error) = pods.await {
        eprintln!("lab-node: the pods' task failed: {error}");
    }
    proxy.abort();
    Ok(())
}
