"""Thirty processes of one ordinary user, each with a trick of its own, each with a listener.

Prints a line `PORT PID…` for each, with the processes that hold it; none for a descriptor that is in flight. Then `ready`.
Everything ends with this process.
"""
import array
import ctypes
import os
import shutil
import signal
import socket
import sys
import threading
import time

folder, app, prod = sys.argv[1:4]
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, FILES, NEWUSER, NEWNET = 0x20000, 0x400, 0x10000000, 0x40000000
PYTHON = os.path.realpath("/usr/bin/python3")
WAIT = "import ctypes, signal, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode('utf-8', 'surrogateescape'), 0, 0, 0); signal.pause()"
PROXY = ["-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "5432", "-container-ip", "172.17.0.2",
         "-container-port", "5432", "$(id PWN)", "; id PWN #"]


def listener(port):
    one = socket.socket()
    one.bind(("0.0.0.0", port))
    one.listen()
    one.set_inheritable(True)
    return one


def copy(name):
    path = os.path.join(folder, name)
    shutil.copy(os.path.realpath("/bin/sleep"), path)
    os.chmod(path, 0o777)
    return path


def called(name):
    def run(port):
        os.execv(PYTHON, [name, "-c", WAIT, name, *PROXY])
    return run


def in_cgroup(name):
    def run(port):
        own = os.path.join(app, name)
        os.mkdir(own)
        with open(os.path.join(own, "cgroup.procs"), "w") as procs:
            procs.write("0")
        os.execv(PYTHON, ["PWN", "-c", WAIT, "PWN"])
    return run


def deleted(port):
    path = copy("PWN$(id)")
    link = os.open(path, os.O_RDONLY)
    os.unlink(path)
    os.execv("/proc/self/fd/%d" % link, ["PWN", "1000"])


def in_memory(port):
    memory = os.memfd_create("PWN;id", 0)
    os.write(memory, open("/bin/sleep", "rb").read())
    os.execv("/proc/self/fd/%d" % memory, ["PWN", "1000"])


def forged(port):
    path = copy("forged")
    assert libc.unshare(NEWUSER | NEWNS) == 0
    assert libc.mount(path.encode(), os.path.realpath("/usr/bin/true").encode(), None, 4096, None) == 0
    os.execv("/usr/bin/true", ["nginx", "1000"])


def loaded(port):
    loader = os.path.realpath("/lib64/ld-linux-x86-64.so.2" if os.path.exists("/lib64/ld-linux-x86-64.so.2")
                              else "/lib/ld-linux-aarch64.so.1")
    os.execv(loader, [loader, copy("loaded"), "1000"])


def script(port):
    path = os.path.join(folder, "PWN.py")
    with open(path, "w") as text:
        text.write("import signal\nsignal.pause()\n")
    os.chmod(path, 0o777)
    os.execv(PYTHON, ["nginx: master", path])


def dead_leader(port):
    ended = threading.Event()

    def wait():
        ended.wait()
        time.sleep(1000)
    threading.Thread(target=wait).start()
    ended.set()
    libc.syscall(60 if os.uname().machine == "x86_64" else 93, 0)


def apart(port, ready):
    assert libc.unshare(NEWUSER) == 0
    libc.prctl(15, b"PWN;id #", 0, 0, 0)
    listens = threading.Event()

    def work():
        assert libc.unshare(FILES | NEWNET) == 0
        work.listener = listener(port)
        listens.set()
        time.sleep(1000)
    threading.Thread(target=work).start()
    listens.wait()
    os.write(ready, b"1")
    time.sleep(1000)


def pause(port):
    signal.pause()


def born():
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)


def spawn(run, port, keep=()):
    pid = os.fork()
    if pid == 0:
        born()
        try:
            run(port)
        finally:
            os._exit(1)
    return pid


tricks = [called(name) for name in (
    "docker-proxy", "dockerd", "conmon", "podman", "rootlessport", "slirp4netns", "pasta", "containerd-shim", "systemd",
    "PWN$(id)", "PWN`id`", "PWN;id #", "--PWN", "\x1b[31mPWN", "PWN\nhint: id", "\u202ePWN", "\udcffPWN")]
tricks += [in_cgroup(name) for name in (
    "PWN.service; id #.service", "ssh.service", "docker-%s.scope" % prod, "libpod-%s.scope" % prod)]
tricks += [deleted, in_memory, forged, loaded, script, dead_leader]
first = 21000
for port, run in enumerate(tricks, first):
    own = listener(port)
    print(port, spawn(run, port), flush=True)
    own.close()
port = first + len(tricks)

# A thread with a network namespace and descriptors of its own.
there, ready = os.pipe()
print(port, spawn(lambda port: apart(port, ready), port), flush=True)
os.read(there, 1)

# One listener of two processes.
own = listener(port + 1)
print(port + 1, spawn(pause, port + 1), spawn(pause, port + 1), flush=True)
own.close()

# One that was handed to another process, and one that is still on its way.
own = listener(port + 2)
ends = socket.socketpair()
socket.send_fds(ends[0], [b"x"], [own.fileno()])
own.close()
print(port + 2, flush=True)
print("ready", flush=True)
signal.pause()
