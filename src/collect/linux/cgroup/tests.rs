use proptest::prelude::*;

use super::*;

const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn every_form_of_path_is_read() {
    for (path, unit, container) in [
        // Version 1, and cgroups that the engine makes itself
        ("/system.slice/system.slice:docker:ID", None, Some("docker")),
        ("/kubepods-burstable-pod12_3.slice:cri-containerd:ID", None, Some("containerd")),
        (
            "/system.slice/containerd.service/kubepods-besteffort-pod12_3.slice:cri-containerd:ID",
            Some("containerd.service"),
            Some("containerd"),
        ),
        ("/machine.slice/machine.slice:libpod:ID", None, Some("podman")),
        ("/kubepods/besteffort/pod12-3/crio-ID", None, Some("cri-o")),
        ("/kubepods.slice/kubepods-pod12_3.slice/docker-ID.scope", None, Some("docker")),
        ("/libpod_parent/libpod-ID", None, Some("podman")),
        ("/system.slice/nerdctl-ID.scope", None, Some("containerd")),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", None, Some("podman")),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", None, Some("docker")),
        ("/docker/ID/init", None, Some("docker")),
        ("/podruntime/docker/ID", None, Some("docker")),
        // Engines that are not known
        ("/default/ID", None, Some("container")),
        ("/ecs/0123456789/ID", None, Some("container")),
        ("/actions_job/ID", None, Some("container")),
        ("/system.slice/own-ID.scope", None, Some("container")),
        ("/system.slice/own.service/ID", Some("own.service"), Some("container")),
        // Containers in containers
        ("/docker/ID/docker/OTHER", None, Some("docker")),
        ("/system.slice/docker-ID.scope/kubepods/pod12-3/OTHER", None, Some("cri")),
        ("/lxc.payload.web/docker/ID", None, Some("docker")),
        ("/lxc.payload.web/system.slice/docker-ID.scope", None, Some("docker")),
        // Virtual machines are no containers
        ("/machine.slice/machine-qemu\\x2d1\\x2dcentos7.scope", Some("machine-qemu-1-centos7.scope"), None),
        (
            "/machine.slice/machine-qemu\\x2d1\\x2dcentos7.scope/libvirt/emulator",
            Some("machine-qemu-1-centos7.scope"),
            None,
        ),
        ("/machine.slice/machine-lxc\\x2d123\\x2dweb.scope", None, Some("lxc")),
        ("/machine.slice/machine-qemu.scope", None, Some("nspawn")),
        ("/qemu.slice/100.scope", None, None),
        // What is beside a container
        ("/kubepods.slice/crio-conmon-ID.scope", None, None),
        ("/lxc.monitor.web", None, None),
        ("/system.slice/docker.service", Some("docker.service"), None),
        ("/docker/012g", None, None),
        ("/system.slice/sshd.service", Some("sshd.service"), None),
        ("/system.slice/docker-ID.scope", None, Some("docker")),
        ("/docker/ID", None, Some("docker")),
        ("/machine.slice/libpod-ID.scope/container", None, Some("podman")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", Some("web.service"), None),
        ("/user.slice/user-1000.slice/session-3.scope", None, None),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", None, None),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-ID.scope",
            None,
            Some("containerd"),
        ),
        ("/kubepods/besteffort/pod12-3/ID", None, Some("cri")),
        ("/kubepods.slice/crio-ID.scope", None, Some("cri-o")),
        ("/lxc.payload.web", None, Some("lxc")),
        ("/lxc/web", None, Some("lxc")),
        ("/machine.slice/machine-web\\x2d1.scope", None, Some("nspawn")),
        // What is below a container's directory is named by the container.
        ("/system.slice/docker-ID.scope/system.slice/nginx.service", None, Some("docker")),
        ("/docker/ID/system.slice/nginx.service", None, Some("docker")),
        ("/machine.slice/libpod-ID.scope/container/system.slice/nginx.service", None, Some("podman")),
        ("/lxc.payload.web/system.slice/nginx.service", None, Some("lxc")),
        ("/lxc/web/system.slice/nginx.service", None, Some("lxc")),
        ("/machine.slice/machine-box.scope/payload/system.slice/nginx.service", None, Some("nspawn")),
        ("/kubepods/pod12-3/ID/system.slice/nginx.service", None, Some("cri")),
        // A unit of the host may be around a container.
        ("/system.slice/web.service/libpod-payload-ID", Some("web.service"), Some("podman")),
        ("/system.slice/web.service/libpod-payload-ID/system.slice/x.service", Some("web.service"), Some("podman")),
        (
            "/machine.slice/systemd-nspawn@box.service/payload/system.slice/nginx.service",
            Some("systemd-nspawn@box.service"),
            Some("nspawn"),
        ),
        (
            "/machine.slice/systemd-nspawn@box.service/system.slice/nginx.service",
            Some("systemd-nspawn@box.service"),
            Some("nspawn"),
        ),
        ("/machine.slice/systemd-nspawn@box.service/supervisor", Some("systemd-nspawn@box.service"), None),
        ("/machine.slice/systemd-nspawn@box.service", Some("systemd-nspawn@box.service"), None),
        ("/system.slice/own.service/payload/system.slice/nginx.service", Some("own.service"), None),
        ("/payload/system.slice/nginx.service", Some("nginx.service"), None),
        ("/machine.slice/libpod-conmon-ID.scope", None, None),
        ("/docker/buildkit", None, None),
        ("/docker/0123", None, None),
        ("/../x", None, None),
        ("/", None, None),
        ("", None, None),
    ] {
        let found = belonging(&path.replace("ID", ID).replace("OTHER", OTHER)).unwrap_or_default();
        assert_eq!(found.unit.as_deref(), unit, "{path}");
        assert_eq!(found.container.map(|container| container.runtime.name()), container, "{path}");
    }
    for path in ["/machine.slice/machine-web\\x2d1.scope", "/machine.slice/systemd-nspawn@web\\x2d1.service/payload"] {
        assert_eq!(belonging(path).unwrap().container.unwrap().id, "web-1", "{path}");
    }
}

