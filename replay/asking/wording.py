"""Wording: what was asked, said, sent and recorded, a line each, for people. The whole of it is in the JSON answers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.messages import commands as c
from oms.messages import desk as d
from oms.messages import events as e
from oms.messages import instructions as i
from oms.messages import reports as r
from oms.messages.codec import decode_command
from oms.messages.codes import Refused
from oms.messages.enums import CancelReason
from oms.messages.subjects import ANY
from replay.asking import wording_controls
from replay.asking.moment import iso

_UNITS: Final = ((10**9, "s"), (10**6, "ms"), (10**3, "us"))


def number(value: Decimal) -> str:
    """A decimal without exponent or idle zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def duration(ns: int) -> str:
    """A time in the unit that reads best, to three places, such as ``1.250 ms``."""
    for size, unit in _UNITS:
        if abs(ns) >= size:
            return f"{ns / size:,.3f} {unit}"
    return f"{ns} ns"


def _priced(thing: Any) -> str:
    parts = [] if thing.price is None else [f"at {number(thing.price)}"]
    if getattr(thing, "trigger_price", None) is not None:
        parts.append(f"triggered at {number(thing.trigger_price)}")
    return " ".join(parts)


def terms(thing: Any) -> str:
    """The terms of an order, from whatever carries them, such as ``buy 2 BTCUSDT limit at 100``."""
    flags = [flag for flag in ("post_only", "reduce_only") if getattr(thing, flag, False)]
    force = thing.time_in_force
    parts = [thing.side, number(thing.quantity), getattr(thing, "symbol", None) or "", thing.type]
    parts += [_priced(thing), "" if force == "GTC" else force, *flags]
    return " ".join(
        part.replace("_", "-") if part in ("stop_limit", "stop_market", *flags) else part
        for part in parts
        if part
    )


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _to(quantity: Decimal | None, price: Decimal | None) -> str:
    return " ".join(
        part
        for part in (
            "" if quantity is None else f"to {number(quantity)}",
            "" if price is None else f"at {number(price)}",
        )
        if part
    )


def _place(thing: Any) -> str:
    return f"{thing.account} on {thing.exchange}.{thing.market}"


def _trade(thing: Any) -> str:
    fee = f", fee {number(thing.fee)} {thing.fee_asset}" if thing.fee else ""
    # What takes a trade back does not tell which side was there first.
    role = "" if isinstance(thing, e.TradeBusted | r.Busted) else ", maker" if thing.maker else ", taker"
    return f"{thing.side} {number(thing.quantity)} {thing.symbol} at {number(thing.price)}{role}{fee}, trade {thing.trade_id}"


def _shown(thing: Any) -> str:
    """What is known of a position's terms, such as ``leverage 5, isolated``."""
    named = (
        ("leverage", "leverage"),
        ("entry", "entry_price"),
        ("liquidation at", "liquidation_price"),
        ("margin", "margin"),
    )
    amounts = [(name, getattr(thing, field, None)) for name, field in named]
    parts = [f"{name} {number(amount)}" for name, amount in amounts if amount is not None]
    mode = thing.margin_mode
    return ", ".join(parts if mode is None else [*parts, str(mode)])


def _whose(thing: Any) -> str:
    return f"the orders of strategy {thing.strategy}" if thing.strategy else "all orders"


def _by(thing: Any) -> str:
    return f" by {thing.by}" if thing.by else ""


def _held(awaits: tuple[str, ...]) -> str:
    return f", not sent before {', '.join(awaits)} ended" if awaits else ""


def _missing(thing: Any) -> str:
    return ", trades are missing" if thing.missing_fills else ""


def _revision(thing: Any) -> str:
    return f" (revision {thing.revision})" if thing.revision else ""


CANCELED_BECAUSE: Final = {
    CancelReason.CLIENT: "",
    CancelReason.EXPIRED: ", its time is over",
    CancelReason.KILL: ", a kill switch is engaged",
    CancelReason.SELF_TRADE: ", another order of ours would trade with it",
    CancelReason.DISCONNECT: ", its client is gone",
}

