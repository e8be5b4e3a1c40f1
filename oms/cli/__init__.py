"""The command line. Each command is imported when it is used: none waits for what another needs."""

import sys
from typing import Final

import click

from oms import __version__
from oms.cli.exits import EPILOG, end_with
from oms.cli.lazy import LazyGroup

COMMANDS: Final = {
    "demo": "oms.cli.demo:demo",
    "up": "oms.cli.up:up",
    "place": "oms.cli.trading:place",
    "amend": "oms.cli.trading:amend",
    "cancel": "oms.cli.trading:cancel",
    "terms": "oms.cli.trading:terms",
    "reconcile": "oms.cli.reconciling:reconcile",
    "orders": "oms.cli.showing:orders",
    "trades": "oms.cli.showing:trades",
    "positions": "oms.cli.showing:positions",
    "balances": "oms.cli.showing:balances",
    "pnl": "oms.cli.showing:pnl",
    "risk": "oms.cli.risk:risk",
    "limits": "oms.cli.limits:limits",
    "kill": "oms.cli.risk:kill",
    "release": "oms.cli.risk:release",
    "value": "oms.cli.risk:value",
    "accounts": "oms.cli.accounts:accounts",
    "transfer": "oms.cli.transferring:transfer",
    "status": "oms.cli.showing:status",
    "watch": "oms.cli.watching:watch",
    "replay": "replay.cli:replay",
    "engine": "oms.cli.processes:engine",
    "connector": "oms.cli.processes:connector",
    "follower": "oms.cli.processes:follower",
    "simulator": "oms.cli.processes:simulator",
    "config": "oms.cli.configuration:config",
}
"""Command → where it is, in the order that the help shows."""


@click.group(
    cls=LazyGroup,
    places=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mexoms")
def cli() -> None:
    """mExOms: order management for crypto desks, on NATS JetStream.

    \b
    oms demo                                     see it at work, in half a minute
    oms up                                       run it, against a simulated exchange
    oms place buy 0.1 BTCUSDT                    then trade
    """


def main(*group: str) -> None:
    """Run a command, of this group if one is named, and exit with its code. Errors are one line on standard error."""
    try:
        cli.main([*group, *sys.argv[1:]], prog_name="oms")
    except Exception as error:  # noqa: BLE001 - the one place where every error becomes a line and a code
        sys.exit(end_with(error))
