//! Brings a pod's containers up in order and waits for their end. Never talks about them to the API server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    account,
    board::{Board, Kind, kind_of_init},
    container::{Restart, Runner, grace},
    error::NodeError,
    shared::{self, Shared},
    stop::Stopper,
    volumes,
};

/// How often missing volumes are looked for.
const VOLUME_RETRY: Duration = Duration::from_secs(1);

/// One pod's containers.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) board: Board,
    pub(crate) stopper: Stopper,
    pub(crate) address: String,
}

impl Driver {
    /// Returns when no container runs or will run again.
    pub(crate) async fn run(self) {
        let Some(kubeconfig) = self.set_up().await else {
            return;
        };
        let kubeconfig = kubeconfig.as_ref();
        let mut sidecars = JoinSet::new();
        if self.initialize(kubeconfig, &mut sidecars).await {
            let first = self.inits().len();
            let containers = self.pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut mains = JoinSet::new();
            for (index, container) in containers.enumerate() {
                let runner = self.runner(container, first + index, Kind::Main, kubeconfig);
                mains.spawn(runner.run());
            }
            mains.join_all().await;
        }
        self.stopper.stop_sidecars(Instant::now() + grace(&self.pod));
        sidecars.join_all().await;
    }

    fn inits(&self) -> &[Container] {
        self.pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
    }

    /// Runs the init containers; true when all is ready for the main ones.
    async fn initialize(&self, kubeconfig: Option<&PathBuf>, sidecars: &mut JoinSet<Option<i32>>) -> bool {
        let order = self.stopper.order(Kind::Main);
        for (index, container) in self.inits().iter().enumerate() {
            let kind = kind_of_init(container);
            let runner = self.runner(container, index, kind, kubeconfig);
            if kind == Kind::Sidecar {
                sidecars.spawn(runner.run());
                tokio::select! {
                    () = self.board.started(index) => {}
                    () = order.given() => return false,
                }
            } else if runner.run().await != Some(0) {
                return false;
            }
        }
        !order.is_given()
    }

    fn runner(&self, container: &Container, slot: usize, kind: Kind, kubeconfig: Option<&PathBuf>) -> Runner {
        let restart = match (kind, Restart::of(&self.pod)) {
            (Kind::Sidecar, _) => Restart::Always,
            (Kind::Init, Restart::Always) => Restart::OnFailure,
            (_, restart) => restart,
        };
        Runner {
            shared: self.shared.clone(),
            pod: self.pod.clone(),
            container: container.clone(),
            slot,
            board: self.board.clone(),
            order: self.stopper.order(kind),
            restart,
            address: self.address.clone(),
            kubeconfig: kubeconfig.cloned(),
        }
    }

    /// Makes volumes and kubeconfig, as often as it takes; none when the pod must stop first.
    async fn set_up(&self) -> Option<Option<PathBuf>> {
        let order = self.stopper.order(Kind::Main);
        let mut told = String::new();
        while !order.is_given() {
            match self.try_set_up().await {
                Ok(kubeconfig) => return Some(kubeconfig),
                Err(error) => {
                    let error = error.to_string();
                    if error != told {
                        eprintln!("lab-node: {}: volumes: {error}", shared::full_name(&self.pod));
                        told = error;
                    }
                }
            }
            order.given_within(VOLUME_RETRY).await;
        }
        None
    }

    async fn try_set_up(&self) -> Result<Option<PathBuf>, NodeError> {
        for directory in [self.shared.directory(&self.pod), self.shared.logs(&self.pod)] {
            std::fs::create_dir_all(&directory).map_err(NodeError::file(&directory))?;
        }
        let token = if account::automounted(&self.pod) {
            Some(account::token(&self.shared, &self.pod, None).await?)
        } else {
            None
        };
        volumes::make(&self.shared, &self.pod, &self.address, token.as_deref()).await?;
        token.map(|token| account::write_kubeconfig(&self.shared, &self.pod, &token)).transpose()
    }
}
