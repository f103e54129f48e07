//! Volumes as plain directories below the pod's own. Content is written once, when the pod starts; never refreshed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIVolumeFile, KeyToPath, Pod, SecretProjection, Volume, VolumeProjection,
};

use crate::{
    account, env,
    env::{Keys, Store},
    error::NodeError,
    shared::{self, Shared},
};

/// Where a volume lies. Claims are shared by all pods of a namespace; host paths are what they say.
pub(crate) fn directory(shared: &Shared, pod: &Pod, volume: &Volume) -> PathBuf {
    if let Some(claim) = &volume.persistent_volume_claim {
        return shared.settings.state.join("claims").join(shared::namespace(pod)).join(&claim.claim_name);
    }
    match &volume.host_path {
        Some(host) => PathBuf::from(&host.path),
        None => shared.directory(pod).join("volumes").join(&volume.name),
    }
}

/// Makes all volumes of the pod; `token` is the one of its own account.
pub(crate) async fn make(shared: &Shared, pod: &Pod, address: &str, token: Option<&str>) -> Result<(), NodeError> {
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let maker = Maker { shared, pod, address, token, directory: directory(shared, pod, volume) };
        fs::create_dir_all(&maker.directory).map_err(NodeError::file(&maker.directory))?;
        maker.fill(volume).await?;
    }
    Ok(())
}

struct Maker<'a> {
    shared: &'a Shared,
    pod: &'a Pod,
    address: &'a str,
    token: Option<&'a str>,
    directory: PathBuf,
}

impl Maker<'_> {
    async fn fill(&self, volume: &Volume) -> Result<(), NodeError> {
        if let Some(map) = &volume.config_map {
            self.stored(Store::ConfigMap, &map.name, map.items.as_deref(), map.optional).await?;
        }
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            self.stored(Store::Secret, name, secret.items.as_deref(), secret.optional).await?;
        }
        if let Some(downward) = &volume.downward_api {
            self.downward(downward.items.as_deref().unwrap_or_default())?;
        }
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            self.projected(source).await?;
        }
        Ok(())
    }

    async fn projected(&self, source: &VolumeProjection) -> Result<(), NodeError> {
        if let Some(ConfigMapProjection { items, name, optional }) = &source.config_map {
            self.stored(Store::ConfigMap, name, items.as_deref(), *optional).await?;
        }
        if let Some(SecretProjection { items, name, optional }) = &source.secret {
            self.stored(Store::Secret, name, items.as_deref(), *optional).await?;
        }
        if let Some(downward) = &source.downward_api {
            self.downward(downward.items.as_deref().unwrap_or_default())?;
        }
        if let Some(projection) = &source.service_account_token {
            let token = match (self.token, &projection.audience) {
                (Some(token), None) => token.to_owned(),
                _ => account::token(self.shared, self.pod, Some(projection)).await?,
            };
            write(&self.directory.join(&projection.path), token.as_bytes())?;
        }
        Ok(())
    }

    async fn stored(
        &self,
        store: Store,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<(), NodeError> {
        let namespace = shared::namespace(self.pod);
        let keys = store.read_or(&self.shared.client, &namespace, name, optional == Some(true)).await?;
        for (path, content) in files(&keys, items, optional == Some(true), name)? {
            write(&self.directory.join(path), content)?;
        }
        Ok(())
    }

    fn downward(&self, items: &[DownwardAPIVolumeFile]) -> Result<(), NodeError> {
        for item in items {
            let path = item.field_ref.as_ref().map_or("resourceFieldRef", |field| &field.field_path);
            let value = env::field(self.pod, self.address, path)
                .ok_or_else(|| NodeError::Config(format!("{}: the lab does not know the field {path}", item.path)))?;
            write(&self.directory.join(&item.path), value.as_bytes())?;
        }
        Ok(())
    }
}

/// Relative path and content of each file: all keys, or those that `items` name.
fn files<'a>(
    keys: &'a Keys,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    name: &str,
) -> Result<Vec<(&'a str, &'a [u8])>, NodeError> {
    let Some(items) = items else {
        return Ok(keys.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect());
    };
    let mut all = Vec::new();
    for item in items {
        match keys.get(&item.key) {
            Some(value) => all.push((item.path.as_str(), value.as_slice())),
            None if optional => {}
            None => {
                return Err(NodeError::Config(format!("{name}: references non-existent key: {}", item.key)));
            }
        }
    }
    Ok(all)
}

fn write(path: &Path, content: &[u8]) -> Result<(), NodeError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(NodeError::file(parent))?;
    }
    fs::write(path, content).map_err(NodeError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_choose_keys_and_name_their_files() {
        let keys = Keys::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]);
        let item = |key: &str| KeyToPath { key: key.to_owned(), path: "dir/x".to_owned(), mode: None };
        assert_eq!(files(&keys, None, false, "m").unwrap().len(), 2);
        assert_eq!(files(&keys, Some(&[item("b")]), false, "m").unwrap(), [("dir/x", b"2".as_slice())]);
        assert!(files(&keys, Some(&[item("c")]), true, "m").unwrap().is_empty());
        let error = files(&keys, Some(&[item("c")]), false, "m").unwrap_err();
        assert_eq!(error.to_string(), "m: references non-existent key: c");
    }
}
