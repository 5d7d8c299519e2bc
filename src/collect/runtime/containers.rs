//! Names and addresses of containers, from Docker and Podman through their local sockets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerSummary, PortSummary, PortSummaryTypeEnum};
use bollard::{API_DEFAULT_VERSION, Docker};

use super::socket_of;
use crate::collect::helper::HelperError;
use crate::model::{Container, Endpoint, Origin, Port, Protocol, Runtime, Uid};

/// How long one runtime may take.
const PATIENCE: Duration = Duration::from_millis(400);

/// A container as its engine describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunningContainer {
    /// Its id, name and image.
    pub container: Container,
    /// The addresses that it has on the runtime's networks.
    pub addresses: Vec<IpAddr>,
    /// The ports of this host that the runtime sends on to it.
    pub published: Vec<Published>,
    /// The user that the runtime runs as, and so does what listens for it.
    pub runtime_user: Uid,
}

/// A port of this host that leads to a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Published {
    /// The protocol.
    pub protocol: Protocol,
    /// The end on this host; without an address on every one.
    pub address: Option<IpAddr>,
    /// The port on this host.
    pub port: Port,
    /// The port in the container.
    pub private: Port,
}

impl Published {
    /// Says whether it is exactly this end of this host.
    pub fn is(&self, protocol: Protocol, local: Endpoint) -> bool {
        let is_same = |address: IpAddr| address.to_canonical() == local.address.to_canonical();
        self.protocol == protocol
            && self.port == local.port
            && self.address.map_or_else(|| local.address.is_unspecified(), is_same)
    }
}

/// Asks every engine whose socket exists. Returns the containers, and an error for each engine that did not answer.
pub fn list() -> (Vec<RunningContainer>, Vec<HelperError>) {
    let mut running: Vec<RunningContainer> = Vec::new();
    let mut errors = Vec::new();
    for (runtime, socket) in sockets() {
        match ask(runtime, &socket) {
            Ok(containers) => running.extend(containers),
            Err(error) => errors.push(error),
        }
    }
    (running, errors)
}

/// The sockets of the system's engines; for other users than root also those of the user's own engines, which need no
/// privilege.
fn sockets() -> Vec<(Runtime, PathBuf)> {
    let uid = rustix::process::geteuid();
    let of_user = (!uid.is_root()).then(|| PathBuf::from(format!("/run/user/{}", uid.as_raw())));
    let folders = std::iter::once(PathBuf::from("/run")).chain(of_user);
    let in_folder = |folder: PathBuf| {
        let path = move |runtime| Some((runtime, folder.join(socket_of(runtime)?)));
        Runtime::ALL.into_iter().filter_map(path)
    };
    folders.flat_map(in_folder).filter(|(_, path)| is_trusted_socket(path)).collect()
}

/// Returns whether the socket was created by root or by this user.
fn is_trusted_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let own = rustix::process::geteuid().as_raw();
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.file_type().is_socket() && [0, own].contains(&metadata.uid()))
}

fn ask(runtime: Runtime, socket: &Path) -> Result<Vec<RunningContainer>, HelperError> {
    let failed = |problem: String| HelperError::Failed { program: socket.display().to_string(), problem };
    // The user who runs the runtime has made its socket; nobody else may put one where it is looked for.
    let user = std::fs::symlink_metadata(socket).map(|metadata| Uid(metadata.uid()));
    let user = user.map_err(|error| failed(error.to_string()))?;
    let engine = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let engine = engine.map_err(|error| failed(error.to_string()))?;
    let question = async {
        let docker = Docker::connect_with_unix(&socket.to_string_lossy(), 1, API_DEFAULT_VERSION)?;
        // Old and new servers know different versions of the interface.
        docker.negotiate_version().await?.list_containers(None).await
    };
    let answer = engine.block_on(async { tokio::time::timeout(PATIENCE, question).await });
    match answer {
        Err(_) => Err(HelperError::TimedOut(socket.display().to_string())),
        Ok(Err(error)) => Err(failed(cause(&error))),
        Ok(Ok(containers)) => {
            Ok(containers.into_iter().filter_map(|summary| running(runtime, user, summary)).collect())
        }
    }
}

