"""The embedded nats-server and the durability check, against the real binary."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from oms import nats_server as subject
from oms.nats_server import EmbeddedNats, NatsServerError, nats_server_binary, require_sync_always

REPO = Path(__file__).resolve().parents[1]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_serves_jetstream_and_says_that_it_syncs(nats_server: EmbeddedNats, nc: Client) -> None:
    """A started server stores messages at once and passes the durability check."""
    js = nc.jetstream()
    await js.add_stream(name="S", subjects=["s"])
    assert (await js.publish("s", b"x")).seq == 1
    await require_sync_always(nats_server.monitor_url, nc=nc)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_restart_keeps_ports_and_stored_messages(tmp_path: Path, how: str) -> None:
    """After a clean stop and after SIGKILL, the server comes back on the same address with the same data."""
    async with EmbeddedNats(tmp_path) as server:
        before = (server.url, server.monitor_url)
        nc = await nats.connect(server.url, allow_reconnect=False)
        await nc.jetstream().add_stream(name="S", subjects=["s"])
        await nc.jetstream().publish("s", b"x")
        await nc.close()
        pid = server.pid
        assert pid is not None
        await (server.stop() if how == "stop" else server.kill())
        assert server.pid is None
        assert not _alive(pid)
        await server.restart()
        assert (server.url, server.monitor_url) == before
        nc = await nats.connect(server.url)
        assert (await nc.jetstream().get_msg("S", 1)).data == b"x"
        await nc.close()


async def test_a_taken_client_port_is_named(tmp_path: Path) -> None:
    """A port that something else listens on is refused by its number, and no process stays."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedNats(tmp_path, port=port)
        with pytest.raises(NatsServerError, match=rf"127\.0\.0\.1:{port} is already in use") as caught:
            await server.start()
    assert caught.value.code == "NATS_PORT_IN_USE"
    assert server.pid is None
    await server.start()
    assert server.port == port
    await server.stop()


async def test_a_port_taken_after_it_was_picked_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picked port that is gone by the time the server binds it leads to another pick, not to an error."""
    pick = subject._free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        picks = [taken.getsockname()[1]]
        monkeypatch.setattr(subject, "_free_port", lambda host: picks.pop() if picks else pick(host))
        async with EmbeddedNats(tmp_path) as server:
            assert server.port != taken.getsockname()[1]


async def test_a_store_serves_one_server_at_a_time(nats_server: EmbeddedNats) -> None:
    """A second server on the same store is refused, for two writers would destroy it."""
    second = EmbeddedNats(nats_server.store_dir, ready_timeout_s=0.2)
    with pytest.raises(NatsServerError) as caught:
        await second.start()
    assert caught.value.code == "NATS_STORE_IN_USE"
    assert nats_server.running


async def test_an_unusable_store_is_named_with_the_reason(tmp_path: Path) -> None:
    """A server that ends during its start says what it logged."""
    (tmp_path / "jetstream").write_text("a file where a directory belongs")
    with pytest.raises(NatsServerError, match="storage directory is not a directory") as caught:
        await EmbeddedNats(tmp_path).start()
    assert caught.value.code == "NATS_START_FAILED"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the kernel's parent-death signal is Linux's"
)
async def test_dies_with_its_parent(tmp_path: Path) -> None:
    """SIGKILL of the process that started the server ends the server too, and frees its store."""
    code = (
        "import asyncio, sys, time\n"
        "from oms.nats_server import EmbeddedNats\n"
        "server = EmbeddedNats(sys.argv[1])\n"
        "asyncio.run(server.start())\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPO
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _alive(child)
        parent.kill()
    async with EmbeddedNats(tmp_path):
        assert not _alive(child)


async def test_interpreter_exit_stops_the_server(tmp_path: Path) -> None:
    """A program that forgets to stop its server leaves none behind."""
    code = (
        "import asyncio, sys\n"
        "from oms.nats_server import EmbeddedNats\n"
        "server = EmbeddedNats(sys.argv[1])\n"
        "asyncio.run(server.start())\n"
        "print(server.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, cwd=REPO, check=True, timeout=60
    )
    assert not _alive(int(done.stdout))


async def test_ctrl_c_does_not_reach_the_server(nats_server: EmbeddedNats) -> None:
    """The server is in a session of its own, so a terminal's Ctrl-C leaves it to us to stop it in order."""
    assert nats_server.pid is not None
    assert os.getsid(nats_server.pid) == nats_server.pid != os.getsid(0)


