"""Funds between accounts: asked for once, by the main account, and known for certain in the end, whatever gets lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from oms.messages.desk import ReportTransfer, TransferState
from oms.messages.instructions import LookUpTransfer, Transfer
from oms.simulator import FaultRule, Simulator
from oms.simulator.client import ccxt_session
from oms.simulator.config import venue_id_of
from oms.simulator.ledger import Account as VenueAccount
from oms.venues import transfers as module
from oms.venues.adapter import Move, VenueTransfer
from oms.venues.budgets import Budgets
from oms.venues.credentials import FixedCredentials, Key
from oms.venues.errors import Kind, VenueError
from oms.venues.limiter import Pool
from oms.venues.over_ccxt import Reach
from oms.venues.pools import POOLS, pool_of
from oms.venues.registry import make_market
from oms.venues.transfers import Register, Transfers

from .conftest import QUICK, RECV_WINDOW_MS, until
from .markets import ACCOUNTS, simulator_of

D = Decimal
DONE, REJECTED = TransferState.DONE, TransferState.REJECTED
PENDING, UNKNOWN = TransferState.PENDING, TransferState.UNKNOWN
TIMEOUT_S = 0.5

VENUES = ("binance.spot", "binance.futures", "bybit.spot", "okx.futures")
one_of_each = pytest.mark.parametrize("rig", ["binance.spot", "bybit.spot", "okx.futures"], indirect=True)
"""For what takes long: markets of one exchange ask in the same way."""
ASKING = {
    "binance": "POST /sapi/v1/sub-account/universalTransfer",
    "bybit": "POST /v5/asset/transfer/universal-transfer",
    "okx": "POST /api/v5/asset/transfer",
}
FINDING = {
    "binance": "GET /sapi/v1/sub-account/universalTransfer",
    "bybit": "GET /v5/asset/transfer/query-universal-transfer-list",
    "okx": "GET /api/v5/asset/transfer-state",
}
SLOW = {"delay_ms": 800}
"""Longer than a request may go unanswered."""

# fault → whether the venue moved the funds; None: it is throttled, which is told at once.
FAULTS: dict[str, tuple[dict[str, Any], bool | None]] = {
    "drop_request": ({}, False),
    "rate_limited": ({"retry_after_s": 0}, None),
    "server_error_before": ({}, False),
    "delay_reply": (SLOW, True),
    "lost_reply": ({}, True),
    "hang": (SLOW, True),
    "truncated_reply": ({}, True),
    "server_error_after": ({}, True),
    "timeout_1007": ({}, True),
    "late_request": ({"delay_ms": 250}, True),
}


@attrs.define
class Rig:
    """The transfers of a main account's session over the real adapter, and what they tell."""

    venue: str
    simulator: Simulator
    session: Any
    wallets: tuple[str, str]
    account: Any = None
    transfers: Any = None
    register: Register = attrs.field(factory=Register)
    told: list[ReportTransfer] = attrs.field(factory=list)
    moved: int = 0
    closing: list[Any] = attrs.field(factory=list)

    @property
    def exchange(self) -> str:
        return self.venue.split(".")[0]

    def at(self, account: str) -> VenueAccount:
        return self.simulator.exchanges[self.exchange].exchange.accounts[account]

    def free(self, account: str, wallet: str) -> Decimal:
        return self.at(account).wallets[wallet]["USDT"].free

    def fault(self, kind: str, endpoint: str, count: int | None = 1, **fields: Any) -> None:
        wire = self.simulator.exchanges[self.exchange]
        wire.faults.add(FaultRule(kind=kind, endpoint=endpoint, count=count, **fields))  # type: ignore[arg-type]

    def connect(self, own: str = "main") -> None:
        """A session's part, of another process than before: it has heard of nothing."""
        names = {name: venue_id_of(self.exchange, name) for name in ACCOUNTS}
        self.register = Register(names)
        keys = {
            (self.exchange, name): Key(
                f"{self.exchange}-{name}-key", f"{self.exchange}-{name}-secret", "pass-Phrase1"
            )
            for name in ACCOUNTS
        }
        pool = pool_of(self.venue)
        market: Any = make_market(
            self.venue,
            FixedCredentials(keys),
            Budgets(Pool(POOLS[pool]), 100_000, 1_000, 100_000),
            Reach(session=self.session, timeout_s=TIMEOUT_S, recv_window_ms=RECV_WINDOW_MS),
        )
        self.account = market.account(own)
        # OKX's half minute is not waited for.
        self.account.move_window_s = RECV_WINDOW_MS / 1000
        self.transfers = Transfers(
            self.account, own, "feedfeedfeedfeed", self.register, QUICK, self.tell, self.heard_moved
        )
        self.closing += [self.transfers, self.account, market]

    async def tell(self, verb: str, report: ReportTransfer) -> None:
        assert verb == "report_transfer"
        self.told.append(report)

    def heard_moved(self) -> None:
        self.moved += 1

    def states(self, transfer_id: str) -> list[TransferState]:
        return [report.state for report in self.told if report.transfer_id == transfer_id]

    async def ends(self, transfer_id: str, within_s: float = 10.0) -> ReportTransfer:
        """Wait until it is told that the transfer is done or rejected."""

        def ended() -> ReportTransfer | None:
            for report in self.told:
                if report.transfer_id == transfer_id and report.state in (DONE, REJECTED):
                    return report
            return None

        found: ReportTransfer = await until(ended, within_s, f"{transfer_id} to end: {self.told}")
        return found

    def transfer(
        self, transfer_id: str, amount: str = "12.5", *, back: bool = False, **more: Any
    ) -> Transfer:
        """From the main account's first wallet to the other's second, or back."""
        sides = [("main", self.wallets[0]), ("sub_arb", self.wallets[1])]
        (source, source_wallet), (target, target_wallet) = reversed(sides) if back else sides
        fields = {
            "transfer_id": transfer_id,
            "source": source,
            "source_wallet": source_wallet,
            "target": target,
            "target_wallet": target_wallet,
            "asset": "USDT",
            "amount": D(amount),
            "deadline": time.time_ns() + 5 * 10**9,
            **more,
        }
        return Transfer(**fields)

    def look_up(self, transfer: Transfer, since: int | None = None) -> LookUpTransfer:
        names = ("transfer_id", "source", "source_wallet", "target", "target_wallet", "asset", "amount")
        fields = {name: getattr(transfer, name) for name in names}
        return LookUpTransfer(**fields, since=time.time_ns() if since is None else since)