/// Reads the answer of an engine, as its client does; nothing when it has another form.
#[cfg(any(feature = "fuzzing", test))]
pub fn parse(bytes: &[u8]) -> Option<Vec<RunningContainer>> {
    let summaries: Vec<ContainerSummary> = serde_json::from_slice(bytes).ok()?;
    Some(summaries.into_iter().filter_map(|summary| running(Runtime::Docker, Uid(0), summary)).collect())
}

/// The innermost cause of an error: `connection refused` where the client only says `client error`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// The project and the service of the labels that Compose gives. Source: the Compose specification.
fn compose(labels: &HashMap<String, String>) -> Option<String> {
    let label = |name: &str| labels.get(&format!("com.docker.compose.{name}")).filter(|text| !text.is_empty());
    Some(format!("{}/{}", label("project")?, label("service")?))
}

fn running(runtime: Runtime, runtime_user: Uid, summary: ContainerSummary) -> Option<RunningContainer> {
    let name = summary.names.unwrap_or_default().into_iter().next();
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let texts = networks.into_values().flat_map(|network| [network.ip_address, network.global_ipv6_address]);
    Some(RunningContainer {
        container: Container {
            name: name.map(|name| name.trim_start_matches('/').to_owned()),
            image: summary.image,
            compose: summary.labels.as_ref().and_then(compose),
            origin: Origin::Manager,
            ..Container::of_id(runtime, summary.id?)
        },
        addresses: texts.flatten().filter_map(|text| text.parse().ok()).collect(),
        published: summary.ports.unwrap_or_default().iter().filter_map(published).collect(),
        runtime_user,
    })
}

/// Nothing for a port that is only exposed to other containers, or of a protocol that is not listed here.
fn published(port: &PortSummary) -> Option<Published> {
    let protocol = match port.typ? {
        PortSummaryTypeEnum::TCP => Protocol::Tcp,
        PortSummaryTypeEnum::UDP => Protocol::Udp,
        PortSummaryTypeEnum::SCTP | PortSummaryTypeEnum::EMPTY => return None,
    };
    let address = match port.ip.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse().ok()?),
    };
    let (private, port) = (Port::new(port.private_port), Port::new(port.public_port?));
    Some(Published { protocol, address, port, private })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A server that gives the same answers to every connection, until it is not asked any more.
    fn server(path: &Path, answers: &'static [&'static str]) {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            let mut answers = answers.iter();
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|length| length > 0) {
                    let Some(body) = answers.next() else { return };
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\n";
                    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                }
            }
        });
    }

    fn socket(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("portscope-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn an_old_server_tells_names_images_and_addresses() {
        let path = socket("told");
        server(
            &path,
            &[
                r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#,
                r#"[{"Id":"0123","Names":["/web"],"Image":"httpd:2","Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"},"Ports":[{"IP":"127.0.0.1","PrivatePort":80,
                    "PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"}],"NetworkSettings":{"Networks":{"bridge":
                    {"IPAddress":"172.17.0.2","GlobalIPv6Address":""}}}}]"#,
            ],
        );
        let running = ask(Runtime::Docker, &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(running[0].container.short_name(), "web");
        assert_eq!(running[0].container.image.as_deref(), Some("httpd:2"));
        assert_eq!(running[0].container.compose.as_deref(), Some("shop/web"));
        assert_eq!(running[0].addresses, ["172.17.0.2".parse::<IpAddr>().unwrap()]);
        let end = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
        let [published] = running[0].published[..] else { panic!("{running:?}") };
        assert!(published.is(Protocol::Tcp, end("127.0.0.1", 8080)) && published.private == Port::new(80));
        assert!(
            !published.is(Protocol::Tcp, end("0.0.0.0", 8080)) && !published.is(Protocol::Tcp, end("127.0.0.1", 80))
        );
        assert!(!published.is(Protocol::Udp, end("127.0.0.1", 8080)));
    }

    #[test]
    fn a_server_that_does_not_answer_is_given_up() {
        let path = socket("silent");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = ask(Runtime::Docker, &path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(error.to_string().ends_with("timed out"), "{error}");
    }
}
