"""The storage keys from a real OpenBao: what is read, how one logs in, and what is said when it cannot be."""

import base64
import logging
import secrets
import socket
import time
import traceback
from collections.abc import Callable, Iterator

import attrs
import pytest

from oms.config import VaultConfig, load_config
from oms.encryption import Keys
from oms.vault import VaultError, read_keys, storage_keys
from tests.bao import ROOT, START_TIMEOUT_S, Bao, running_bao

KEY_1, KEY_2 = b"\x01" * 32, b"\x02" * 32


def b64(key: bytes) -> str:
    """As a key stands in a field."""
    return base64.b64encode(key).decode()


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A dev server of this module's own."""
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


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
    assert read_keys(config, bao.approle()).find("k1") == KEY_1


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
