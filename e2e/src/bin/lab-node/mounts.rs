//! Where a container's mount paths really lie, and the rewriting of text that names them. Never a volume's content.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

/// Mount paths of one container, longest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mounts(Vec<(String, PathBuf)>);

impl Mounts {
    /// `volumes` tells where a volume lies; `termination` where the termination message does.
    pub(crate) fn new(container: &Container, volumes: impl Fn(&str) -> PathBuf, termination: &Path) -> Self {
        let message = container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".to_owned());
        let mut all: Vec<_> = container
            .volume_mounts
            .iter()
            .flatten()
            .map(|mount| {
                let volume = volumes(&mount.name);
                let real = mount.sub_path.as_ref().map_or(volume.clone(), |path| volume.join(path));
                (mount.mount_path.trim_end_matches('/').to_owned(), real)
            })
            .chain([(message, termination.to_owned())])
            .filter(|(path, _)| !path.is_empty())
            .collect();
        all.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self(all)
    }

    /// Rewrites a value that starts with a mount path, or has one right after its first `=` (`--file=/mount/x`).
    pub(crate) fn rewrite(&self, value: &str) -> String {
        if let Some(path) = self.path(value) {
            return path;
        }
        match value.split_once('=') {
            Some((name, rest)) => self.path(rest).map_or_else(|| value.to_owned(), |path| format!("{name}={path}")),
            None => value.to_owned(),
        }
    }

    fn path(&self, value: &str) -> Option<String> {
        self.0.iter().find_map(|(mount, real)| {
            let rest = value.strip_prefix(mount.as_str())?;
            // `/data2` is not below `/data`; `/a:/b` lists end a path too.
            let whole = rest.is_empty() || rest.starts_with(['/', ':', ',']);
            whole.then(|| format!("{}{rest}", real.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mounts() -> Mounts {
        let container: Container = serde_json::from_value(json!({"name": "c", "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "deep", "mountPath": "/data/deep/"},
            {"name": "conf", "mountPath": "/etc/app.yaml", "subPath": "app.yaml"},
        ]}))
        .unwrap();
        Mounts::new(&container, |name| PathBuf::from("/real").join(name), Path::new("/real/message"))
    }

    #[test]
    fn paths_at_the_start_of_a_value_are_rewritten_longest_first() {
        let mounts = mounts();
        assert_eq!(mounts.rewrite("/data"), "/real/data");
        assert_eq!(mounts.rewrite("/data/x"), "/real/data/x");
        assert_eq!(mounts.rewrite("/data/deep/x"), "/real/deep/x");
        assert_eq!(mounts.rewrite("/etc/app.yaml"), "/real/conf/app.yaml");
        assert_eq!(mounts.rewrite("--model=/data/x"), "--model=/real/data/x");
        assert_eq!(mounts.rewrite("/dev/termination-log"), "/real/message");
    }

    #[test]
    fn other_text_stays() {
        let mounts = mounts();
        for value in ["/data2", "x/data", "--model=/data2", "a=b", "", "http://data"] {
            assert_eq!(mounts.rewrite(value), value);
        }
    }
}