class TestRequireSyncAlways:
    async def test_refuses_a_server_that_syncs_later(self, tmp_path: Path) -> None:
        """A server on JetStream's default is refused, with the setting to change."""
        async with EmbeddedNats(tmp_path, sync_always=False) as server:
            with pytest.raises(NatsServerError, match=r"set jetstream\.sync_interval to always") as caught:
                await require_sync_always(server.monitor_url)
            assert caught.value.code == "NATS_NOT_DURABLE"

    async def test_every_server_of_a_cluster_is_asked(
        self, tmp_path: Path, nats_server: EmbeddedNats
    ) -> None:
        """One server that syncs later is found behind one that does not."""
        async with EmbeddedNats(tmp_path / "late", sync_always=False) as late:
            with pytest.raises(NatsServerError, match=late.monitor_url):
                await require_sync_always(f"{nats_server.monitor_url}, {late.monitor_url}")

    async def test_another_server_cannot_vouch(
        self, tmp_path: Path, nats_server: EmbeddedNats, nc: Client
    ) -> None:
        """The monitoring address must be that of the server the client is connected to."""
        async with EmbeddedNats(tmp_path / "other") as other:
            with pytest.raises(NatsServerError, match=r"none of those at nats\.monitor_url"):
                await require_sync_always(other.monitor_url, nc=nc)

    async def test_refuses_not_knowing(self) -> None:
        """Without an address to ask, the answer is no."""
        with pytest.raises(NatsServerError, match=r"set nats\.monitor_url") as caught:
            await require_sync_always(None)
        assert caught.value.code == "NATS_NOT_DURABLE"

    async def test_refuses_silence(self) -> None:
        """An address where nothing answers is refused, with the reason."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
            with pytest.raises(NatsServerError, match=f"{url}/varz gave no answer"):
                await require_sync_always(url)

    async def test_is_bounded_in_time(self) -> None:
        """A server that takes the connection and says nothing is given up after the timeout."""
        with socket.create_server(("127.0.0.1", 0)) as mute:
            started = time.monotonic()
            with pytest.raises(NatsServerError, match="timed out"):
                await require_sync_always(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_s=0.2)
            assert time.monotonic() - started < 5

    @pytest.mark.parametrize(
        "answer", [b"hello\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n[]", b"HTTP/1.0 404 No\r\n\r\n"]
    )
    async def test_refuses_an_answer_of_something_else(self, answer: bytes) -> None:
        """What is not a nats-server's monitoring endpoint is refused, not misread."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            with pytest.raises(NatsServerError, match="gave no answer to read"):
                await require_sync_always(f"http://127.0.0.1:{port}")

    async def test_a_told_risk_is_taken_with_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        """With allow_unsynced the finding is logged and the caller goes on."""
        await require_sync_always(None, allow_unsynced=True)
        assert "nats.allow_unsynced is set" in caplog.text


@pytest.fixture
def production_conf(tmp_path: Path) -> Path:
    """The shipped configuration with its store and ports moved to where a test may use them."""
    text = (REPO / "configs" / "nats-server.conf").read_text()
    client, monitor = subject._free_port("127.0.0.1"), subject._free_port("127.0.0.1")
    for shipped, moved in (
        ("port: 4222", f"port: {client}"),
        ('http: "127.0.0.1:8222"', f'http: "127.0.0.1:{monitor}"'),
        ('store_dir: "data/nats"', f'store_dir: "{tmp_path}/store"'),
    ):
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, moved)
    path = tmp_path / "nats-server.conf"
    path.write_text(f"# ports {client} {monitor}\n{text}")
    return path