#[test]
fn of_nested_containers_the_innermost_is_named_and_the_outermost_is_to_stop() {
    let read = |path: &str| belonging(&path.replace("ID", ID).replace("OTHER", OTHER)).unwrap();
    let nested = read("/docker/ID/docker/OTHER");
    assert_eq!((&*nested.container.as_ref().unwrap().id, &*nested.to_stop().unwrap().id), (OTHER, ID));
    let nested = read("/lxc.payload.web/docker/ID");
    assert_eq!(
        (nested.container.as_ref().unwrap().runtime, nested.to_stop().unwrap().runtime),
        (Runtime::Docker, Runtime::Lxc)
    );
    let plain = read("/docker/ID");
    assert_eq!((&plain.outer, plain.to_stop()), (&None, plain.container.as_ref()));
}

#[test]
fn the_line_that_says_most_wins() {
    let read = |text: &str| of_process(text.replace("ID", ID).replace("OTHER", OTHER).as_bytes()).unwrap();
    // Hybrid: version 2 has only the engine's own unit.
    let moved = read("12:pids:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n");
    assert_eq!((moved.unit, moved.container.unwrap().runtime), (None, Runtime::Docker));
    let deeper = read("2:cpu:/docker/ID/docker/OTHER\n0::/docker/ID\n");
    assert_eq!(deeper.container.unwrap().id, OTHER);
    let unit = read("3:cpu:/user.slice\n1:name=systemd:/system.slice/a.service\n0::/\n");
    assert_eq!(unit.unit.as_deref(), Some("a.service"));
}

#[test]
fn a_pod_is_named_by_its_uid() {
    let uid = "0a1b2c3d-0000-4000-8000-0123456789ab";
    for path in [
        format!("/kubepods/besteffort/pod{uid}/{ID}"),
        format!(
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/cri-containerd-{ID}.scope",
            uid.replace('-', "_")
        ),
    ] {
        assert_eq!(belonging(&path).unwrap().container.unwrap().pod.as_deref(), Some(uid), "{path}");
    }
    assert_eq!(belonging(&format!("/docker/{ID}")).unwrap().container.unwrap().pod, None);
}

#[test]
fn version_2_is_asked_before_systemds_tree_and_that_before_any() {
    let unit = |text: &str| of_process(text.as_bytes()).and_then(|belonging| belonging.unit);
    let (second, systemd, any) =
        ("0::/a.slice/a.service\n", "1:name=systemd:/a.slice/b.service\n", "7:blkio:/c.service\n");
    assert_eq!(unit(&[any, systemd, second].concat()).as_deref(), Some("a.service"));
    assert_eq!(unit(&[any, systemd, "0::/\n"].concat()).as_deref(), Some("b.service"));
    assert_eq!(unit(&[any, "0::/\n"].concat()).as_deref(), Some("c.service"));
    assert_eq!(unit("0::/\n\nx\n"), None);
    let docker = of_process(format!("9:name=systemd:/docker/{ID}\n0::/docker/{ID}\n").as_bytes());
    assert_eq!(docker.unwrap().container.unwrap().runtime, Runtime::Docker);
}

#[test]
fn the_tree_of_version_2_is_found_also_beside_version_1() {
    let line = |point: &str, kind: &str| format!("30 25 0:26 / {point} rw,nosuid shared:9 - {kind} {kind} rw\n");
    let hybrid = line("/sys/fs/cgroup/cpu", "cgroup") + &line("/sys/fs/cgroup/unified", "cgroup2");
    assert_eq!(mount_point(hybrid.as_bytes()), Some("/sys/fs/cgroup/unified".into()));
    assert_eq!(mount_point(line("/sys/fs/cgroup", "cgroup2").as_bytes()), Some("/sys/fs/cgroup".into()));
    assert_eq!(mount_point(b"x\n\xff - cgroup2\n"), None);
}

proptest! {
    #[test]
    fn no_path_makes_it_panic(path in any::<String>(), mountinfo in any::<Vec<u8>>()) {
        let _ = (belonging(&path), mount_point(&mountinfo), of_process(&mountinfo));
    }
}
