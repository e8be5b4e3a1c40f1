"""Accounts' keys from a real OpenBao: what is read, how a rotated one is noticed, and that none is ever shown."""

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.config import AccountConfig, Config, VaultConfig
from oms.messages.enums import AccountKind
from oms.vault import Login, VaultError
from oms.venues.credentials import CredentialsMissing, EnvironmentCredentials, FixedCredentials, Key
from oms.venues.vault_keys import CHARS_MAX, VaultCredentials, open_credentials, read_entry
from tests.bao import ROOT, Bao, running_bao

VENUES = {"binance.spot": ("main", "sub_arb"), "okx.futures": ("main",)}
WITH_ROOT = {"VAULT_TOKEN": ROOT}
SOON_S = 0.15


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """A dev server of this module's own."""
    with running_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


def entry(name: str, **more: str) -> dict[str, str]:
    """A key as it stands in Vault."""
    return {"api_key": f"{name}-api-key", "secret": f"{name}-secret", **more}


@pytest.fixture
def kept(bao: Bao) -> Bao:
    """The server with keys for every account of ``VENUES``: one as an object, one as text."""
    bao.put("exchanges/binance_spot", main=entry("m1"), sub_arb=json.dumps(entry("s1")))
    bao.put("exchanges/okx_futures", main=json.dumps(entry("o1", passphrase="o1-passphrase")))
    return bao


@attrs.define
class Told:
    """What was told of changes."""

    changes: list[tuple[str, str, str]] = attrs.field(factory=list)

    def __call__(self, exchange: str, market: str, account: str) -> None:
        self.changes.append((exchange, market, account))


@asynccontextmanager
async def credentials(
    bao: Bao, environ: dict[str, str] | None = None, poll_s: float = SOON_S
) -> AsyncIterator[tuple[VaultCredentials, Told]]:
    """Credentials that look for changes often."""
    told = Told()
    async with VaultCredentials(bao.config(poll_s=poll_s), VENUES, environ or WITH_ROOT) as found:
        found.watch(told)
        yield found, told


async def until(condition: Callable[[], Any], within_s: float = 10.0) -> None:
    """Wait until it holds."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.02)


# -- what is read


async def test_keys_are_those_in_vault(kept: Bao) -> None:
    """Each account's key is the one in its field, written as an object or as text, with its passphrase if it has one."""
    async with credentials(kept) as (keys, told):
        assert keys.key("binance", "spot", "main") == Key("m1-api-key", "m1-secret")
        assert keys.key("binance", "spot", "sub_arb") == Key("s1-api-key", "s1-secret")
        assert keys.key("okx", "futures", "main") == Key("o1-api-key", "o1-secret", "o1-passphrase")
        assert told.changes == []


async def test_the_policy_needs_two_paths_to_read(kept: Bao) -> None:
    """A role that may read data and metadata of exchanges/*, and nothing else, is enough; and so is such a token."""
    for environ in (kept.approle(), {"VAULT_TOKEN": kept.token()}):
        async with credentials(kept, environ) as (keys, _):
            assert keys.key("binance", "spot", "main").api_key == "m1-api-key"


async def test_an_account_without_a_key_hinders_no_other(kept: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """A missing field, one that cannot be read and a missing secret are told by name, and only who needs them fails."""
    kept.put("exchanges/binance_spot", main=entry("m1"), sub_arb='{"api_key": "hunter2"}')
    kept.root.secrets.kv.v2.delete_metadata_and_all_versions("exchanges/okx_futures")
    async with credentials(kept) as (keys, told):
        assert keys.key("binance", "spot", "main").secret == "m1-secret"
        with pytest.raises(
            CredentialsMissing, match=r"field 'sub_arb' of secret/exchanges/binance_spot of http"
        ):
            keys.key("binance", "spot", "sub_arb")
        with pytest.raises(CredentialsMissing, match=r"field 'main' of secret/exchanges/okx_futures"):
            keys.key("okx", "futures", "main")
        assert "field 'sub_arb' of secret/exchanges/binance_spot" in caplog.text
        assert 'must be {"api_key"' in caplog.text
        assert "hunter2" not in caplog.text
        # Both are put right without a restart.
        kept.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s2"))
        kept.put("exchanges/okx_futures", main=entry("o2"))
        await until(lambda: len(told.changes) == 2)
        assert sorted(told.changes) == [("binance", "spot", "sub_arb"), ("okx", "futures", "main")]
        assert keys.key("okx", "futures", "main").secret == "o2-secret"


_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)


