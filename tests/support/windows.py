"""Runs portscope.exe under wine against winports.exe: what a user of Windows would see.

    windows.py FOLDER PORTSCOPE [WORD]

FOLDER has winports.exe. With a word only the checks are made that have it in their names. Called by .ci/windows.
"""
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

FOLDER, PROGRAM = sys.argv[1:3]
WORD = sys.argv[3] if len(sys.argv) > 3 else ""
PASSED, FAILED = [], []


def portscope(*arguments):
    command = ["wine", PROGRAM, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def check(name):
    def run(test):
        if WORD not in name:
            return
        try:
            test()
            PASSED.append(name)
            print(f"ok      {name}")
        except Exception as error:  # whatever it is, the other checks go on
            FAILED.append(name)
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
    return run


def winports():
    """A program that listens, and its pid, TCP port, and UDP port."""
    program = subprocess.Popen(["wine", os.path.join(FOLDER, "winports.exe")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return program, *map(int, program.stdout.readline().split())


helper, pid, tcp, udp = winports()
RECORD = os.path.join(FOLDER, "events.ndjson")


def report(*arguments):
    code, out, err = portscope(*arguments, "--json")
    assert code == 0, (code, err)
    return json.loads(out)


@check("a listener is listed with its owner, state and category")
def _():
    sockets = report(tcp, "--state", "listen")["sockets"]
    assert len(sockets) == 1, sockets
    socket = sockets[0]
    assert socket["state"] == "LISTEN" and socket["local"] == {"address": "127.0.0.1", "port": tcp}, socket
    assert socket["category"] == ("registered" if tcp < 49152 else "dynamic"), socket
    process = socket["owner"]["processes"][0]
    assert process["pid"] == pid and process["name"].lower() == "winports.exe", (process, pid)
    # The account of the process's token; there are no numbers of users.
    assert process["user"] and process["uid"] is None, process


@check("both ends of a connection are listed")
def _():
    # wine gives the accepted end to its server, so that only the other one has an owner.
    sockets = [s for s in report("--state", "established")["sockets"] if tcp in (s["local"]["port"], s["peer"]["port"])]
    owners = [s["owner"]["processes"][0]["pid"] for s in sockets if s["local"]["port"] != tcp]
    assert owners == [pid], sockets
    ports = sorted([socket["local"]["port"], socket["peer"]["port"]] for socket in sockets)
    assert len(ports) == 2 and ports[0] == ports[1][::-1] and tcp in ports[0], sockets


@check("a UDP socket is listed")
def _():
    sockets = report("-u", udp)["sockets"]
    assert [socket["owner"]["processes"][0]["pid"] for socket in sockets] == [pid], sockets


@check("the report says what this system does not tell")
def _():
    told = report(tcp)
    assert told["backend"] == "portable" and told["host"]["os"], told["host"]
    assert {gap["missing"] for gap in told["visibility"]["reasons"]} >= {"attributes", "redirects"}, told["visibility"]


@check("the dynamic range and excluded ranges are read, in whatever language netsh speaks")
def _():
    space = report(tcp)["spaces"][0]
    assert space["ephemeral"] == [49152, 65535], space
    assert space["reserved"] == [[5357, 5357], [20000, 20099], [50000, 50059]], space
    unasked = report(tcp, "--no-helpers")
    assert unasked["spaces"][0]["ephemeral"] is None, unasked["spaces"]
    gaps = [reason["facts"]["gap"] for reason in unasked["visibility"]["reasons"]]
    assert "port-ranges-not-asked" in gaps, gaps


@check("an excluded port is a cause of check, and free does not offer it")
def _():
    code, out, err = portscope("check", 5357, "--no-probe", "--json", "-4")
    assert code == 1 and '"cause":"excluded"' in out.replace(" ", ""), (code, out, err)
    code, out, err = portscope("free", "--explain", "20050")
    assert "reserved by the system" in out, (code, out, err)
    code, out, err = portscope("free", "--range", "20000-20100")
    assert (code, out.strip()) == (0, "20100"), (code, out, err)


def wine(*words):
    return subprocess.run(["wine", *words], capture_output=True, timeout=60)


@check("a service is named with its process, and is a target")
def _():
    path = "Z:" + os.path.join(FOLDER, "winports.exe").replace("/", "\\")
    wine("sc", "create", "WinPorts", "binPath=", f'"{path}" service')
    try:
        started = wine("sc", "start", "WinPorts")
        end = time.monotonic() + 30
        while not (named := [s for s in report("-l")["sockets"] if s["owner"]["unit"] == "WinPorts"]):
            assert time.monotonic() < end, started
        assert named[0]["owner"]["processes"][0]["name"].lower() == "winports.exe", named
        port = named[0]["local"]["port"]
        assert [s["local"]["port"] for s in report("-l", "winports", "--where", 'owner.unit == "WinPorts"')["sockets"]] == [port]
        code, out, err = portscope("info", port)
        assert code == 0 and "unit      WinPorts" in out, (code, out, err)
        code, out, err = portscope("check", port, "-a", "127.0.0.1")
        assert code == 1 and "stop its service: sc.exe stop WinPorts" in out, (code, out, err)
    finally:
        wine("sc", "stop", "WinPorts")
        wine("sc", "delete", "WinPorts")


@check("the table is drawn")
def _():
    code, out, err = portscope("-l", tcp)
    assert code == 0 and str(tcp) in out and "winports.exe" in out and "LISTEN" in out, (code, out, err)


@check("services")
def _():
    code, out, _ = portscope("services", "5432")
    assert code == 0 and "postgresql" in out, out


@check("spaces")
def _():
    code, out, _ = portscope("spaces")
    assert code == 0 and "65,536" in out, out


@check("info")
def _():
    code, out, err = portscope("info", tcp)
    assert code == 0 and "winports.exe" in out, (code, out, err)
    code, out, err = portscope("info", 5357)
    assert code == 0 and "reserved    yes" in out and "privileged  no: every port" in out, (code, out, err)


@check("usage")
def _():
    code, out, err = portscope("usage")
    assert code == 0 and "Ports are counted per host" in out, (code, out, err)


@check("check says who has the port")
def _():
    code, out, err = portscope("check", tcp, "--address", "127.0.0.1")
    assert code == 1 and str(pid) in out, (code, out, err)


@check("free offers a port that can be bound")
def _():
    code, out, err = portscope("free")
    assert code == 0 and 1024 <= int(out) <= 49151, (code, out, err)


@check("wait sees who listens, and that somebody does not")
def _():
    code, out, err = portscope("wait", tcp, "--timeout", "20s")
    assert code == 0 and "winports.exe" in out + err, (code, out, err)
    code, out, err = portscope("wait", tcp, "--free", "--timeout", "300ms")
    assert code == 1, (code, out, err)


@check("a snapshot is written and compared")
def _():
    path = os.path.join(FOLDER, "report.json")
    code, _, err = portscope("snapshot", "Z:" + path)
    assert code == 0, err
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["schema"] == "portscope/1"
    code, out, err = portscope("diff", "Z:" + path, "Z:" + path)
    assert code == 0 and "no difference" in out, (code, out, err)


@check("ports that open and close are events, by polling")
def _():
    command = ["wine", PROGRAM, "events", "--initial", "--for", "10m", "-o", "ndjson"]
    events = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = []

    def until(event, port):
        for line in events.stdout:
            lines.append(line)
            told = json.loads(line)
            if told["event"] == event and told["local"]["port"] == port:
                return told
        raise AssertionError((event, port, lines))

    try:
        until("opened", tcp)
        other, number, port, _ = winports()
        opened = until("opened", port)
        assert opened["seen"] == "poll" and opened["owner"]["processes"][0]["pid"] == number, opened
        other.stdin.close()
        other.wait(timeout=60)
        closed = until("closed", port)
        assert closed["open_for_ms"] > 0, closed
    finally:
        events.kill()
    with open(RECORD, "w", encoding="utf-8") as file:
        file.writelines(lines)
    code, out, err = portscope("events", "--from", "Z:" + RECORD, "--summary", port)
    assert code == 0 and "winports.exe" in out and str(port) in out, (code, out, err)


@check("watch replays a record on its screen, and ends at q")
def _():
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("wine", ["wine", PROGRAM, "watch", "--from", "Z:" + RECORD, "--speed", "1000"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    shown, end = "", time.monotonic() + 100

    def more():
        nonlocal shown
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 1)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                return False
            # wine's console folds what is longer than a line.
            shown += data.decode(errors="replace").replace("\r", "").replace("\n", "")
            return bool(data)
        return True

    with open(RECORD, encoding="utf-8") as file:
        ports = {event["local"]["port"] for line in file if (event := json.loads(line))["protocol"] == "tcp"}
    while not all(word in shown for word in [*map(str, ports), "winports.exe", "q quit", "end of the record"]):
        assert more(), shown
    os.write(terminal, b"q")
    while more():
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown


@check("what this system cannot do is one line and exit code 2")
def _():
    for arguments in (["close", tcp, "--yes"], ["--backend", "native"]):
        code, _, err = portscope(*arguments)
        assert code == 2 and len(err.strip().splitlines()) == 1, (arguments, code, err)


@check("a mistake is one line and exit code 2")
def _():
    code, _, err = portscope("70000")
    assert code == 2 and err.startswith("portscope: `70000` is not a port"), (code, err)


@check("kill ends the owner, and the port is free")
def _():
    code, out, err = portscope("kill", tcp, "--yes")
    assert code == 0, (code, out, err)
    helper.wait(timeout=60)
    assert report(tcp, "--state", "listen")["sockets"] == []


if helper.poll() is None:
    helper.stdin.close()
    helper.wait(timeout=60)
print(f"{len(PASSED)} passed, {len(FAILED)} failed")
sys.exit(1 if FAILED or not PASSED else 0)
