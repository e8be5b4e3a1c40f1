"""Orders: the scenarios, as data. The table reads as the specification; whoever runs it brings his own runner.

They are those of FIX's "Order State Changes" (A to K), what a trade does in any state (L), and the mistakes of known systems
(X). A row is who does what, and what the order then is::

    actor  action               | status, quantity, cumulative, leaves, locked  flags

Actors:

- ``client``: a command. ``place Q @P [IOC|FOK|GTD]``, a buy, always the first row; ``cancel``; ``cancel unknown``, of an order that
  is not; ``amend Q [@P]``; ``again``, the last command once more under its own id; ``another``, a place that is not this order's.
- ``venue``: what the venue does, or how it answers. ``accept``, ``reject``, ``cancelled`` (asked for or not), ``expired``,
  ``cancel-rejected``, ``amended``, ``amend-rejected``, ``fill Q [@P] [id=T] [fee=F]``, ``bust T``, ``halt``, ``resume``, and ``restated Q
  [@P]``: the order has these terms now.
- ``wire``: what is told late, twice, out of order or not at all, so that it takes a fault to bring it about: any of those above, and
  ``doubt`` (the answer is lost), ``absent`` and ``finished Q`` (what a look-up finds).
- ``clock``: ``day``, 24 hours pass; a GTD order is good for one of them.

``rev=N`` names the venue order by its revision, ``cum=N`` is what the venue says is filled, ``t=N`` when the venue says that it was;
without it each row is later than the one before. ``locked`` is in quote, where a buy locks leaves × price. Flags: ``doubt``, and
``!CODE`` when it is refused, which changes nothing.

A scenario without ``wire`` rows is one that every venue can be brought to: its rows, in order, are then states that the order passes
through, perhaps among others. At some, an order killed by its time in force is told as canceled.
"""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One step, and what the order is after it."""

    actor: str
    action: str
    status: str
    quantity: str
    cumulative: str
    leaves: str
    locked: str
    in_doubt: bool
    code: str


def rows(scenario: str) -> list[Row]:
    """The rows of a scenario."""
    return [_row(line) for line in scenario.strip().splitlines()]


def _row(line: str) -> Row:
    step, _, expected = line.partition("|")
    actor, _, action = step.strip().partition(" ")
    status, quantity, cumulative, leaves, locked, *flags = expected.split()
    code = next((flag[1:] for flag in flags if flag[0] == "!"), "")
    return Row(actor, action.strip(), status, quantity, cumulative, leaves, locked, "doubt" in flags, code)


def on_any_wire(scenario: str) -> bool:
    """Whether a venue can be brought to it without a fault."""
    return all(row.actor in ("client", "venue") for row in rows(scenario))


# fmt: off
SCENARIOS: Final[dict[str, str]] = {
    # -- A: filled
    "A1 filled in parts": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        venue  fill 8               | FILLED            10 10  0    0
    """,
    "A2 a part filled, and done for the day": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        venue  expired cum=2        | EXPIRED           10  2  0    0
    """,
    "A3 the fill overtakes the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   fill 3               | PARTIALLY_FILLED  10  3  7  700
        wire   accept               | PARTIALLY_FILLED  10  3  7  700
        venue  fill 7               | FILLED            10 10  0    0
    """,
    "A4 the full fill overtakes the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   fill 10              | FILLED            10 10  0    0
        wire   accept               | FILLED            10 10  0    0
    """,
    "A5 rejected": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        client cancel               | REJECTED          10  0  0    0 !ORDER_FINISHED
    """,
    "A6 a stop order rejected when it triggers": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
    """,
    "A7 bought below the limit releases what the limit reserved": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4 @90           | PARTIALLY_FILLED  10  4  6  600
    """,
    # -- B: cancel
    "B1 cancel of a zero-filled order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "B2 cancel of a partly filled order, filled further meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        client cancel               | PENDING_CANCEL    10  2  8  800
        venue  fill 3               | PENDING_CANCEL    10  5  5  500
        venue  cancelled cum=5      | CANCELED          10  5  0    0
    """,
    "B3 filled before the cancel gets there": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  fill 10              | PENDING_CANCEL    10 10  0    0
        venue  cancel-rejected      | FILLED            10 10  0    0
    """,
    "B4 cancel before the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   accept               | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "B5 cancel rejected before the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   cancel-rejected      | PENDING_NEW       10  0 10 1000
        wire   accept               | NEW               10  0 10 1000
    """,
    "B6 the acknowledgement crosses the cancel rejected": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  accept               | PENDING_CANCEL    10  0 10 1000
        venue  cancel-rejected      | NEW               10  0 10 1000
    """,
    "B7 a rejected cancel restores what fills have made of it": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  fill 4               | PENDING_CANCEL    10  4  6  600
        venue  cancel-rejected      | PARTIALLY_FILLED  10  4  6  600
    """,
    "B8 a second cancel waits for the first": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000 !ORDER_PENDING
        venue  reject               | REJECTED          10  0  0    0
    """,
    "B9 cancel of a finished order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
        client cancel               | FILLED            10 10  0    0 !ORDER_FINISHED
    """,
    "B10 a cancel that races a fill does not forget the fill": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   cancelled cum=4      | CANCELED          10  0  0    0 doubt
        wire   fill 4               | CANCELED          10  4  0    0 doubt
        wire   cancelled cum=4      | CANCELED          10  4  0    0
    """,
    "B11 cancel of an order that is not known": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel unknown       | NEW               10  0 10 1000 !ORDER_UNKNOWN
    """,
    "B12 the venue expires what we cancel": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  expired              | EXPIRED           10  0  0    0
    """,
    # -- E: unsolicited
    "E1 canceled unasked": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        venue  cancelled cum=2      | CANCELED          10  2  0    0
    """,
    "E2 canceled unasked before the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   cancelled            | CANCELED          10  0  0    0
        wire   accept               | CANCELED          10  0  0    0
    """,
    "E3 reduced unasked by self-trade prevention": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  restated 7           | NEW                7  0  7  700
        venue  fill 7               | FILLED             7  7  0    0
    """,
    "E4 reduced unasked, part filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4               | PARTIALLY_FILLED  10  4  6  600
        venue  restated 5           | PARTIALLY_FILLED   5  4  1  100
    """,
    "E5 reduced unasked to what is filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4               | PARTIALLY_FILLED  10  4  6  600
        venue  restated 4           | FILLED             4  4  0    0
    """,
    "E6 reduced unasked below what is filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4               | PARTIALLY_FILLED  10  4  6  600
        venue  restated 3           | FILLED             3  4  0    0
    """,
    "E7 replaced unasked, in the exchange's own app": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  restated 12 @101     | NEW               12  0 12 1212
        client cancel               | PENDING_CANCEL    12  0 12 1212
        venue  cancelled            | CANCELED          12  0  0    0
    """,
    "E8 terms that are older than those known change nothing": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  restated 7 t=500     | NEW                7  0  7  700
        wire   restated 9 t=300     | NEW                7  0  7  700
        wire   restated 7 t=500     | NEW                7  0  7  700
        wire   restated 9 t=500     | NEW                7  0  7  700
        venue  restated 6 t=501     | NEW                6  0  6  600
    """,
    "E9 reduced before the acknowledgement": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   restated 7           | NEW                7  0  7  700
        wire   accept               | NEW                7  0  7  700
    """,
    "E10 a fill overtakes the increase that made room for it": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   fill 12              | FILLED            10 12  0    0
        wire   restated 12          | FILLED            12 12  0    0
    """,
    "E11 filled by the terms we knew, and increased before": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
        wire   restated 12          | PARTIALLY_FILLED  12 10  2  200
        venue  fill 2               | FILLED            12 12  0    0
    """,
    "E12 terms of what has ended change nothing": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
        wire   restated 12          | CANCELED          10  0  0    0
    """,
    "E13 reduced while a cancel is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  restated 7           | PENDING_CANCEL     7  0  7  700
        venue  cancel-rejected      | NEW                7  0  7  700
    """,
    # -- F: the same again
    "F1 the same trade twice counts once": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 2 id=t          | PARTIALLY_FILLED  10  2  8  800
        wire   fill 2 id=t          | PARTIALLY_FILLED  10  2  8  800
        venue  fill 8               | FILLED            10 10  0    0
        wire   fill 2 id=t          | FILLED            10 10  0    0
    """,
    "F2 a late acknowledgement does not bring back what has ended": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
        wire   accept               | CANCELED          10  0  0    0
        wire   cancelled            | CANCELED          10  0  0    0
        wire   expired              | CANCELED          10  0  0    0
    """,
    "F3 rejected twice, then the truth": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        wire   reject               | REJECTED          10  0  0    0
        wire   accept               | NEW               10  0 10 1000
    """,
    "F4 a repeated rejection settles no doubt": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        wire   fill 2               | PARTIALLY_FILLED  10  2  8  800 doubt
        wire   reject               | PARTIALLY_FILLED  10  2  8  800 doubt
        wire   accept               | PARTIALLY_FILLED  10  2  8  800
    """,
    "F5 a late acknowledgement settles no doubt about missing trades": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   cancelled cum=2      | CANCELED          10  0  0    0 doubt
        wire   accept               | CANCELED          10  0  0    0 doubt
        wire   fill 2               | CANCELED          10  2  0    0 doubt
        wire   cancelled cum=2      | CANCELED          10  2  0    0
    """,
    "F6 the same command twice is done once": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client again                | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        client again                | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
        client again                | CANCELED          10  0  0    0
    """,
    "F7 the venue refuses a client id it has seen": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
    """,
    "F8 the same acknowledgement twice": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        wire   accept               | PARTIALLY_FILLED  10  2  8  800
    """,
    "F9 a refused amend settles no doubt about missing trades": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   cancelled cum=2      | PENDING_REPLACE   10  0  0 1200 doubt
        wire   amend-rejected       | CANCELED          10  0  0    0 doubt
        wire   fill 2               | CANCELED          10  2  0    0 doubt
        wire   cancelled cum=2      | CANCELED          10  2  0    0
    """,
    "F10 a refused amend settles no doubt of what was filled: the venue is asked how much that is": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        venue  fill 10              | PENDING_REPLACE   10 10  0  200 doubt
        wire   amend-rejected       | FILLED            10 10  0    0 doubt
        wire   finished 10          | FILLED            10 10  0    0
    """,
    # -- G: doubt and look-ups
    "G1 in doubt, found working": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        wire   accept               | NEW               10  0 10 1000
    """,
    "G2 in doubt, proven absent": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        wire   absent               | REJECTED          10  0  0    0
    """,
    "G3 in doubt, found filled: the trades are asked for": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        wire   finished 10          | PENDING_NEW       10  0 10 1000 doubt
        wire   fill 10              | FILLED            10 10  0    0 doubt
        wire   finished 10          | FILLED            10 10  0    0
    """,
    "G4 found filled without a doubt makes one": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   finished 10          | NEW               10  0 10 1000 doubt
    """,
    "G5 an order that traded and is gone was canceled there": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 1               | PARTIALLY_FILLED  10  1  9  900
        wire   doubt                | PARTIALLY_FILLED  10  1  9  900 doubt
        wire   absent               | CANCELED          10  1  0    0
    """,
    "G6 a cancel in doubt, found working: it is still asked for": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   doubt                | PENDING_CANCEL    10  0 10 1000 doubt
        wire   accept               | PENDING_CANCEL    10  0 10 1000
    """,
    "G7 no amend while in doubt, but a cancel": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   doubt                | NEW               10  0 10 1000 doubt
        client amend 12             | NEW               10  0 10 1000 doubt !ORDER_PENDING
        client cancel               | PENDING_CANCEL    10  0 10 1000 doubt
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "G8 what has ended is not doubted": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
        wire   doubt                | FILLED            10 10  0    0
    """,
    "G9 cancel in doubt after a full fill, settled by the look-up": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  fill 10              | PENDING_CANCEL    10 10  0    0
        wire   doubt                | PENDING_CANCEL    10 10  0    0 doubt
        wire   finished 10          | FILLED            10 10  0    0
    """,
    "G10 an amend that was taken, then in doubt, then told as taken": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   accept rev=1         | NEW               12  0 12 1200
        wire   doubt                | NEW               12  0 12 1200 doubt
        wire   amended rev=1        | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        wire   doubt                | PENDING_REPLACE   12  0 12 1300 doubt
        wire   amended rev=1        | PENDING_REPLACE   12  0 12 1300 doubt
        wire   amended rev=2        | NEW               13  0 13 1300
    """,
    # -- H: good till canceled, good till date
    "H1 works on from day to day": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        clock  day                  | PARTIALLY_FILLED  10  2  8  800
        venue  fill 3               | PARTIALLY_FILLED  10  5  5  500
        clock  day                  | PARTIALLY_FILLED  10  5  5  500
        client cancel               | PENDING_CANCEL    10  5  5  500
        venue  cancelled            | CANCELED          10  5  0    0
    """,
    "H2 ended by its date, which the engine keeps": """
        client place 10 @100 GTD    | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        clock  day                  | PENDING_CANCEL    10  2  8  800
        venue  cancelled            | EXPIRED           10  2  0    0
    """,
    "H3 filled while its date ends it": """
        client place 10 @100 GTD    | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        clock  day                  | PENDING_CANCEL    10  0 10 1000
        venue  fill 10              | PENDING_CANCEL    10 10  0    0
        venue  cancel-rejected      | FILLED            10 10  0    0
    """,
    "H4 ended by the venue, which keeps orders only so long": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        clock  day                  | NEW               10  0 10 1000
        venue  expired              | EXPIRED           10  0  0    0
    """,
    # -- I: FOK and IOC, which the venue kills
    "I1 FOK that cannot be filled": """
        client place 10 @100 FOK    | PENDING_NEW       10  0 10 1000
        venue  expired              | EXPIRED           10  0  0    0
    """,
    "I2 IOC filled in part": """
        client place 10 @100 IOC    | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 3               | PARTIALLY_FILLED  10  3  7  700
        venue  expired cum=3        | EXPIRED           10  3  0    0
    """,
    "I3 IOC that meets nothing": """
        client place 10 @100 IOC    | PENDING_NEW       10  0 10 1000
        venue  expired cum=0        | EXPIRED           10  0  0    0
    """,
    "I4 the kill overtakes the trades": """
        client place 10 @100 IOC    | PENDING_NEW       10  0 10 1000
        wire   expired cum=3        | EXPIRED           10  0  0    0 doubt
        wire   fill 3               | EXPIRED           10  3  0    0 doubt
        wire   expired cum=3        | EXPIRED           10  3  0    0
    """,
    "I5 FOK filled at once": """
        client place 10 @100 FOK    | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
    """,
    # -- J: trades taken back and corrected
    "J1 one of two trades taken back": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2 id=a          | PARTIALLY_FILLED  10  2  8  800
        venue  fill 3 id=b          | PARTIALLY_FILLED  10  5  5  500
        venue  bust a               | PARTIALLY_FILLED  10  3  7  700
        venue  fill 7               | FILLED            10 10  0    0
    """,
    "J2 the only trade taken back": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2 id=a          | PARTIALLY_FILLED  10  2  8  800
        venue  bust a               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "J3 corrected: taken back, and told again under another id": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4 id=a          | PARTIALLY_FILLED  10  4  6  600
        venue  bust a               | NEW               10  0 10 1000
        venue  fill 3 @99 id=b      | PARTIALLY_FILLED  10  3  7  700
    """,
    "J4 taken back from a filled order, which does not work again": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 6 id=a          | PARTIALLY_FILLED  10  6  4  400
        venue  fill 4 id=b          | FILLED            10 10  0    0
        venue  bust b               | CANCELED          10  6  0    0
        wire   accept               | CANCELED          10  6  0    0
    """,
    "J5 a filled order corrected": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 6 id=a          | PARTIALLY_FILLED  10  6  4  400
        venue  fill 4 id=b          | FILLED            10 10  0    0
        venue  bust b               | CANCELED          10  6  0    0
        venue  fill 4 @98 id=c      | FILLED            10 10  0    0
    """,
    "J6 taken back from a canceled order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 6 id=a          | PARTIALLY_FILLED  10  6  4  400
        venue  cancelled            | CANCELED          10  6  0    0
        venue  bust a               | CANCELED          10  0  0    0
    """,
    "J7 taken back twice told, and the trade told again": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 6 id=a          | PARTIALLY_FILLED  10  6  4  400
        venue  bust a               | NEW               10  0 10 1000
        wire   bust a               | NEW               10  0 10 1000
        wire   fill 6 id=a          | NEW               10  0 10 1000
    """,
    "J8 a trade taken back that was never told is refused": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   bust a               | NEW               10  0 10 1000 !TRADE_UNKNOWN
    """,
    "J9 what was filled too much is taken back": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 10 id=a         | FILLED            10 10  0    0
        wire   fill 2 id=b          | FILLED            10 12  0    0
        venue  bust b               | FILLED            10 10  0    0
    """,
    "J10 taken back while a cancel is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 4 id=a          | PARTIALLY_FILLED  10  4  6  600
        client cancel               | PENDING_CANCEL    10  4  6  600
        venue  bust a               | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "J11 taken back while a cancel of the filled order is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  fill 10 id=a         | PENDING_CANCEL    10 10  0    0
        venue  bust a               | PENDING_CANCEL    10  0  0    0
        venue  cancel-rejected      | CANCELED          10  0  0    0
    """,
    # -- K: halts
    "K1 halted, and resumed": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  halt                 | NEW               10  0 10 1000
        client another              | NEW               10  0 10 1000 !INSTRUMENT_HALTED
        venue  resume               | NEW               10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
    """,
    "K2 canceled while halted": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  halt                 | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "K3 the halt ends what works": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        venue  halt                 | PARTIALLY_FILLED  10  2  8  800
        venue  cancelled cum=2      | CANCELED          10  2  0    0
    """,
    # -- L: a fill in any state changes the order and the position alike
    "L1 fill after reject": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        wire   fill 10              | FILLED            10 10  0    0
    """,
    "L2 fill after expiry": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  expired              | EXPIRED           10  0  0    0
        wire   fill 4               | EXPIRED           10  4  0    0
        wire   fill 6               | FILLED            10 10  0    0
    """,
    "L3 fill after cancel": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
        wire   fill 4               | CANCELED          10  4  0    0
    """,
    "L4 an extra trade after filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
        wire   fill 2               | FILLED            10 12  0    0
    """,
    "L5 one trade of more than was ordered": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   fill 12              | FILLED            10 12  0    0
    """,
    # -- X: where known systems go wrong
    "X1 an exception on submit is no rejection: the order lives": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        wire   fill 4               | PARTIALLY_FILLED  10  4  6  600 doubt
        wire   accept               | PARTIALLY_FILLED  10  4  6  600
    """,
    "X2 a submit that times out is not rejected, and not sent again": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        client again                | PENDING_NEW       10  0 10 1000 doubt
        wire   doubt                | PENDING_NEW       10  0 10 1000 doubt
        wire   accept               | NEW               10  0 10 1000
    """,
    "X3 network errors on a look-up do not make it absent": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        wire   doubt                | NEW               10  0 10 1000 doubt
        wire   doubt                | NEW               10  0 10 1000 doubt
        wire   doubt                | NEW               10  0 10 1000 doubt
        wire   accept               | NEW               10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
    """,
    "X4 a cancel that times out is not canceled: asked for until the venue says so": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   doubt                | PENDING_CANCEL    10  0 10 1000 doubt
        wire   accept               | PENDING_CANCEL    10  0 10 1000
        venue  fill 10              | PENDING_CANCEL    10 10  0    0
        venue  cancel-rejected      | FILLED            10 10  0    0
    """,
    "X5 expired, then a fill: order and position move alike": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  expired              | EXPIRED           10  0  0    0
        wire   fill 4               | EXPIRED           10  4  0    0
    """,
    "X6 rejected, then a fill: order and position move alike, and the order is looked up": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        wire   fill 4               | PARTIALLY_FILLED  10  4  6  600 doubt
        wire   accept               | PARTIALLY_FILLED  10  4  6  600
    """,
    "X7 an extra trade after filled shows in the order too": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 10              | FILLED            10 10  0    0
        wire   fill 2               | FILLED            10 12  0    0
    """,
    "X8 a cancel that races a fill keeps the fill": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client cancel               | PENDING_CANCEL    10  0 10 1000
        wire   cancelled cum=4      | CANCELED          10  0  0    0 doubt
        wire   fill 4               | CANCELED          10  4  0    0 doubt
        wire   cancelled cum=4      | CANCELED          10  4  0    0
    """,
    "X9 every partial fill moves the position at once": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 1               | PARTIALLY_FILLED  10  1  9  900
        venue  fill 2               | PARTIALLY_FILLED  10  3  7  700
        venue  fill 3               | PARTIALLY_FILLED  10  6  4  400
    """,
    "X10 a stale report does not take the order back": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4               | PARTIALLY_FILLED  10  4  6  600
        wire   accept               | PARTIALLY_FILLED  10  4  6  600
        wire   reject               | PARTIALLY_FILLED  10  4  6  600
        venue  fill 6               | FILLED            10 10  0    0
        wire   accept               | FILLED            10 10  0    0
        wire   cancelled            | FILLED            10 10  0    0
    """,
    "X11 duplicate fills, and their fees, count once": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 4 id=a fee=0.4  | PARTIALLY_FILLED  10  4  6  600
        wire   fill 4 id=a fee=0.4  | PARTIALLY_FILLED  10  4  6  600
        venue  fill 6 id=b fee=0.6  | FILLED            10 10  0    0
        wire   fill 6 id=b fee=0.6  | FILLED            10 10  0    0
    """,
}
"""At any venue."""

REPLACING: Final[dict[str, str]] = {
    # -- C: replace
    "C1 increase of a zero-filled order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 11             | PENDING_REPLACE   10  0 10 1100
        venue  amended              | NEW               11  0 11 1100
        venue  fill 1               | PARTIALLY_FILLED  11  1 10 1000
        venue  fill 10              | FILLED            11 11  0    0
    """,
    "C2 increase, part filled before and meanwhile by the old terms": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        client amend 12             | PENDING_REPLACE   10  2  8 1000
        venue  fill 1               | PENDING_REPLACE   10  3  7  900
        venue  amended              | PARTIALLY_FILLED  12  3  9  900
    """,
    "C3 filled before the increase gets there, and the venue takes the increase": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  fill 10              | PENDING_REPLACE   10 10  0  200
        venue  amended              | PARTIALLY_FILLED  12 10  2  200
        venue  fill 2               | FILLED            12 12  0    0
    """,
    "C4 filled before the increase gets there, and the venue refuses it": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  fill 10              | PENDING_REPLACE   10 10  0  200
        venue  amend-rejected       | FILLED            10 10  0    0
    """,
    "C5 rejected, nothing filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12 @101        | PENDING_REPLACE   10  0 10 1212
        venue  amend-rejected       | NEW               10  0 10 1000
    """,
    "C6 decrease above what is filled meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 8              | PENDING_REPLACE   10  0 10 1000
        venue  fill 3               | PENDING_REPLACE   10  3  7  700
        venue  amended              | PARTIALLY_FILLED   8  3  5  500
    """,
    "C7 decrease to what is filled meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 8              | PENDING_REPLACE   10  0 10 1000
        venue  fill 8               | PENDING_REPLACE   10  8  2  200
        venue  amended              | FILLED             8  8  0    0
    """,
    "C8 decrease below what is filled meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 5              | PENDING_REPLACE   10  0 10 1000
        venue  fill 8               | PENDING_REPLACE   10  8  2  200
        venue  amended              | FILLED             5  8  0    0
    """,
    "C9 decrease to or below what is known as filled is refused here": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 8               | PARTIALLY_FILLED  10  8  2  200
        client amend 8              | PARTIALLY_FILLED  10  8  2  200 !AMEND_BELOW_FILLED
        client amend 5              | PARTIALLY_FILLED  10  8  2  200 !AMEND_BELOW_FILLED
        client amend 10             | PARTIALLY_FILLED  10  8  2  200 !AMEND_NO_CHANGE
    """,
    "C10 amend before the acknowledgement waits": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        client amend 12             | PENDING_NEW       10  0 10 1000 !ORDER_PENDING
    """,
    "C11 a dearer price is reserved at once, a cheaper one only when it stands": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 10 @110        | PENDING_REPLACE   10  0 10 1100
        venue  amended              | NEW               10  0 10 1100
        client amend 10 @90         | PENDING_REPLACE   10  0 10 1100
        venue  amended rev=2        | NEW               10  0 10  900
    """,
    "C12 amend of a finished order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  reject               | REJECTED          10  0  0    0
        client amend 12             | REJECTED          10  0  0    0 !ORDER_FINISHED
    """,
    "C13 a look-up finds the new venue order working": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        wire   accept rev=1         | NEW               12  0 12 1200
    """,
    "C14 the venue refuses the order that was to replace this one, which works on": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  reject rev=1         | NEW               10  0 10 1000
    """,
    "C15 cancel over a replace, the replace refused, the cancel done": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        client cancel               | PENDING_CANCEL    10  0 10 1200
        venue  amend-rejected       | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "C16 cancel over a replace: the old venue order ends twice told, the new one lives": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  cancelled            | PENDING_REPLACE   10  0  0 1200
        wire   cancelled            | PENDING_REPLACE   10  0  0 1200
        venue  accept rev=1         | NEW               12  0 12 1200
    """,
    "C17 the old venue order ends and no new one comes": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  cancelled            | PENDING_REPLACE   10  0  0 1200
        venue  amend-rejected       | CANCELED          10  0  0    0
    """,
    "C18 … told by a look-up": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  cancelled            | PENDING_REPLACE   10  0  0 1200
        wire   doubt                | PENDING_REPLACE   10  0  0 1200 doubt
        wire   cancelled            | CANCELED          10  0  0    0
    """,
    "C19 the new venue order ended before we heard of it": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   cancelled rev=1      | CANCELED          10  0  0    0
        wire   amended              | CANCELED          10  0  0    0
    """,
    "C20 reduced unasked while an amend is under way: the terms of the old venue order answer no amend": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 8              | PENDING_REPLACE   10  0 10 1000
        venue  restated 8           | PENDING_REPLACE    8  0  8  800
        venue  amend-rejected       | NEW                8  0  8  800
    """,
    # -- D: two replaces
    "D1 one after the other": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        client amend 13             | PENDING_REPLACE   10  0 10 1200 !ORDER_PENDING
        venue  amended rev=1        | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        venue  amended rev=2        | NEW               13  0 13 1300
    """,
    "D2 the second rejected": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  amended rev=1        | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        venue  amend-rejected rev=2 | NEW               12  0 12 1200
    """,
    "D3 the first rejected, and told again while the second is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  amend-rejected rev=1 | NEW               10  0 10 1000
        client amend 13             | PENDING_REPLACE   10  0 10 1300
        wire   amend-rejected rev=1 | PENDING_REPLACE   10  0 10 1300
        wire   amended rev=1        | PENDING_REPLACE   10  0 10 1300
        venue  amended rev=2        | NEW               13  0 13 1300
    """,
    "D4 what is told of a replaced venue order changes nothing": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  amended rev=1        | NEW               12  0 12 1200
        wire   cancelled rev=0      | NEW               12  0 12 1200
        wire   expired rev=0        | NEW               12  0 12 1200
        wire   reject rev=0         | NEW               12  0 12 1200
        wire   absent rev=0         | NEW               12  0 12 1200
        wire   accept rev=0         | NEW               12  0 12 1200
        venue  fill 1               | PARTIALLY_FILLED  12  1 11 1100
    """,
    "D5 a late acknowledgement of a replaced venue order settles no doubt": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  amended rev=1        | NEW               12  0 12 1200
        wire   doubt                | NEW               12  0 12 1200 doubt
        wire   accept rev=0         | NEW               12  0 12 1200 doubt
        wire   accept rev=1         | NEW               12  0 12 1200
    """,
}
"""Where an amend cancels the venue order and makes another, under the next revision."""

IN_PLACE: Final[dict[str, str]] = {
    # -- C: replace
    "C1 increase of a zero-filled order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 11             | PENDING_REPLACE   10  0 10 1100
        venue  restated 11          | NEW               11  0 11 1100
        venue  fill 1               | PARTIALLY_FILLED  11  1 10 1000
        venue  fill 10              | FILLED            11 11  0    0
    """,
    "C2 increase, part filled before and meanwhile by the old terms": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  fill 2               | PARTIALLY_FILLED  10  2  8  800
        client amend 12             | PENDING_REPLACE   10  2  8 1000
        venue  fill 1               | PENDING_REPLACE   10  3  7  900
        venue  restated 12          | PARTIALLY_FILLED  12  3  9  900
    """,
    "C3 filled before the increase gets there": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  fill 10              | PENDING_REPLACE   10 10  0  200
        venue  amend-rejected       | FILLED            10 10  0    0
    """,
    "C4 filled to the old quantity, and increased before": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   fill 10              | PENDING_REPLACE   10 10  0  200
        wire   restated 12          | PARTIALLY_FILLED  12 10  2  200
        venue  fill 2               | FILLED            12 12  0    0
    """,
    "C5 a fill of all that is amended overtakes the answer": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   fill 12              | PENDING_REPLACE   10 12  0    0
        wire   restated 12          | FILLED            12 12  0    0
    """,
    "C6 rejected, nothing filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12 @101        | PENDING_REPLACE   10  0 10 1212
        venue  amend-rejected       | NEW               10  0 10 1000
    """,
    "C7 decrease above what is filled meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 8              | PENDING_REPLACE   10  0 10 1000
        venue  fill 3               | PENDING_REPLACE   10  3  7  700
        venue  restated 8           | PARTIALLY_FILLED   8  3  5  500
    """,
    "C8 decrease to what is filled meanwhile": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 8              | PENDING_REPLACE   10  0 10 1000
        venue  fill 8               | PENDING_REPLACE   10  8  2  200
        venue  restated 8           | FILLED             8  8  0    0
    """,
    "C9 decrease below what is filled meanwhile, for which the venue ends the order": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 5              | PENDING_REPLACE   10  0 10 1000
        venue  fill 8               | PENDING_REPLACE   10  8  2  200
        venue  cancelled cum=8      | CANCELED          10  8  0    0
    """,
    "C10 another price, and back": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 10 @110        | PENDING_REPLACE   10  0 10 1100
        venue  restated 10 @110     | NEW               10  0 10 1100
        client amend 10 @90         | PENDING_REPLACE   10  0 10 1100
        venue  restated 10 @90      | NEW               10  0 10  900
    """,
    "C11 that the order works is no answer, nor are the terms it has": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   accept               | PENDING_REPLACE   10  0 10 1200
        wire   restated 10          | PENDING_REPLACE   10  0 10 1200
        venue  restated 12          | NEW               12  0 12 1200
    """,
    "C12 canceled unasked while an amend is under way: it is over": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  cancelled            | CANCELED          10  0  0    0
        wire   restated 12          | CANCELED          10  0  0    0
    """,
    "C13 expired while an amend is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  expired              | EXPIRED           10  0  0    0
    """,
    "C14 cancel over an amend that is taken": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        client cancel               | PENDING_CANCEL    10  0 10 1200
        venue  restated 12          | PENDING_CANCEL    12  0 12 1200
        venue  cancelled            | CANCELED          12  0  0    0
    """,
    "C15 cancel over an amend that is refused": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        client cancel               | PENDING_CANCEL    10  0 10 1200
        venue  amend-rejected       | PENDING_CANCEL    10  0 10 1000
        venue  cancelled            | CANCELED          10  0  0    0
    """,
    "C16 the answer is lost, and a look-up finds it amended": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        wire   restated 12          | NEW               12  0 12 1200
    """,
    "C17 the answer is lost, and a look-up finds it as it was": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        wire   accept               | PENDING_REPLACE   10  0 10 1200
        wire   amend-rejected       | NEW               10  0 10 1000
    """,
    "C18 the answer is lost, and a look-up finds it filled": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        venue  fill 10              | PENDING_REPLACE   10 10  0  200 doubt
        wire   finished 10          | FILLED            10 10  0    0
    """,
    "C19 reduced unasked while an amend is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  restated 8           | PENDING_REPLACE    8  0  8 1200
        venue  amend-rejected       | NEW                8  0  8  800
    """,
    "C20 rejected when it triggers, while an amend is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  reject               | REJECTED          10  0  0    0
    """,
    "C21 gone from the venue while an amend is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        wire   doubt                | PENDING_REPLACE   10  0 10 1200 doubt
        wire   absent               | CANCELED          10  0  0    0
    """,
    "C22 a trade taken back while an amend is under way": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  fill 4 id=a          | PARTIALLY_FILLED  10  4  6  600
        client amend 12             | PENDING_REPLACE   10  4  6  800
        venue  bust a               | PENDING_REPLACE   10  0 10 1200
        venue  restated 12          | NEW               12  0 12 1200
    """,
    # -- D: two replaces
    "D1 one after the other": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        client amend 13             | PENDING_REPLACE   10  0 10 1200 !ORDER_PENDING
        venue  restated 12          | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        venue  restated 13          | NEW               13  0 13 1300
    """,
    "D2 the second rejected": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  restated 12          | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        venue  amend-rejected       | NEW               12  0 12 1200
    """,
    "D3 what answered the first does not answer the second": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  restated 12 t=500    | NEW               12  0 12 1200
        client amend 13             | PENDING_REPLACE   12  0 12 1300
        wire   restated 12 t=500    | PENDING_REPLACE   12  0 12 1300
        wire   amended rev=0        | PENDING_REPLACE   12  0 12 1300
        venue  restated 13 t=600    | NEW               13  0 13 1300
    """,
    "D4 back to the first terms: what told these before is no answer": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        venue  restated 9 t=100     | NEW                9  0  9  900
        client amend 12             | PENDING_REPLACE    9  0  9 1200
        venue  restated 12 t=500    | NEW               12  0 12 1200
        client amend 9              | PENDING_REPLACE   12  0 12 1200
        wire   restated 9 t=100     | PENDING_REPLACE   12  0 12 1200
        venue  restated 9 t=600     | NEW                9  0  9  900
    """,
    "D5 a refusal told twice is put right by the terms": """
        client place 10 @100        | PENDING_NEW       10  0 10 1000
        venue  accept               | NEW               10  0 10 1000
        client amend 12             | PENDING_REPLACE   10  0 10 1200
        venue  amend-rejected       | NEW               10  0 10 1000
        client amend 13             | PENDING_REPLACE   10  0 10 1300
        wire   amend-rejected       | NEW               10  0 10 1000
        venue  restated 13          | NEW               13  0 13 1300
    """,
}
"""Where an amend changes the venue order itself, and its terms tell that it is done."""
# fmt: on