_EVENTS: Final[dict[type, Callable[[Any], str]]] = {
    e.JournalCreated: lambda x: f"journal {x.journal_id} begins, partition {x.partition}",
    e.EngineStarted: lambda x: (
        f"engine {x.instance} starts, version {x.version}" + (f", code {x.code[:12]}" if x.code else "")
    ),
    e.Sealed: lambda x: f"sealed: the state's digest is {x.digest}",
    e.SigningKeyDeclared: lambda x: f"receipts are signed with key {x.key_id} from here on",
    e.LossAccepted: lambda x: f"{x.by} accepted the loss of {x.first:,} to {x.last:,}{_because(x.reason)}",
    e.AccountRegistered: lambda x: f"account {x.account} registered as {x.kind}",
    d.AccountRenamed: lambda x: f"account {x.account} renamed to {x.name}{_by(x)}",
    d.AccountDisabled: lambda x: f"account {x.account} disabled{_by(x)}{_because(x.reason)}",
    d.AccountEnabled: lambda x: f"account {x.account} enabled{_by(x)}{_because(x.reason)}",
    d.AccountClosed: lambda x: f"account {x.account} closed{_by(x)}{_because(x.reason)}",
    d.StrategyAssigned: lambda x: (
        f"strategy {x.strategy} "
        + (
            f"taken from {x.account}"
            if x.capital is None
            else f"assigned to {x.account} with {number(x.capital)} USD"
        )
        + f"{_by(x)}{_because(x.reason)}"
    ),
    d.TransferRequested: lambda x: (
        f"transfer {x.transfer_id} requested: {number(x.amount)} {x.asset} from {x.exchange}.{x.account}.{x.market} to"
        f" {x.exchange}.{x.to}.{x.to_market}, worth {number(x.value)} USD{_by(x)}{_because(x.reason)}"
    ),
    d.TransferCompleted: lambda x: f"transfer {x.transfer_id} completed, at the venue {x.venue_transfer_id}",
    d.TransferRejected: lambda x: f"transfer {x.transfer_id} rejected{_because(x.reason)}",
    d.TransferDenied: lambda x: (
        f"transfer denied, {x.code}: {x.message}; {number(x.amount)} {x.asset} from {x.exchange}.{x.account}.{x.market} to"
        f" {x.exchange}.{x.to}.{x.to_market}{_by(x)}{_because(x.reason)}"
    ),
    d.TransferInDoubt: lambda x: f"transfer {x.transfer_id} in doubt{_because(x.reason)}",
    e.VenueDeclared: lambda x: (
        f"{x.exchange}.{x.market} takes {', '.join(x.order_types)}; {', '.join(x.times_in_force)};"
        f" has {', '.join(x.features) or 'no features'}; funds in wallet {x.wallet}"
    ),
    e.InstrumentListed: lambda x: (
        f"{x.exchange}.{x.market}.{x.symbol} listed, tick {number(x.tick)}{' and more by price' if x.ticks else ''}, "
        f"step {number(x.step)}" + ("" if x.trading else ", halted")
    ),
    e.SessionOpened: lambda x: (
        f"session {x.session} serves {_place(x)}, {'ready' if x.ready else 'reconciling'}"
    ),
    e.SessionClosed: lambda x: f"session {x.session} of {_place(x)} closed{_because(x.reason)}",
    e.BalanceAdjusted: lambda x: (
        f"balance of {_place(x)} adjusted by {number(x.delta)} to {number(x.total)} {x.asset}"
    ),
    e.MarksRecorded: lambda x: (
        f"marks on {x.exchange}.{x.market}: "
        + ", ".join(f"{symbol} {number(mark)}" for symbol, mark in x.marks.items())
    ),
    e.FundingPaid: lambda x: (
        f"funding of {x.symbol} for {_place(x)}: {number(x.amount)} {x.asset}, payment {x.funding_id}"
    ),
    e.PositionAdjusted: lambda x: (
        f"position {x.symbol} of {_place(x)} adjusted from {number(x.expected)} to {number(x.quantity)}, entered at"
        f" {number(x.entry_price)}"
        + (
            f", taken as traded at {number(x.price)}, realised {number(x.realised)}"
            if x.price is not None
            else ""
        )
    ),
    e.PositionStated: lambda x: (
        f"position {x.symbol} of {_place(x)} as the venue shows it: {_shown(x) or 'nothing'}"
    ),
    e.TermsRequested: lambda x: f"terms of {x.symbol} for {_place(x)} requested: {_shown(x)}",
    e.TermsSet: lambda x: f"terms of {x.symbol} for {_place(x)}: {_shown(x)}",
    e.TermsRefused: lambda x: f"terms of {x.symbol} for {_place(x)} refused{_because(x.reason)}",
    e.ReconciliationRequested: lambda x: f"reconciliation of {_place(x)} requested as {x.request_id}",
    e.Reconciled: lambda x: (
        f"{_place(x)} reconciled{' as ' + x.request_id if x.request_id else ''}: {x.orders:,} orders, {x.trades:,} trades,"
        f" {x.balances:,} balances, {x.positions:,} positions, {len(x.differences) + x.more:,} differences"
    ),
    d.DisconnectGuardSet: lambda x: (
        f"client {x.client} of {x.account} "
        + (
            f"is guarded: {x.timeout_ms:,} ms of silence cancel {_whose(x)}"
            if x.timeout_ms
            else "is no longer guarded"
        )
    ),
    d.ClientDisconnected: lambda x: (
        f"client {x.client} of {x.account} was silent for too long: {x.count:,} cancels of {_whose(x)} requested"
    ),
    e.OrderPlaced: lambda x: f"placed: {terms(x)}{_held(x.awaits)}",
    e.OrderDenied: lambda x: f"denied, {x.code}: {x.message}",
    e.OrderAdopted: lambda x: (
        f"found at the venue as {x.client_order_id}: {terms(x)}, venue order {x.venue_order_id}{_because(x.reason)}"
    ),
    e.OrderAccepted: lambda x: f"accepted, venue order {x.venue_order_id}",
    e.OrderRejected: lambda x: f"rejected{_because(x.reason)}",
    e.OrderFilled: lambda x: f"filled: {_trade(x)}",
    e.TradeBusted: lambda x: f"taken back: {_trade(x)}{_because(x.reason)}",
    e.OrderRestated: lambda x: f"changed at the venue {_to(x.quantity, x.price)}{_because(x.reason)}",
    e.OrderCancelRequested: lambda x: f"cancel requested{CANCELED_BECAUSE[x.reason]}",
    e.CancelAllRequested: lambda x: (
        f"cancel of all on {x.exchange}.{x.market}.{x.symbol} requested: {x.count}"
        + (f", {x.left} are left" if x.left else "")
    ),
    e.OrderCanceled: lambda x: f"canceled{_because(x.reason)}{_missing(x)}",
    e.OrderExpired: lambda x: f"expired{_because(x.reason)}{_missing(x)}",
    e.OrderCancelRejected: lambda x: f"cancel refused{_because(x.reason)}",
    e.OrderAmendRequested: lambda x: f"amend requested, {_to(x.quantity, x.price)}{_revision(x)}",
    e.OrderAmended: lambda x: (
        f"amended, {_to(x.quantity, x.price)}{_revision(x)}, venue order {x.venue_order_id}"
    ),
    e.OrderAmendRejected: lambda x: f"amend refused{_because(x.reason)}",
    e.OrderAmendDenied: lambda x: f"amend {_to(x.quantity, x.price)} denied, {x.code}: {x.message}",
    e.OrderInDoubt: lambda x: f"in doubt{_because(x.reason)}",
    e.OrderDoubtResolved: lambda x: "doubt resolved: it is as believed",
    e.OrderReleased: lambda x: "released: what it waited for has ended",
    **wording_controls.EVENTS,
}
"""Every event; a test holds the table against :data:`oms.messages.events.Event`."""