@given(api_key=_WORDS, secret=_WORDS, passphrase=st.none() | st.just("") | _WORDS, as_text=st.booleans())
def test_any_key_is_read_as_it_is(api_key: str, secret: str, passphrase: str | None, as_text: bool) -> None:
    """What is written is what is read, whatever characters it has."""
    value = {"api_key": api_key, "secret": secret}
    value |= {} if passphrase is None else {"passphrase": passphrase}
    assert read_entry(json.dumps(value) if as_text else value) == Key(api_key, secret, passphrase or "")


def test_a_secret_may_be_of_many_lines() -> None:
    """An Ed25519 key is a PEM: its lines are part of the secret."""
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"
    assert read_entry({"api_key": "k", "secret": pem}) == Key("k", pem)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "hunter2",
        "[]",
        "{",
        [],
        {},
        {"api_key": "a"},
        {"api_key": "a", "secret": ""},
        {"api_key": "a", "secret": " \n"},
        {"api_key": "", "secret": "s"},
        {"api_key": "a\n", "secret": "s"},
        {"api_key": " a", "secret": "s"},
        {"api_key": "a", "secret": "s", "passphrase": "p\n"},
        {"api_key": "a", "secret": 5},
        {"api_key": "a", "secret": "s", "passphrase": None},
        {"api_key": "a", "secret": "s", "pasphrase": "p"},
        {"api_key": "a", "secret": "s" * (CHARS_MAX + 1)},
        '{"api_key": "a", "secret": "s"} ',
        b"\xff",
    ],
)
def test_what_is_no_key_is_none(value: object) -> None:
    """What cannot be a key is not taken for one: an exchange would refuse it, or a header could not carry it."""
    expected = Key("a", "s") if value == '{"api_key": "a", "secret": "s"} ' else None
    assert read_entry(value) == expected


# -- rotation


async def test_a_rotated_key_is_noticed(kept: Bao) -> None:
    """Of a new version, the accounts whose key changed are told, once each, and their new keys handed out."""
    async with credentials(kept) as (keys, told):
        kept.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s2"))
        await until(lambda: told.changes)
        await asyncio.sleep(3 * SOON_S)
        assert told.changes == [("binance", "spot", "sub_arb")]
        assert keys.key("binance", "spot", "sub_arb") == Key("s2-api-key", "s2-secret")
        # A new version with the same keys is no change.
        kept.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s2"))
        await asyncio.sleep(3 * SOON_S)
        assert len(told.changes) == 1


async def test_a_key_that_is_refused_is_read_again_at_once(kept: Bao) -> None:
    """A refresh reads without waiting for the next look, and says whether there is another key."""
    async with credentials(kept, poll_s=600) as (keys, told):
        assert await keys.refresh("binance", "spot", "main") is False
        kept.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s1"))
        assert await keys.refresh("binance", "spot", "main") is True
        assert keys.key("binance", "spot", "main").api_key == "m2-api-key"
        assert told.changes == [("binance", "spot", "main")]