@pytest.fixture(params=VENUES)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """A simulated exchange, and the main account's part in transfers there."""
    venue: str = request.param
    simulator = simulator_of([venue.split(".")[0]], tmp_path / "ca.pem")
    await simulator.start()
    wallets = {"binance.spot": ("spot", "futures"), "binance.futures": ("futures", "spot")}
    async with ccxt_session(tmp_path / "ca.pem", simulator.port) as session:
        rig = Rig(venue, simulator, session, wallets.get(venue, ("unified", "unified")))
        rig.connect()
        yield rig
        for each in rig.closing:
            await each.close()
    await simulator.stop()


async def test_there_and_back(rig: Rig) -> None:
    """Funds go from the main account to another and back, exactly, and each is told once it is certain."""
    ours, theirs = rig.wallets
    before = rig.free("main", ours), rig.free("sub_arb", theirs)
    rig.transfers.instruct(rig.transfer("there1", "12.5"))
    there = await rig.ends("there1")
    assert (there.state, there.session) == (DONE, "feedfeedfeedfeed")
    assert there.venue_transfer_id
    assert (rig.free("main", ours), rig.free("sub_arb", theirs)) == (
        before[0] - D("12.5"),
        before[1] + D("12.5"),
    )
    rig.transfers.instruct(rig.transfer("back1", "0.00000001", back=True))
    assert (await rig.ends("back1")).state is DONE
    assert rig.free("main", ours) == before[0] - D("12.49999999")
    assert rig.free("sub_arb", theirs) == before[1] + D("12.49999999")
    assert rig.moved == 2


async def test_refused(rig: Rig) -> None:
    """What the venue refuses is told in its words, at once, and nothing has moved."""
    before = rig.free("main", rig.wallets[0])
    for transfer_id, fields in (("a1", {"amount": "999999999"}), ("a2", {"asset": "DOGE"})):
        rig.transfers.instruct(rig.transfer(transfer_id, **fields))
        report = await rig.ends(transfer_id)
        assert report.state is REJECTED
        assert "never" not in report.reason
        assert rig.states(transfer_id) == [REJECTED]
    assert "alance" in rig.told[0].reason
    assert (rig.free("main", rig.wallets[0]), rig.moved) == (before, 0)