_REPORTS: Final[dict[type, Callable[[Any], str]]] = {
    r.Accepted: lambda x: f"accepted as {x.venue_order_id}{_revision(x)}",
    r.Rejected: lambda x: f"rejected{_because(x.reason)}{_revision(x)}",
    r.Filled: lambda x: f"filled: {_trade(x)}",
    r.Canceled: lambda x: f"canceled{_because(x.reason)}{_revision(x)}",
    r.Expired: lambda x: f"expired{_because(x.reason)}{_revision(x)}",
    r.CancelRejected: lambda x: f"cancel refused{_because(x.reason)}",
    r.Amended: lambda x: f"amended as {x.venue_order_id}{_revision(x)}",
    r.AmendRejected: lambda x: f"amend refused{_because(x.reason)}",
    r.InDoubt: lambda x: f"in doubt{_because(x.reason)}",
    r.Absent: lambda x: f"absent{_because(x.reason)}{_revision(x)}",
    r.Finished: lambda x: f"finished with {number(x.cumulative)} filled",
    r.Restated: lambda x: f"stands {_to(x.quantity, x.price)}{_because(x.reason)}{_revision(x)}",
    r.Busted: lambda x: f"taken back: {_trade(x)}{_because(x.reason)}",
    r.Funding: lambda x: f"funding of {x.symbol}: {number(x.amount)} {x.asset}, payment {x.funding_id}",
    r.Terms: lambda x: f"terms of {x.symbol}: {_shown(x)}",
    r.TermsRefused: lambda x: f"terms of {x.symbol} refused{_because(x.reason)}",
    r.Found: lambda x: f"found {x.order_id}: {terms(x)}{_because(x.reason)}",
}

_INSTRUCTIONS: Final[dict[type, Callable[[Any], str]]] = {
    i.Submit: lambda x: f"submit as {x.client_id}",
    i.Cancel: lambda x: f"cancel {x.client_id}",
    i.Amend: lambda x: f"amend {x.client_id} {_to(x.quantity, x.price)} as {x.new_client_id}",
    i.LookUp: lambda x: f"look up {x.client_id}",
    i.SetTerms: lambda x: f"set terms of {x.symbol}: {_shown(x)}",
    i.Reconcile: lambda x: f"reconcile as {x.request_id}",
    i.Transfer: lambda x: f"make transfer {x.transfer_id}: {_moved(x)}",
    i.LookUpTransfer: lambda x: f"look up transfer {x.transfer_id}: {_moved(x)}",
}


