"""From bytes to commands and back: the one gate that everything from outside passes."""

import hashlib
import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from oms.messages import commands as c
from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages.base import ClientCommand, Command, CommandId
from oms.messages.codes import Code, Refused

MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_BULK: Final = 1_000
MAX_COMMAND_BYTES: Final = 8 * 1024
"""One command of a client. Commands of connectors (lists of reports) may fill a quarter of a message, so that their commit fits a frame."""
MAX_LIST_BYTES: Final = MAX_MESSAGE_BYTES // 4

COMMANDS: Final[dict[str, type[Command]]] = {
    "place": c.PlaceOrder,
    "amend": c.AmendOrder,
    "cancel": c.CancelOrder,
    "cancel_all": c.CancelAll,
    "register_account": c.RegisterAccount,
    "set_terms": c.SetTerms,
    "reconcile": c.RequestReconciliation,
    "rename_account": d.RenameAccount,
    "disable_account": d.DisableAccount,
    "enable_account": d.EnableAccount,
    "close_account": d.CloseAccount,
    "assign_strategy": d.AssignStrategy,
    "transfer": d.TransferFunds,
    "cancel_on_disconnect": d.CancelOnDisconnect,
    "set_limits": k.SetLimits,
    "override_limits": k.OverrideLimits,
    "end_override": k.EndOverride,
    "set_valuation": k.SetValuation,
    "kill": k.Kill,
    "release": k.Release,
    "declare_venue": c.DeclareVenue,
    "list_instruments": c.ListInstruments,
    "open_session": c.OpenSession,
    "close_session": c.CloseSession,
    "report": c.SubmitReports,
    "report_balances": c.ReportBalances,
    "report_positions": c.ReportPositions,
    "report_reconciliation": c.ReportReconciliation,
    "report_marks": c.ReportMarks,
    "report_transfer": d.ReportTransfer,
    "list_live": c.ListLive,
    "doubt": c.DoubtOrders,
    "expire": c.ExpireOrders,
    "doubt_transfers": d.DoubtTransfers,
    "release_orders": c.ReleaseOrders,
    "drop_client": d.DropClient,
    "begin_controls": k.BeginControls,
    "check_risk": k.CheckRisk,
    "start": c.StartEngine,
    "seal": c.SealState,
    "declare_key": c.DeclareKey,
    "accept_loss": c.AcceptLoss,
}
"""Verb → the command it carries."""

BULK_VERBS: Final = frozenset({"place", "amend", "cancel"})
LIST_VERBS: Final = frozenset(
    {
        "list_instruments",
        "report",
        "report_balances",
        "report_positions",
        "report_reconciliation",
        "report_marks",
        "close_session",
        "doubt",
        "expire",
        "doubt_transfers",
        "release_orders",
        "drop_client",
        "begin_controls",
        "check_risk",
    }
)
INTERNAL_VERBS: Final = frozenset(
    {
        "doubt",
        "expire",
        "doubt_transfers",
        "release_orders",
        "drop_client",
        "begin_controls",
        "check_risk",
        "start",
        "seal",
        "declare_key",
        "accept_loss",
    }
)
"""Verbs that the engine asks of itself; no endpoint serves them."""

_DECIMALS: Final[dict[str, tuple[str, ...]]] = {
    "place": ("quantity", "price", "trigger_price"),
    "amend": ("quantity", "price"),
    "set_terms": ("leverage",),
    "assign_strategy": ("capital",),
    "transfer": ("amount",),
    "set_valuation": ("rate",),
}
_FINE = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?").fullmatch

_DECODE = {verb: msgspec.json.Decoder(kind).decode for verb, kind in COMMANDS.items()}
_split_bulk = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode = msgspec.json.Encoder().encode


def split(payload: bytes) -> tuple[list[bytes], bool]:
    """Take a message apart into the bytes of its commands, and say whether it was a bulk.

    Raises:
        Refused: MESSAGE_TOO_LARGE, BULK_EMPTY, BULK_TOO_LARGE, INVALID_JSON.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Refused(
            Code.MESSAGE_TOO_LARGE, f"a message is at most {MAX_MESSAGE_BYTES:,} bytes, was {len(payload):,}"
        )
    if payload.lstrip()[:1] != b"[":
        return [payload], False
    try:
        parts = _split_bulk(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.INVALID_JSON, str(error)) from None
    if not parts:
        raise Refused(Code.BULK_EMPTY, "a bulk holds at least one command, was []")
    if len(parts) > MAX_BULK:
        raise Refused(Code.BULK_TOO_LARGE, f"a bulk holds at most {MAX_BULK:,} commands, was {len(parts):,}")
    return [bytes(part) for part in parts], True


def decode_command(verb: str, raw: bytes) -> Any:
    """Decode one command strictly.

    Raises:
        Refused: SUBJECT_INVALID for a verb that there is not, MESSAGE_TOO_LARGE, INVALID_JSON, INVALID_DECIMAL,
            INVALID_COMMAND.
    """
    decode = _DECODE.get(verb)
    if decode is None:
        raise Refused(Code.SUBJECT_INVALID, f"no command has the verb {verb[:64]!r}")
    bound = MAX_LIST_BYTES if verb in LIST_VERBS else MAX_COMMAND_BYTES
    if len(raw) > bound:
        raise Refused(
            Code.MESSAGE_TOO_LARGE, f"a {verb} command is at most {bound:,} bytes, was {len(raw):,}"
        )
    try:
        command = decode(raw)
    except msgspec.ValidationError as error:
        raise Refused(Code.INVALID_COMMAND, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.INVALID_JSON, str(error)) from None
    for name in _DECIMALS.get(verb, ()):
        value = getattr(command, name)
        if value is not None:
            _check_decimal(name, value, raw)
    return command


def _check_decimal(name: str, value: Decimal, raw: bytes) -> None:
    """Refuse what msgspec takes for a decimal and a trader did not write as one: 0.1, "1e5", "1_000", " 1 ", "NaN".

    The one way to write a decimal is the string that it prints as, so its text must stand in the message in quotes.
    """
    text = str(value)
    # Below a millionth str() writes 1E-7, though the trader wrote digits. The bound keeps "1e-999999999" from being spelled out.
    if "E-" in text and int(value.as_tuple().exponent) >= -18:
        text = format(value, "f")
    if b'"%b"' % text.encode() in raw and (
        (text.replace(".", "", 1).isdigit() and len(text) <= 20) or _FINE(text)
    ):
        return
    raise Refused(
        Code.INVALID_DECIMAL,
        f'{name} must be a string like "0.50", at most 20 digits before and 18 after the point, was {text[:60]}',
    )


class _Identified(msgspec.Struct):
    command_id: CommandId | None = None


_identify = msgspec.json.Decoder(_Identified).decode


def command_id_of(raw: bytes) -> str | None:
    """The command_id of a command that could not be taken, if it has one that can be read."""
    try:
        return _identify(raw).command_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def fingerprint(subject: str, command: ClientCommand) -> str:
    """Hash what a command means: its subject and every field, however the sender spelled the JSON. 16 hex digits."""
    return hashlib.blake2b(encode(command) + subject.encode(), digest_size=8).hexdigest()
