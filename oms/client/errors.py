"""What a client can meet: a refusal, no answer, no server, or events that were lost on the way."""

from oms.messages.codes import Code


class OmsError(Exception):
    """Anything that this client raises of its own accord."""


class OmsRefused(OmsError):
    """The system answered, and the answer is no.

    Args:
        code: one of :class:`oms.messages.codes.Code`, or a code of a newer system as text.
        message: what was got and what would be right.
        order_id: of the order that records a denial (``OrderDenied``); empty when nothing was recorded.
    """

    def __init__(self, code: Code | str, message: str, order_id: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.order_id = order_id


class OmsTimeout(OmsError):
    """Nobody answered for as long as the client is patient. **The outcome of a command is unknown.**

    To find out, send the same command with the same ``command_id``: it is carried out if it was not, and answered as
    it was if it was. Queries change nothing and can simply be asked again.

    Args:
        command_ids: of the commands without an answer, in order; empty for a query.
    """

    def __init__(self, message: str, command_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.command_ids = command_ids


class OmsUnreachable(OmsError):
    """No nats-server answers at the address, or it does not let us in. Nothing was sent."""


class OmsEventsLost(OmsError):
    """Public events may have been missed: the connection dropped, or they came faster than they were read.

    Ask the queries what is true now, and watch again.
    """
