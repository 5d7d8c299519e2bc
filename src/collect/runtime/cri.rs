//! Names of Kubernetes containers and their pods, by crictl.

use std::collections::HashMap;

use serde::Deserialize;

use super::output;
use crate::collect::helper::HelperError;
use crate::model::{Container, Runtime};

/// Asks the container runtime of Kubernetes for what runs. Source: crictl(1), `ps --output json`.
pub fn list() -> Result<Vec<Container>, HelperError> {
    let text = output("crictl", &["ps", "--output", "json"])?;
    parse(&text).ok_or_else(|| HelperError::Malformed("crictl".to_owned()))
}

#[derive(Deserialize)]
struct Answer {
    containers: Vec<Running>,
}

#[derive(Deserialize)]
struct Running {
    id: String,
    metadata: Metadata,
    image: Option<Image>,
    #[serde(default)]
    labels: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct Image {
    image: String,
}

/// Parses the answer; `None` when it has another form.
pub fn parse(text: &[u8]) -> Option<Vec<Container>> {
    let answer: Answer = serde_json::from_slice(text).ok()?;
    let container = |running: Running| {
        let label = |name: &str| running.labels.get(&format!("io.kubernetes.pod.{name}")).cloned();
        let pod = match (label("namespace"), label("name")) {
            (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
            (_, name) => name,
        };
        let image = running.image.map(|image| image.image);
        Container { name: Some(running.metadata.name), image, pod, ..Container::of_id(Runtime::Cri, running.id) }
    };
    Some(answer.containers.into_iter().map(container).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_its_name_image_and_pod() {
        let text = br#"{"containers":[{"id":"0a","podSandboxId":"ff","metadata":{"name":"coredns","attempt":0},
            "image":{"image":"registry.k8s.io/coredns:v1"},"state":"CONTAINER_RUNNING",
            "labels":{"io.kubernetes.pod.name":"coredns-1","io.kubernetes.pod.namespace":"kube-system"}}]}"#;
        let found = parse(text).unwrap();
        assert_eq!(found[0].short_name(), "coredns");
        assert_eq!(found[0].pod.as_deref(), Some("kube-system/coredns-1"));
        assert_eq!(found[0].image.as_deref(), Some("registry.k8s.io/coredns:v1"));
        assert_eq!(parse(b"{}"), None);
    }
}