async def test_two_hundred_refreshes_at_once_are_two_readings(
    kept: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts whose keys are refused together do not each ask Vault."""
    readings: list[str] = []
    read = Login.read

    def counted(self: Login, path: str, shape: str) -> Any:
        readings.append(path)
        return read(self, path, shape)

    async with credentials(kept, poll_s=600) as (keys, _):
        monkeypatch.setattr(Login, "read", counted)
        kept.put("exchanges/binance_spot", main=entry("m9"), sub_arb=entry("s1"))
        answers = await asyncio.gather(*(keys.refresh("binance", "spot", "main") for _ in range(200)))
        assert all(answers)
        assert len(readings) <= 2


async def test_a_secret_is_read_when_its_version_changes(kept: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking asks for the version alone: keys do not travel as long as they are the same."""
    readings: list[str] = []
    read = Login.read

    def counted(self: Login, path: str, shape: str) -> Any:
        readings.append(path)
        return read(self, path, shape)

    async with credentials(kept) as (_, told):
        monkeypatch.setattr(Login, "read", counted)
        await asyncio.sleep(5 * SOON_S)
        assert readings == []
        kept.put("exchanges/okx_futures", main=entry("o4"))
        await until(lambda: told.changes)
        assert readings == ["exchanges/okx_futures"]


async def test_a_secret_made_anew_is_read(kept: Bao) -> None:
    """A secret that was deleted with all its versions begins at version 1 again, and its key is another one all the same."""
    make_anew = kept.root.secrets.kv.v2.delete_metadata_and_all_versions
    make_anew("exchanges/okx_futures")
    kept.put("exchanges/okx_futures", main=entry("o1"))
    async with credentials(kept) as (keys, told):
        make_anew("exchanges/okx_futures")
        kept.put("exchanges/okx_futures", main=entry("o5"))
        await until(lambda: told.changes)
        assert keys.key("okx", "futures", "main").api_key == "o5-api-key"


async def test_what_is_taken_away_stays_in_use(kept: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """An entry that is gone, spoilt or deleted with its secret is told loudly, and the known key stays."""
    async with credentials(kept) as (keys, told):
        for change in (
            lambda: kept.put("exchanges/binance_spot", main=entry("m1")),
            lambda: kept.put("exchanges/binance_spot", main=entry("m1"), sub_arb="hunter2"),
            lambda: kept.root.secrets.kv.v2.delete_latest_version_of_secret("exchanges/binance_spot"),
            lambda: kept.root.secrets.kv.v2.delete_metadata_and_all_versions("exchanges/binance_spot"),
        ):
            caplog.clear()
            change()
            await until(lambda: "in use" in caplog.text)
            assert keys.key("binance", "spot", "sub_arb").api_key == "s1-api-key"
        # The other secret is looked at all the same.
        kept.put("exchanges/okx_futures", main=entry("o2"))
        await until(lambda: told.changes == [("okx", "futures", "main")])
        assert "hunter2" not in caplog.text


async def test_a_secret_that_will_be_deleted_later_is_there(kept: Bao) -> None:
    """A version whose deletion is only planned is read as any other."""
    kept.put("exchanges/okx_futures", main=entry("o1"))
    kept.root.secrets.kv.v2.update_metadata("exchanges/okx_futures", delete_version_after="1h")
    kept.put("exchanges/okx_futures", main=entry("o3"))
    metadata = kept.root.secrets.kv.v2.read_secret_metadata("exchanges/okx_futures")["data"]
    assert metadata["versions"][str(metadata["current_version"])]["deletion_time"]
    async with credentials(kept) as (keys, _):
        assert keys.key("okx", "futures", "main").api_key == "o3-api-key"
    kept.root.secrets.kv.v2.delete_metadata_and_all_versions("exchanges/okx_futures")


async def test_who_cannot_be_told_hinders_no_other(kept: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """A watcher that fails is logged, and every other account and watcher is told."""

    def fail(*_: str) -> None:
        raise RuntimeError("no")

    async with VaultCredentials(kept.config(poll_s=SOON_S), VENUES, WITH_ROOT) as keys:
        told = Told()
        keys.watch(fail)
        keys.watch(told)
        kept.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s2"))
        await until(lambda: len(told.changes) == 2)
        assert "could not be passed on" in caplog.text


# -- logins


async def test_a_login_is_renewed_before_it_ends(kept: Bao) -> None:
    """A token of two seconds still reads after five: it was renewed, with no other login."""
    environ = kept.approle("short", token_ttl="2s", token_max_ttl="1h")
    async with credentials(kept, environ, poll_s=0.3) as (keys, told):
        token = keys._login._client.token
        await asyncio.sleep(5)
        assert keys._login._client.token == token
        kept.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s1"))
        await until(lambda: told.changes)


async def test_a_login_that_cannot_be_renewed_is_followed_by_another(
    kept: Bao, caplog: pytest.LogCaptureFixture
) -> None:
    """With a longest life of two seconds there is another login in time: no look fails, before or after."""
    environ = kept.approle("mortal", token_ttl="2s", token_max_ttl="2s")
    async with credentials(kept, environ, poll_s=0.2) as (keys, told):
        token = keys._login._client.token
        await asyncio.sleep(4)
        assert keys._login._client.token != token
        kept.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s1"))
        await until(lambda: told.changes)
    assert "stay" not in caplog.text


async def test_a_login_that_was_taken_away_is_followed_by_another(kept: Bao) -> None:
    """A revoked login is noticed at the next request, and a role logs in again."""
    async with credentials(kept, kept.approle()) as (keys, told):
        kept.root.auth.token.revoke(keys._login._client.token)
        kept.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s1"))
        await until(lambda: told.changes)


async def test_a_token_that_ends_is_told_before(kept: Bao, caplog: pytest.LogCaptureFixture) -> None:
    """A token from the environment that is at its end cannot be replaced by us: the log says so while it still works."""
    for settings in ({"ttl": "3s", "renewable": False}, {"ttl": "2s", "explicit_max_ttl": "3s"}):
        caplog.clear()
        async with credentials(kept, {"VAULT_TOKEN": kept.token(**settings)}) as (keys, told):
            await until(lambda: "VAULT_TOKEN cannot be renewed and ends in" in caplog.text)
            await until(lambda: "access is refused" in caplog.text)
            assert caplog.text.index("cannot be renewed") < caplog.text.index("access is refused")
            assert keys.key("binance", "spot", "main").api_key == "m1-api-key"
            assert told.changes == []


async def test_a_token_may_be_forbidden_to_look_itself_up(
    kept: Bao, caplog: pytest.LogCaptureFixture
) -> None:
    """A token without the default policy is used as it is, and that it is not renewed is said."""
    token = kept.token(no_default_policy=True)
    async with credentials(kept, {"VAULT_TOKEN": token}) as (keys, _):
        assert keys.key("binance", "spot", "main").api_key == "m1-api-key"
    assert "VAULT_TOKEN may not look itself up" in caplog.text


@pytest.mark.parametrize(
    "environ, message",
    [
        ({"VAULT_TOKEN": "s.nonsense"}, "access is refused"),
        ({"MEXOMS_VAULT_ROLE_ID": "role", "MEXOMS_VAULT_SECRET_ID": "id"}, "login is refused"),
    ],
)
async def test_a_refused_login_is_an_error_at_the_start(
    kept: Bao, environ: dict[str, str], message: str
) -> None:
    """Nobody waits for a Vault that has said no."""
    with pytest.raises(VaultError, match=message):
        async with credentials(kept, environ):
            pass


async def test_a_policy_that_forbids_one_secret_lets_the_other_be_watched(
    kept: Bao, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused at the start it is an error; refused later it is told, and the other secret is read on."""
    kept.root.sys.create_or_update_policy(
        "half", 'path "secret/+/exchanges/okx_futures" { capabilities = ["read"] }'
    )
    half = kept.root.auth.token.create(policies=["half"])["auth"]["client_token"]
    with pytest.raises(VaultError, match="access is refused"):
        async with credentials(kept, {"VAULT_TOKEN": half}):
            pass
    async with credentials(kept) as (keys, told):
        keys._login._client.token = half
        kept.put("exchanges/okx_futures", main=entry("o2"))
        await until(lambda: told.changes == [("okx", "futures", "main")])
        assert "access is refused" in caplog.text


# -- a Vault that is down


async def test_known_keys_stay_in_use_while_vault_is_down(
    kept: Bao, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that hangs or is sealed is told, again and again; when it answers, a rotated key is found."""
    with running_bao(tmp_path) as own:
        own.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s1"))
        own.put("exchanges/okx_futures", main=entry("o1"))
        async with credentials(own) as (keys, told):
            own.root.sys.seal()
            await until(lambda: caplog.text.count("the known keys stay in use") >= 3)
            assert await keys.refresh("binance", "spot", "main") is False
            assert keys.key("binance", "spot", "main").api_key == "m1-api-key"
            own.root.sys.submit_unseal_key(own.unseal_key)
            await until(lambda: "Vault answers again" in caplog.text)
            own.put("exchanges/binance_spot", main=entry("m2"), sub_arb=entry("s1"))
            await until(lambda: told.changes)
            own.process.kill()
            own.process.wait()
            caplog.clear()
            await until(lambda: "cannot be reached" in caplog.text)
            assert keys.key("binance", "spot", "main").api_key == "m2-api-key"


async def test_a_vault_that_hangs_blocks_nothing(
    kept: Bao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server takes requests and answers none, our loop runs on, the keys are there, and the end is quick."""
    monkeypatch.setattr("oms.vault.TIMEOUT_S", 0.5)
    with running_bao(tmp_path) as own:
        own.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s1"))
        own.put("exchanges/okx_futures", main=entry("o1"))
        async with credentials(own) as (keys, _):
            own.process.send_signal(signal.SIGSTOP)
            try:
                longest, last = 0.0, time.monotonic()
                until_s = last + 1.5
                while last < until_s:
                    await asyncio.sleep(0.01)
                    now = time.monotonic()
                    longest, last = max(longest, now - last), now
                assert longest < 0.25
                assert await keys.refresh("binance", "spot", "main") is False
                assert keys.key("binance", "spot", "main").api_key == "m1-api-key"
                started = time.monotonic()
                await keys.close()
                assert time.monotonic() - started < 0.5
            finally:
                own.process.send_signal(signal.SIGCONT)
        assert "the known keys stay in use" in caplog.text


async def test_a_vault_that_is_down_is_waited_for_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening does not fail while the server is sealed, and has the keys once it is not."""
    with running_bao(tmp_path) as own:
        own.put("exchanges/binance_spot", main=entry("m1"), sub_arb=entry("s1"))
        own.put("exchanges/okx_futures", main=entry("o1"))
        own.root.sys.seal()
        keys = VaultCredentials(own.config(), VENUES, WITH_ROOT)
        opening = asyncio.create_task(keys.open())
        await until(lambda: "waiting for it" in caplog.text)
        assert not opening.done()
        own.root.sys.submit_unseal_key(own.unseal_key)
        await asyncio.wait_for(opening, 15)
        await keys.close()
        assert keys.key("okx", "futures", "main").api_key == "o1-api-key"


async def test_waiting_for_vault_can_be_stopped() -> None:
    """A process that is told to stop while it waits for Vault stops at once."""
    stop = asyncio.Event()
    keys = VaultCredentials(VaultConfig(address="http://127.0.0.1:1"), VENUES, WITH_ROOT)
    opening = asyncio.create_task(keys.open(stop))
    await asyncio.sleep(0.2)
    stop.set()
    await asyncio.wait_for(opening, 2)
    await keys.close()
    with pytest.raises(CredentialsMissing):
        keys.key("binance", "spot", "main")


# -- where keys come from


def _config(bao_config: VaultConfig) -> Config:
    accounts = {"main": AccountConfig(kind=AccountKind.MAIN, venues=("binance.spot",))}
    return attrs.evolve(Config(), accounts=accounts, vault=bao_config)


async def test_the_simulator_has_the_environment_and_the_exchange_has_vault(kept: Bao) -> None:
    """Simulated, keys are those of the environment, and Vault is not asked; real, they are those of Vault."""
    stop = asyncio.Event()
    environ = {"MEXOMS_BINANCE_MAIN_KEY": "k", "MEXOMS_BINANCE_MAIN_SECRET": "s"}
    nowhere = _config(VaultConfig(address="http://127.0.0.1:1"))
    async with open_credentials(nowhere, "binance", simulated=True, stop=stop, environ=environ) as keys:
        assert keys.key("binance", "spot", "main") == Key("k", "s")
    real = _config(kept.config())
    async with open_credentials(real, "binance", simulated=False, stop=stop, environ=WITH_ROOT) as keys:
        assert keys.key("binance", "spot", "main") == Key("m1-api-key", "m1-secret")


@pytest.mark.parametrize("variable", ["KEY", "SECRET", "PASSPHRASE"])
async def test_environment_keys_for_a_real_exchange_are_refused(kept: Bao, variable: str) -> None:
    """A key in the environment of a connector for a real exchange is an error, even where Vault has one."""
    environ = {**WITH_ROOT, f"MEXOMS_BINANCE_MAIN_{variable}": "hunter2"}
    with pytest.raises(
        CredentialsMissing, match=f"MEXOMS_BINANCE_MAIN_{variable} is in the environment"
    ) as error:
        async with open_credentials(
            _config(kept.config()), "binance", simulated=False, stop=asyncio.Event(), environ=environ
        ):
            pass
    assert "hunter2" not in str(error.value)


async def test_environment_and_fixed_keys_are_an_accounts_at_all_its_markets() -> None:
    """One pair of variables serves every market, with a passphrase where there is one; none of it ever changes."""
    environment = EnvironmentCredentials(
        {
            "MEXOMS_OKX_SUB_ARB_KEY": "k",
            "MEXOMS_OKX_SUB_ARB_SECRET": "s",
            "MEXOMS_OKX_SUB_ARB_PASSPHRASE": "p",
        }
    )
    fixed = FixedCredentials({("okx", "sub_arb"): Key("k", "s", "p")})
    for keys in (environment, fixed):
        for market in ("spot", "futures"):
            assert keys.key("okx", market, "sub_arb") == Key("k", "s", "p")
        with pytest.raises(CredentialsMissing):
            keys.key("okx", "spot", "main")
        assert await keys.refresh("okx", "spot", "sub_arb") is False
        assert "'k'" not in repr(keys)


# -- nothing is shown


def _everything(error: BaseException) -> str:
    """An exception and all that hangs on it, as text."""
    seen: list[BaseException] = []

    def walk(each: BaseException | None) -> None:
        if each is not None and each not in seen:
            seen.append(each)
            walk(each.__cause__)
            walk(each.__context__)

    walk(error)
    return "\n".join(f"{each!r} {each} {vars(each)}" for each in seen)


async def test_no_key_and_no_login_is_in_a_log_or_an_error(
    kept: Bao, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through every ending of a request, with every library at DEBUG, neither keys nor logins are in logs or errors."""
    caplog.set_level(logging.DEBUG)
    planted = entry("PLANTED", passphrase="PLANTED-passphrase")
    kept.put("exchanges/binance_spot", main=planted, sub_arb=json.dumps({**planted, "PLANTED-name": "x"}))
    role = kept.approle()
    errors: list[BaseException] = []

    async def attempt(config: VaultConfig, environ: dict[str, str]) -> None:
        keys = None
        try:
            keys = VaultCredentials(config, VENUES, environ)
            await keys.open()
            await keys.refresh("binance", "spot", "main")
            keys.key("binance", "spot", "sub_arb")
        except (VaultError, CredentialsMissing) as error:
            errors.append(error)
        finally:
            if keys is not None:
                assert "PLANTED" not in repr(keys)
                assert "PLANTED" not in f"{keys._keys}"
                await keys.close()

    await attempt(kept.config(), role)
    await attempt(kept.config(), {"VAULT_TOKEN": "PLANTED-token"})
    await attempt(kept.config(), {**role, "MEXOMS_VAULT_SECRET_ID": "PLANTED-secret-id"})
    assert len(errors) == 3
    # A server that goes away while the login is on its way.
    monkeypatch.setattr("oms.vault.TIMEOUT_S", 0.3)
    closed = Login(VaultConfig(address="http://127.0.0.1:1"), {"VAULT_TOKEN": "PLANTED-token"})
    with pytest.raises(VaultError) as unreachable:
        closed.read("exchanges/binance_spot", "")
    errors.append(unreachable.value)
    assert unreachable.value.__context__ is None, "the library's error holds the request, and that the token"
    assert unreachable.value.__cause__ is None
    closed.close()
    shown = caplog.text + "\n".join(map(_everything, errors))
    assert "urllib3" in caplog.text, "the libraries' logs are not on"
    for secret in ("PLANTED", *role.values(), ROOT):
        assert secret not in shown, f"{secret} is shown"


def test_keys_are_not_in_a_repr_or_a_process_list() -> None:
    """A key shows none of its parts, and what logs in is not taken from a command line."""
    key = Key("PLANTED-1", "PLANTED-2", "PLANTED-3")
    assert "PLANTED" not in f"{key} {key!r} {[key]}"
    assert "PLANTED" not in str(attrs.fields(Key))
    assert b"PLANTED" not in Path(f"/proc/{os.getpid()}/cmdline").read_bytes()