@one_of_each
@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(rig: Rig, fault: str) -> None:
    """Whatever happens to the request or its answer, the funds move at most once, and what is told is what happened."""
    fields, done = FAULTS[fault]
    rig.fault(fault, ASKING[rig.exchange], **fields)
    before = rig.free("sub_arb", rig.wallets[1])
    rig.transfers.instruct(rig.transfer("lost1"))
    report = await rig.ends("lost1")
    await asyncio.sleep(0.3)
    assert rig.free("sub_arb", rig.wallets[1]) - before == (D("12.5") if done else 0)
    assert report.state is (DONE if done else REJECTED)
    if done is None:
        assert rig.states("lost1") == [REJECTED]
        assert report.reason.startswith("throttled")
        return
    assert rig.states("lost1") == [UNKNOWN, report.state]
    assert done or report.reason.startswith("never reached the venue")


async def test_a_transfer_is_made_once(rig: Rig) -> None:
    """Told again while it is under way, after it has ended, or by another session of the process, it is not made again."""
    transfer, before = rig.transfer("once1"), rig.free("sub_arb", rig.wallets[1])
    rig.transfers.instruct(transfer)
    rig.transfers.instruct(transfer)
    await rig.ends("once1")
    rig.transfers.instruct(transfer)
    other = Transfers(rig.account, "main", "beef", rig.register, QUICK, rig.tell, rig.heard_moved)
    other.instruct(transfer)
    await asyncio.sleep(0.5)
    await other.close()
    assert rig.free("sub_arb", rig.wallets[1]) - before == D("12.5")
    assert rig.states("once1") == [DONE]


@one_of_each
async def test_an_instruction_that_comes_behind_its_look_up(rig: Rig) -> None:
    """A transfer looked up before it was told to be made is never made: it has been told absent."""
    transfer = rig.transfer("late1")
    before = rig.free("main", rig.wallets[0])
    rig.transfers.instruct(rig.look_up(transfer))
    report = await rig.ends("late1")
    assert (report.state, report.reason) == (REJECTED, "never reached the venue")
    rig.transfers.instruct(transfer)
    await asyncio.sleep(0.3)
    assert rig.free("main", rig.wallets[0]) == before


@one_of_each
async def test_absent_only_after_grace(rig: Rig) -> None:
    """That the venue shows no transfer is no answer while a request may still be on its way."""
    transfer, started = rig.transfer("wait1"), time.time()
    rig.transfers.instruct(rig.look_up(transfer))
    await rig.ends("wait1")
    window = rig.account.move_window_s + QUICK.grace_margin_s + QUICK.send_within_s + QUICK.clock_skew_s
    assert time.time() - started > window


async def test_the_deadline(rig: Rig) -> None:
    """A transfer whose deadline has passed is not sent."""
    before = rig.free("main", rig.wallets[0])
    rig.transfers.instruct(rig.transfer("old1", deadline=time.time_ns() - 1))
    report = await rig.ends("old1")
    assert (report.state, report.reason) == (REJECTED, "not sent: the deadline has passed")
    assert rig.free("main", rig.wallets[0]) == before


async def test_an_account_that_the_venue_calls_nothing_known(rig: Rig) -> None:
    """Without the venue's name of an account nothing is sent, and the reason says which key of the configuration is missing."""
    rig.register.venue_ids = {}
    rig.transfers.instruct(rig.transfer("name1", back=True))
    report = await rig.ends("name1")
    assert report.state is REJECTED
    assert "accounts.sub_arb.venue_ids" in report.reason


@one_of_each
@pytest.mark.parametrize("fault", ["hang", "lost_reply", "drop_request", "late_request"])
async def test_the_session_dies_in_between(rig: Rig, fault: str) -> None:
    """A session that ends while it waits leaves the transfer to the next one, which finds out and never asks for it again."""
    fields, done = FAULTS[fault]
    rig.fault(fault, ASKING[rig.exchange], **fields)
    before = rig.free("sub_arb", rig.wallets[1])
    transfer, since = rig.transfer("dead1"), time.time_ns()
    rig.transfers.instruct(transfer)
    await asyncio.sleep(0.1)
    await rig.transfers.close()
    await rig.account.close()
    rig.told.clear()
    rig.connect()
    rig.transfers.instruct(rig.look_up(transfer, since))
    report = await rig.ends("dead1")
    assert report.state is (DONE if done else REJECTED)
    await asyncio.sleep(0.3)
    assert rig.free("sub_arb", rig.wallets[1]) - before == (D("12.5") if done else 0)


@one_of_each
async def test_look_ups_that_fail(rig: Rig) -> None:
    """A look-up without an answer is no answer: it is asked again, and a transfer that was taken is never told absent."""
    rig.fault("lost_reply", ASKING[rig.exchange])
    for kind in ("server_error_before", "drop_request", "truncated_reply"):
        # A GET that is dropped, aiohttp itself asks again.
        rig.fault(kind, FINDING[rig.exchange], count=2)
    rig.transfers.instruct(rig.transfer("blind1"))
    assert (await rig.ends("blind1", 20)).state is DONE
    assert rig.states("blind1") == [UNKNOWN, DONE]