def test_the_production_configuration_is_valid() -> None:
    """nats-server itself accepts configs/nats-server.conf as shipped."""
    command = [str(nats_server_binary()), "-t", "-c", str(REPO / "configs" / "nats-server.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


async def _start_production(conf: Path) -> tuple["subprocess.Popen[bytes]", str, str]:
    client, monitor = conf.read_text().splitlines()[0].split()[2:]
    log = (conf.parent / "log").open("wb")
    with log:
        process = subprocess.Popen([str(nats_server_binary()), "-c", str(conf)], stdout=log, stderr=log)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, (conf.parent / "log").read_text()
        try:
            await subject._get_json(f"http://127.0.0.1:{monitor}/healthz", timeout_s=1)
            return process, f"nats://127.0.0.1:{client}", f"http://127.0.0.1:{monitor}"
        except OSError:
            await asyncio.sleep(0.02)
    process.kill()
    raise AssertionError((conf.parent / "log").read_text())


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(10)


async def test_the_production_configuration_syncs_always(production_conf: Path) -> None:
    """A server started with configs/nats-server.conf passes the durability check and takes 1 MiB messages."""
    process, url, monitor_url = await _start_production(production_conf)
    try:
        nc = await nats.connect(url)
        await require_sync_always(monitor_url, nc=nc)
        assert nc.max_payload == 1024 * 1024
        await nc.close()
    finally:
        _terminate(process)


@pytest.fixture
def conf_with_users(production_conf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped configuration with its example of users switched on, as its comment says to."""
    for user in ("ADMIN", "OMS", "FOLLOWER", "RISK", "TREASURY", "SUB_ARB"):
        monkeypatch.setenv(f"MEXOMS_{user}_PASSWORD", "secret")
    lines = production_conf.read_text().splitlines()
    assert any(line.startswith("#: ") for line in lines)
    production_conf.write_text("\n".join(re.sub("^#: ?", "", line) for line in lines))
    return production_conf


async def test_the_example_permissions_hold(conf_with_users: Path) -> None:
    """A client reaches its own account's verbs and nothing else; only admin can change a stream, the follower can trim one."""
    process, url, _ = await _start_production(conf_with_users)
    try:
        await _check_permissions(url)
    finally:
        _terminate(process)


async def _check_permissions(url: str) -> None:
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    oms = await nats.connect(url, user="oms", password="secret", error_cb=note)
    admin = await nats.connect(url, user="admin", password="secret")
    follower = await nats.connect(url, user="follower", password="secret", error_cb=note)
    client = await nats.connect(
        url, user="sub_arb", password="secret", inbox_prefix=b"_INBOX_sub_arb", error_cb=note
    )
    risk, treasury = [
        await nats.connect(
            url, user=user, password="secret", inbox_prefix=f"_INBOX_{user}".encode(), error_cb=note
        )
        for user in ("risk", "treasury")
    ]
    try:
        seen: list[str] = []

        async def answer(msg: Msg) -> None:
            seen.append(msg.subject)
            if msg.reply:
                await msg.respond(b"ok")

        for verb in ("place", "orders", "kill", "release", "transfer", "heartbeat"):
            await oms.subscribe(f"{verb}.>", cb=answer)
        await oms.jetstream().add_stream(name="J", subjects=["j"])
        await oms.flush()

        own = "place.binance.sub_arb.spot.BTCUSDT"
        assert (await client.request(own, b"", timeout=5)).data == b"ok"
        allowed = [
            (client, "kill._.sub_arb._._"),
            (client, "heartbeat._.sub_arb._.bot"),
            (risk, "kill._._._._"),
            (risk, "release._.sub_arb._._"),
            (treasury, "transfer.binance.main.spot._"),
        ]
        for user, subject_name in allowed:
            assert (await user.request(subject_name, b"", timeout=5)).data == b"ok"
        forbidden = [
            "place.binance.main.spot.BTCUSDT",
            "orders.binance.sub_arb.spot.BTCUSDT",
            "j",
            "$JS.API.STREAM.PURGE.J",
        ]
        for subject_name in forbidden:
            await client.publish(subject_name, b"")
        others = [
            (client, "kill._._._._"),
            (client, "release._.sub_arb._._"),
            (client, "heartbeat.binance.sub_arb.spot.bot"),
            (client, "transfer.binance.sub_arb.spot._"),
            (risk, own),
            (risk, "transfer.binance.main.spot._"),
            (treasury, own),
            (treasury, "release._.sub_arb._._"),
        ]
        for user, subject_name in others:
            await user.publish(subject_name, b"")
        for subject_name in ("orders.binance.main.>", "_INBOX.>", "_INBOX_oms.>"):
            await client.subscribe(subject_name)
        for verb in ("UPDATE", "DELETE", "PURGE", "MSG.DELETE", "RESTORE"):
            await oms.publish(f"$JS.API.STREAM.{verb}.J", b"")
        for verb in ("UPDATE", "DELETE", "MSG.DELETE", "RESTORE"):
            await follower.publish(f"$JS.API.STREAM.{verb}.J", b"")
        await asyncio.gather(*(user.flush() for user in (client, oms, follower, risk, treasury)))
        assert seen == [own, *(subject_name for _, subject_name in allowed)]
        assert len(refused) == len(forbidden) + len(others) + 3 + 5 + 4, refused
        assert await follower.jetstream().purge_stream("J")
        assert all("permissions violation" in text for text in refused)
        assert (await admin.jetstream().stream_info("J")).state.messages == 0
        assert await admin.jetstream().delete_stream("J")
    finally:
        for connection in (client, oms, follower, risk, treasury, admin):
            await connection.close()
