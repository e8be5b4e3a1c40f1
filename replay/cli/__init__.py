"""``oms replay`` and ``python -m replay``: questions to the whole history, and proofs of it."""

from typing import Final

import click

from oms.cli.exits import EPILOG
from oms.cli.lazy import LazyGroup

COMMANDS: Final = {
    "state": "replay.cli.state:state",
    "orders": "replay.cli.orders:orders",
    "trades": "replay.cli.orders:trades",
    "positions": "replay.cli.holdings:positions",
    "balances": "replay.cli.holdings:balances",
    "pnl": "replay.cli.holdings:pnl",
    "limits": "replay.cli.limits:limits",
    "diff": "replay.cli.diff:diff",
    "verify": "replay.cli.verify:command",
    "order": "replay.cli.order:order",
    "trace": "replay.cli.trace:trace",
    "timeline": "replay.cli.timeline:timeline",
    "whatif": "replay.cli.whatif:whatif",
    "export": "replay.cli.export:export",
    "bundle": "replay.cli.bundle:bundle",
    "restore": "replay.cli.restore:command",
    "accept-loss": "replay.cli.accept_loss:accept_loss",
}
"""Command → where it is, in the order that the help shows. One line each."""


@click.group(cls=LazyGroup, places=COMMANDS, epilog=EPILOG)
def replay() -> None:
    """Ask the journal what was, at any moment, and prove that nothing was changed.

    Every frame that is read is held against the hash chain and the seals.

    \b
    oms replay state --at 2026-11-21T03:00:00Z
    oms replay orders --at 81 --account sub_arb
    oms replay diff 2026-11-20 2026-11-21
    oms replay order ORDER_ID
    oms replay verify
    """
