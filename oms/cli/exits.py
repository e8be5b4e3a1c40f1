"""Exit codes, and how an error becomes one line and one of them."""

import os
import sys
import traceback
from enum import IntEnum
from typing import Final

import click

DEBUG_VARIABLE: Final = "OMS_DEBUG"


class Exit(IntEnum):
    """What a command's end means. Part of the interface: scripts and service managers rely on it."""

    DONE = 0
    REFUSED = 1
    """The answer is no, or a process could not do its work; the line says why."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    NO_ANSWER = 3
    """Nobody answered in time, or nothing is there to answer. A command's outcome is unknown."""
    FENCED = 4
    """Another engine has taken the journal over; this one stopped. Do not restart it by itself."""
    ENGINE_RUNNING = 5
    """Another engine serves this journal."""
    JOURNAL_BROKEN = 6
    """The journal is not whole. Do not restart: look first, see `oms replay`."""
    DEFECT = 70
    """An error in mExOms itself."""


NEVER_RESTART: Final = frozenset(
    {Exit.REFUSED, Exit.USAGE, Exit.FENCED, Exit.ENGINE_RUNNING, Exit.JOURNAL_BROKEN}
)
"""Ends that starting again cannot mend, or that it would make worse."""

EPILOG: Final = (
    "Exit codes: 0 done, 1 refused or failed, 2 usage or configuration, 3 no answer (a command's outcome is then"
    " unknown), 4 engine fenced by another, 5 another engine runs, 6 journal broken, 70 defect."
)


_MENDABLE: Final = frozenset({"GAP", "CHAIN", "UNREADABLE"})
"""Faults of a journal that an archive can mend."""
_UNFIT: Final = frozenset({"CLOCK", "NEWER", "SETTINGS"})
"""Faults of what is around a journal that is whole: the host's clock, this release, the server's settings."""
_REFUSALS: Final = frozenset(
    {"ReceiptsFailed", "KeyRefused", "VaultError", "EncryptionError", "KeyMissing", "DecryptionFailed"}
)
"""Errors that say by themselves what to do. By name: their modules are heavy, and only some processes raise them."""


def exit_of(error: BaseException) -> tuple[Exit, str] | None:
    """The exit code and the line for an error that was foreseen; None for a defect."""
    # Imported late: the slim commands do not need them, and each names its own kind of end.
    from oms._config_values import ConfigError
    from oms.client.errors import OmsError, OmsRefused, OmsTimeout, OmsUnreachable
    from oms.journal.errors import Fenced, JournalBroken
    from oms.nats_server import NatsServerError

    if isinstance(error, BaseExceptionGroup):
        # Tasks of one process that fall together: what is known of one of them is what to say.
        return next((found for each in error.exceptions if (found := exit_of(each))), None)
    if isinstance(error, OmsRefused):
        recorded = f" (recorded as order {error.order_id})" if error.order_id else ""
        return Exit.REFUSED, f"refused: {error}{recorded}"
    if isinstance(error, OmsTimeout | OmsUnreachable):
        return Exit.NO_ANSWER, str(error)
    if isinstance(error, OmsError | NatsServerError):
        return Exit.REFUSED, str(error)
    if isinstance(error, ConfigError):
        return Exit.USAGE, f"configuration: {error}"
    if isinstance(error, Fenced):
        return Exit.FENCED, f"another engine has taken over, this one stopped: {error}"
    if type(error).__name__ == "JournalLost":
        return Exit.JOURNAL_BROKEN, f"the journal is not whole: {error}"
    if isinstance(error, JournalBroken):
        advice = (
            "; `oms replay verify` says what else, `oms replay restore` mends it"
            if error.fault in _MENDABLE
            else ""
        )
        what = "cannot start on this journal" if error.fault in _UNFIT else "the journal is broken"
        return Exit.JOURNAL_BROKEN, f"{what}: {error}{advice}"
    if type(error).__name__ == "SnapshotRefused":
        return Exit.JOURNAL_BROKEN, str(error)
    # By name, because the engine's module is heavy and only its own process can raise it.
    if type(error).__name__ == "EngineRunning":
        return Exit.ENGINE_RUNNING, str(error)
    if type(error).__name__ in _REFUSALS:
        return Exit.REFUSED, str(error)
    if type(error).__name__ == "CredentialsMissing":
        return Exit.USAGE, str(error)
    if isinstance(error, StoppedError):
        return error.exit, str(error)
    return None


class StoppedError(Exception):
    """A process of ours ends, with this exit code and line."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit = code


def end_with(error: Exception) -> int:
    """Say what went wrong, in one line, and return the exit code."""
    found = exit_of(error)
    if found is not None:
        click.echo(f"oms: {found[1]}", err=True)
        return found[0]
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error, file=sys.stderr)
    click.echo(
        f"oms: defect: {type(error).__name__}: {error} ({_where(error)}); {DEBUG_VARIABLE}=1 shows the whole trace",
        err=True,
    )
    return Exit.DEFECT


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "unknown place"  # noqa: PTH119