@one_of_each
async def test_what_is_too_old_to_be_shown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transfer older than what venues show is not told absent, but not certain."""
    monkeypatch.setattr(module, "LOOKED_UP_FOR_S", 0.5)
    rig.transfers.instruct(rig.look_up(rig.transfer("age1"), time.time_ns() - 8 * 86_400 * 10**9))
    await until(lambda: rig.states("age1"))
    assert rig.states("age1") == [UNKNOWN]
    assert rig.told[0].reason.startswith("not certain after")


async def test_a_key_that_may_not_transfer(rig: Rig) -> None:
    """A sub-account's key moves nothing out of the main account; it is refused, and no end of a session that may trade."""
    rig.connect("sub_arb")
    before = rig.free("main", rig.wallets[0])
    rig.transfers.instruct(rig.transfer("key1"))
    report = await rig.ends("key1")
    assert (report.state, rig.free("main", rig.wallets[0])) == (REJECTED, before)


@pytest.mark.parametrize("rig", ["binance.futures"], indirect=True)
async def test_wallets_that_nothing_goes_between(rig: Rig) -> None:
    """Binance moves nothing from futures to futures: that is said here, before anything is sent."""
    rig.transfers.instruct(rig.transfer("fut1", target_wallet="futures"))
    report = await rig.ends("fut1")
    assert report.state is REJECTED
    assert report.reason.startswith("not sent: Binance moves funds to or from spot")


@pytest.mark.parametrize("rig", ["bybit.spot"], indirect=True)
async def test_a_uid_that_is_no_number(rig: Rig) -> None:
    """Bybit's accounts are numbers, and the reason says what was configured instead."""
    rig.register.venue_ids = {**rig.register.venue_ids, "sub_arb": "arb@desk.example"}
    rig.transfers.instruct(rig.transfer("uid1"))
    assert "'arb@desk.example'" in (await rig.ends("uid1")).reason


# -- what no simulated venue does


@attrs.define
class Scripted:
    """A venue that answers look-ups by a script: the simulated ones move funds at once and show them at once."""

    answers: list[VenueTransfer | VenueError]
    taken: bool = True
    move_window_s: float = 0.0
    asked: int = 0

    async def move(self, move: Move, deadline: int) -> VenueTransfer:
        return VenueTransfer(venue_transfer_id="v1", state=PENDING)

    async def find_transfer(self, move: Move) -> VenueTransfer:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, VenueError):
            raise answer
        return answer


async def scripted(answers: list[VenueTransfer | VenueError], wanted: TransferState) -> list[ReportTransfer]:
    told: list[ReportTransfer] = []

    async def tell(verb: str, report: ReportTransfer) -> None:
        told.append(report)

    venue: Any = Scripted(answers)
    transfers = Transfers(venue, "main", "beef", Register(), QUICK, tell, lambda: None)
    instruction = Transfer(
        transfer_id="s1",
        source="main",
        source_wallet="spot",
        target="sub_arb",
        target_wallet="spot",
        asset="USDT",
        amount=D(1),
        deadline=time.time_ns() + 10**9,
    )
    transfers.instruct(instruction)
    await until(lambda: told and told[-1].state is wanted)
    await transfers.close()
    return told


NOWHERE = VenueError(Kind.NOT_FOUND, "the venue shows no such transfer")


async def test_a_transfer_that_takes_its_time() -> None:
    """One that the venue has taken and not done is told as pending, once, and then as what became of it."""
    pending = VenueTransfer(venue_transfer_id="v1", state=PENDING, reason="the venue says PROCESS")
    failed = VenueTransfer(venue_transfer_id="v1", state=REJECTED, reason="the venue says FAILURE")
    told = await scripted([pending, pending, pending, failed], REJECTED)
    assert [(report.state, report.reason) for report in told] == [
        (PENDING, "the venue says PROCESS"),
        (REJECTED, "the venue says FAILURE"),
    ]


async def test_what_was_taken_is_never_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that has taken a transfer and does not show it has it all the same: nobody may ask for it again."""
    monkeypatch.setattr(module, "LOOKED_UP_FOR_S", 1.0)
    told = await scripted([NOWHERE], UNKNOWN)
    assert [report.state for report in told] == [UNKNOWN]
    done = VenueTransfer(venue_transfer_id="v1", state=DONE)
    assert [report.state for report in await scripted([*[NOWHERE] * 5, done], DONE)] == [DONE]