def _moved(x: Any) -> str:
    return f"{number(x.amount)} {x.asset} from {x.source}.{x.source_wallet} to {x.target}.{x.target_wallet}"


_decode_report = msgspec.json.Decoder(r.Report).decode


def event(found: e.Event) -> str:
    """An event."""
    return _EVENTS[type(found)](found)


def report(written: str) -> str:
    """A report as a connector wrote it."""
    found = _decode_report(written)
    venue_time = getattr(found, "venue_time", 0)
    at = f", at {iso(venue_time)} by its clock" if venue_time else ""
    return _REPORTS[type(found)](found) + at


def instruction(found: i.Instruction) -> str:
    """An instruction."""
    return _INSTRUCTIONS[type(found)](found)


def command(verb: str, raw: bytes) -> str:
    """A command: what it asks for."""
    try:
        found: Any = decode_command(verb, raw)
    except Refused:
        return raw[:200].decode(errors="replace")
    return _COMMANDS.get(type(found), lambda _: "")(found)


_COMMANDS: Final[dict[type, Callable[[Any], str]]] = {
    **wording_controls.COMMANDS,
    c.PlaceOrder: terms,
    c.AmendOrder: lambda x: f"{x.order_id} {_to(x.quantity, x.price)}",
    c.CancelOrder: lambda x: str(x.order_id),
    c.CancelAll: lambda x: ".".join(getattr(x, name) or ANY for name in ("exchange", "market", "symbol")),
    c.RegisterAccount: lambda x: str(x.kind),
    d.RenameAccount: lambda x: str(x.name),
    d.DisableAccount: lambda x: f"by {x.by}{_because(x.reason)}",
    d.EnableAccount: lambda x: f"by {x.by}{_because(x.reason)}",
    d.CloseAccount: lambda x: f"by {x.by}{_because(x.reason)}",
    d.AssignStrategy: lambda x: (
        f"strategy {x.strategy}, "
        + ("none any more" if x.capital is None else f"{number(x.capital)} USD")
        + f", by {x.by}{_because(x.reason)}"
    ),
    d.TransferFunds: lambda x: f"{number(x.amount)} {x.asset} to {x.to}, by {x.by}{_because(x.reason)}",
    d.ReportTransfer: lambda x: f"{x.transfer_id} {x.state}{_because(x.reason)}, session {x.session}",
    d.DoubtTransfers: lambda x: f"{len(x.transfer_ids):,} transfers{_because(x.reason)}",
    d.CancelOnDisconnect: lambda x: f"client {x.client}, after {x.timeout_ms:,} ms of silence {_whose(x)}",
    d.DropClient: lambda x: f"client {x.client}",
    c.OpenSession: lambda x: f"{x.session}, {'ready' if x.ready else 'reconciling'}",
    c.CloseSession: lambda x: f"{x.session}{_because(x.reason)}",
    c.SubmitReports: lambda x: f"{len(x.reports):,} of session {x.session}",
    c.ReportBalances: lambda x: f"{len(x.totals):,} assets of session {x.session}",
    c.ReportPositions: lambda x: f"{len(x.positions):,} positions of session {x.session}",
    c.ReportReconciliation: lambda x: (
        f"{len(x.differences) + x.more:,} differences of session {x.session}{' as ' + x.request_id if x.request_id else ''}"
    ),
    c.SetTerms: lambda x: " ".join(part for part in (x.symbol or "", _shown(x)) if part),
    c.RequestReconciliation: lambda x: "everything, now",
    c.ReleaseOrders: lambda x: f"{len(x.order_ids):,} orders have waited too long to be sent",
    c.DoubtOrders: lambda x: f"{len(x.order_ids):,} orders{_because(x.reason)}",
    c.ExpireOrders: lambda x: f"{len(x.order_ids):,} orders",
    c.StartEngine: lambda x: f"{x.instance} {x.version}",
    c.DeclareVenue: lambda x: f"wallet {x.capabilities.wallet}",
    c.ListInstruments: lambda x: f"{len(x.instruments):,} instruments",
    c.ReportMarks: lambda x: f"{len(x.marks):,} marks",
    c.SealState: lambda x: "",
    c.DeclareKey: lambda x: str(x.key_id),
    c.AcceptLoss: lambda x: f"{x.first:,} to {x.last:,} by {x.by}{_because(x.reason)}",
}
