"""Events that are about no order's life and no trade: what the views of those have nothing to do with."""

from typing import Final

from oms.messages import controls as k
from oms.messages import desk as d
from oms.messages import events as e

NO_ORDER_AND_NO_TRADE: Final = frozenset(
    {
        e.JournalCreated,
        e.EngineStarted,
        e.Sealed,
        e.SigningKeyDeclared,
        e.LossAccepted,
        e.AccountRegistered,
        k.LimitsSet,
        k.LimitsOverridden,
        k.OverrideEnded,
        k.ValuationSet,
        k.LimitCrossed,
        k.KillSwitchEngaged,
        k.KillSwitchReleased,
        k.DayRolled,
        d.StrategyAssigned,
        d.AccountRenamed,
        d.AccountDisabled,
        d.AccountEnabled,
        d.AccountClosed,
        d.TransferRequested,
        d.TransferCompleted,
        d.TransferRejected,
        d.TransferInDoubt,
        d.TransferDenied,
        e.VenueDeclared,
        e.InstrumentListed,
        e.SessionOpened,
        e.SessionClosed,
        e.BalanceAdjusted,  # money that came or went, not earned
        e.MarksRecorded,  # read from the instrument when asked
        e.PositionStated,
        e.TermsRequested,
        e.TermsSet,
        e.TermsRefused,
        e.ReconciliationRequested,
        e.Reconciled,  # what differed has events of its own
        d.DisconnectGuardSet,
        d.ClientDisconnected,
        e.CancelAllRequested,
    }
)
