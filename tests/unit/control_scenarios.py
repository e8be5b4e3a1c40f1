"""Scenarios of risk controls, as data: one row a case, money spelled out. The table reads as the specification of the controls.

A section for each control, in the order of the table of controls, and some for what is no limit of that table. A row is::

    case | limits | before | done | what comes of it | the case in words, with the money it is about

What is not said: accounts ``main`` (MAIN), ``sub`` (SUB) and ``own`` (STRATEGY) on binance; main has 9,000,000 USDT, 90 BTC and 90 ETH on
spot and nothing on futures; strategy ``arb`` is assigned to main with 9,000,000 USD; marks are BTCUSDT 50,000, ETHUSDT 2,500 and ETHBTC 0.05 on
spot, BTCUSDT (``of perp``) and BTCPERP (``of tenth``, a contract of 0.1 BTC) 50,000 on futures, none for NEWUSDT (``of new``, ``of newperp``); a USDT is
1 USD, and what anything else is worth is not known. Every other control is off. It is noon of a day that began at midnight, UTC, and
the clock stands still but for what a row says.

case
    of a control that is a number, ``below``, ``at`` or ``above`` the limit: what is held against it, as the row would leave it. Others have a
    word of their own. A word more says of what the row is an exception.
limits
    ``scope value`` of the section's own control, ``scope control value`` of another. ``exchange``, ``account``, ``strategy``, ``instrument``,
    ``perp`` and ``hand`` are binance, main, arb, BTCUSDT of spot and of futures, and orders without a strategy. They hold from the
    beginning, or from where ``before`` says ``limits``.
before
    ``sent buy 1 @50000``: an order that the venue has not answered; ``works …``: that it has accepted; ``bought 1 @50000``, ``sold …``: that
    filled at that price, with ``fee 5 USDT``. ``filled 0.5 @50000``, ``gone``, ``doubt`` (the answer is lost), ``stays`` (the venue does not cancel) are
    about the last order, or that of ``#1``. ``amended``, ``cancelled``, ``transferred``, ``killed``, ``released`` are as the verbs below, let through.
    ``appeared sell 1 @50000``: an order that a person placed at the venue itself is found there.
    ``rejected 2``: so many orders that the venue rejected (``turned-down``: the last one); ``differences 2``: a reconciliation found so many.
    ``mark 50000``, ``leverage 5``, ``liquidation 47500``, ``shows 0`` (the venue holds so much, and we are not told why; ``@50000``: entered at), ``funding -5``,
    ``holds main 5 USDT``, ``valued BNB 500`` (or ``valued BTC by BTCUSDT``, its mark), ``arrived``, ``came-to-nothing`` (of
    the last transfer): what is told. ``wait 1s``, ``clock 13:00:00``, ``watch`` (the engine looks what is due). ``assign arb main 5``,
    ``unassign arb main``; ``limit scope control value``, ``overridden scope control value 60s`` (for so long); ``denied …``: an order that was.
done
    ``place buy 1 @50000``, with ``market``, ``stop 49000``, ``reduce-only``, ``post-only``, ``of perp``, ``on sub``, ``by arb``; ``amend 2 @49000`` (either or both),
    ``cancel``; ``leverage 5`` to be set; ``transfer 5 USDT main to sub``; ``kill scope [reducing-allowed]``, ``release scope``; ``watch``, ``look``. Several with ``+``, the same
    several times with ``3 x``, one after the other, or in one message with ``bulk`` before them.
what comes of it
    ``ok``; the code that it is refused or denied with (a place, an amend or a transfer is recorded as denied); ``waits`` (placed, and not sent before others are gone); with ``N to cancel`` when it has orders
    cancelled. Of ``watch``: ``quiet``, or ``kills scope on control``, where nothing or something engages a kill switch. Of ``look``, the same look at what
    is due: ``quiet``, or that people are told of the section's control: ``near scope``, ``breached scope``, ``clear scope``, of each position for itself with which. As many as commands.
"""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One case. ``outcomes`` has one for each command."""

    control: str
    case: str
    limits: str
    before: str
    done: str
    outcomes: tuple[str, ...]
    words: str

    @property
    def verb(self) -> str:
        """What is done: bulk, or the one thing."""
        first = self.done.split()
        return first[2] if first[1:2] == ["x"] else first[0]

    @property
    def bulk(self) -> bool:
        """Whether it is done in one message."""
        return self.done.startswith("bulk ")


def rows(control: str) -> list[Row]:
    """The rows of a section."""
    return [
        _row(control, line)
        for line in SCENARIOS[control].strip().splitlines()
        if not line.strip().startswith("#")
    ]


def every_row() -> list[Row]:
    """The rows of all sections."""
    return [row for control in SCENARIOS for row in rows(control)]


def _row(control: str, line: str) -> Row:
    case, limits, before, done, comes, words = (part.strip() for part in line.split("|"))
    outcomes: list[str] = []
    for part in comes.split(" + "):
        times, _, what = part.partition(" x ")
        outcomes += [what] * int(times) if what else [part]
    return Row(control, case, limits, before, done, tuple(outcomes), words)


# fmt: off
SCENARIOS: Final[dict[str, str]] = {
    "max_order_quantity": """
        below         | global 1   |                                               | place buy 0.999 @50000                       | ok                           | 0.999 BTC of at most 1
        at            | global 1   |                                               | place buy 1 @50000                           | ok                           | 1 BTC of at most 1
        above         | global 1   |                                               | place buy 1.001 @50000                       | MAX_ORDER_QUANTITY           | a thousandth of a BTC too much
        above         | global 1   |                                               | place sell 1.001 @50000                      | MAX_ORDER_QUANTITY           | a sell as a buy
        above         | global 1   |                                               | place buy 1.001 @100 of new                  | MAX_ORDER_QUANTITY           | it takes no mark to see that
        below         | global 1   | works buy 0.5 @50000                          | amend 0.999                                  | ok                           | amended from 0.5 BTC to 0.999 of at most 1
        at            | global 1   | works buy 0.5 @50000                          | amend 1                                      | ok                           | amended to 1 BTC of at most 1
        above         | global 1   | works buy 0.5 @50000                          | amend 1.001                                  | MAX_ORDER_QUANTITY           | amended to a thousandth of a BTC too much
        above         | global 1   | works buy 2 @50000; filled 1.5 @50000; limits | amend 2.001                                  | MAX_ORDER_QUANTITY           | what is filled of an order is part of it: 2.001 BTC in all, of at most 1
        above lowered | global 1   | works buy 3 @50000; limits                    | amend 2                                      | ok                           | an order of 3 BTC from before the limit may be brought nearer to it, to 2
        above         | global 1   | works buy 3 @50000; limits                    | amend @49999                                 | MAX_ORDER_QUANTITY           | but it gets no other price, not even a lower one
        above         | global 1   | works buy 3 @50000; limits                    | amend 2 @50001                               | MAX_ORDER_QUANTITY           | nor with less of it
        above         | global 1   | works buy 3 @50000; limits                    | cancel                                       | ok                           | a cancel is never refused
        at and above  | global 1   |                                               | bulk place buy 1 @50000 + place buy 1.001 @50000 + place buy 0.999 @50000 | ok + MAX_ORDER_QUANTITY + ok | in bulk each order is looked at for itself
        at and above  | global 1   | works buy 0.5 @50000; works buy 0.5 @50000    | bulk amend #1 1.001 + amend #2 1             | MAX_ORDER_QUANTITY + ok      | in bulk each amend is looked at for itself
        above         | global 0   |                                               | place buy 0.001 @50000                       | MAX_ORDER_QUANTITY           | zero lets nothing through: it is not off
        at and above  | global 1   | holds main 60000 USDT of perp                 | place buy 1 @50000 of tenth + place buy 2 @50000 of tenth | ok + MAX_ORDER_QUANTITY      | of futures it is contracts: 1 is, 2 are too many
        off           | global off |                                               | place buy 3 @50000                           | ok                           | off is said in words, and lets any quantity through
    """,
    "max_order_value": """
        below         | global 50000    |                                            | place buy 1 @49999.99                        | ok                            | 1 BTC at 49,999.99 USDT is 49,999.99 USD of at most 50,000
        at            | global 50000    |                                            | place buy 1 @50000                           | ok                            | 1 BTC at 50,000 USDT is 50,000 USD of at most 50,000
        above         | global 50000    |                                            | place buy 1 @50000.01                        | MAX_ORDER_VALUE               | a cent above 50,000 USD
        above         | global 50000    |                                            | place buy 1.001 @50000                       | MAX_ORDER_VALUE               | 1.001 BTC at 50,000 USDT is 50,050 USD
        at            | global 40000    |                                            | place buy 1 @40000                           | ok                            | a buy below the mark is worth its own price: 40,000 USD
        above         | global 39999.99 |                                            | place buy 1 @40000                           | MAX_ORDER_VALUE               | 40,000 USD, a cent above
        at            | global 50000    |                                            | place sell 1 @40000                          | ok                            | a sell trades at its price or better, so at the mark of 50,000 USDT here
        above         | global 49999.99 |                                            | place sell 1 @40000                          | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 60000    |                                            | place sell 1 @60000                          | ok                            | a sell above the mark is worth its own price: 60,000 USD
        above         | global 59999.99 |                                            | place sell 1 @60000                          | MAX_ORDER_VALUE               | the same, a cent above
        above         | global 50000    |                                            | place sell 1 @50000.01                       | MAX_ORDER_VALUE               | a cent above the mark already
        at            | global 50000    |                                            | place buy 1 market                           | ok                            | a market order is worth the mark: 50,000 USD
        above         | global 49999.99 |                                            | place buy 1 market                           | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 60000    |                                            | place buy 1 stop 60000                       | ok                            | a stop-market buy is worth its trigger: 60,000 USD
        above         | global 59999.99 |                                            | place buy 1 stop 60000                       | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 50000    |                                            | place buy 1 stop 40000                       | ok                            | one that triggers at once is worth the mark: 50,000 USD
        above         | global 49999.99 |                                            | place buy 1 stop 40000                       | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 50000    |                                            | place sell 1 stop 40000                      | ok                            | a stop-market sell below the mark is worth the mark: 50,000 USD
        above         | global 49999.99 |                                            | place sell 1 stop 40000                      | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 61000    |                                            | place buy 1 @61000 stop 60000                | ok                            | a stop-limit order is worth its price, and not its trigger: 61,000 USD
        above         | global 60999.99 |                                            | place buy 1 @61000 stop 60000                | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 50000    | valued USDT 0.5                            | place buy 2 @50000                           | ok                            | at half a USD a USDT, 2 BTC at 50,000 USDT are 50,000 USD
        above         | global 50000    | valued USDT 0.5                            | place buy 2 @50000.01                        | MAX_ORDER_VALUE               | the same, a cent above
        at            | global 50000    | holds main 60000 USDT of perp              | place buy 10 @50000 of tenth                 | ok                            | 10 contracts of 0.1 BTC at 50,000 USDT are 50,000 USD
        above         | global 50000    | holds main 60000 USDT of perp              | place buy 10 @50000.01 of tenth              | MAX_ORDER_VALUE               | the same, a cent above
        below         | global 50000    | works buy 0.5 @50000                       | amend 0.999                                  | ok                            | amended to 0.999 BTC at 50,000 USDT: 49,950 USD
        at            | global 50000    | works buy 0.5 @50000                       | amend 1                                      | ok                            | amended to 1 BTC at 50,000 USDT: 50,000 USD
        above         | global 50000    | works buy 0.5 @50000                       | amend 1.001                                  | MAX_ORDER_VALUE               | amended to 1.001 BTC at 50,000 USDT: 50,050 USD
        below         | global 50000    | works buy 1 @40000                         | amend @49999.99                              | ok                            | amended to 49,999.99 USDT for 1 BTC
        at            | global 50000    | works buy 1 @40000                         | amend @50000                                 | ok                            | amended to 50,000 USDT for 1 BTC
        above         | global 50000    | works buy 1 @40000                         | amend @50000.01                              | MAX_ORDER_VALUE               | amended to a cent too much
        above lowered | global 50000    | works buy 3 @50000; limits                 | amend 2                                      | ok                            | an order of 150,000 USD from before the limit may be brought nearer to it, to 100,000
        above         | global 50000    | works buy 3 @50000; limits                 | amend @49999                                 | MAX_ORDER_VALUE               | but it gets no other price
        above         | global 50000    | works buy 3 @50000; limits                 | cancel                                       | ok                            | a cancel is never refused
        at and above  | global 50000    |                                            | bulk place buy 1 @50000 + place buy 1 @50000.01 + 2 x place buy 1 @49999.99 | ok + MAX_ORDER_VALUE + 2 x ok | in bulk each order is looked at for itself
        at and above  | global 50000    | works buy 0.5 @50000; works buy 0.5 @50000 | bulk amend #1 1.001 + amend #2 1             | MAX_ORDER_VALUE + ok          | in bulk each amend is looked at for itself
        above         | global 0        |                                            | place buy 0.001 @5000                        | MAX_ORDER_VALUE               | zero lets nothing through
        no mark       | global 9000000  |                                            | place buy 1 @100 of new                      | NO_REFERENCE_PRICE            | without a mark nothing is waved through, however small
        no rate       | global 9000000  |                                            | place buy 1 @0.05 of ethbtc                  | NO_VALUATION                  | nor is what is settled in BTC, while nobody says what a BTC is worth
        at            | global 2500     | valued BTC 50000                           | place buy 1 @0.05 of ethbtc                  | ok                            | 1 ETH at 0.05 BTC of 50,000 USD each is 2,500 USD
        above         | global 2499.99  | valued BTC 50000                           | place buy 1 @0.05 of ethbtc                  | MAX_ORDER_VALUE               | the same, a cent above
    """,
    "price_collar": """
        below         | global 0.05    |                                | place buy 1 @47500.01                        | ok                                 | 2,499.99 USDT below the mark of 50,000, of which 5 % are 2,500
        at            | global 0.05    |                                | place buy 1 @47500                           | ok                                 | 2,500 USDT below the mark
        above         | global 0.05    |                                | place buy 1 @47499.99                        | PRICE_COLLAR                       | 2,500.01 USDT below the mark
        below         | global 0.05    |                                | place buy 1 @52499.99                        | ok                                 | 2,499.99 USDT above the mark
        at            | global 0.05    |                                | place buy 1 @52500                           | ok                                 | 2,500 USDT above the mark
        above         | global 0.05    |                                | place buy 1 @52500.01                        | PRICE_COLLAR                       | 2,500.01 USDT above the mark
        above         | global 0.05    |                                | place sell 1 @47499.99                       | PRICE_COLLAR                       | a sell as a buy
        off           | global 0.05    |                                | place buy 1 market                           | ok                                 | a market order has no price
        off           | global 0.05    |                                | place buy 1 stop 70000                       | ok                                 | nor has a stop-market order
        at            | global 0.05    |                                | place buy 1 @63000 stop 60000                | ok                                 | a stop-limit order by its trigger: 3,000 USDT above 60,000
        above         | global 0.05    |                                | place buy 1 @63000.01 stop 60000             | PRICE_COLLAR                       | the same, a cent above
        above         | global 0.05    |                                | place sell 1 @37999.99 stop 40000            | PRICE_COLLAR                       | and below: 2,000.01 USDT under 40,000
        at            | global 0.05    | mark 60000                     | place buy 1 @57000                           | ok                                 | the mark is the last one: 3,000 USDT below 60,000
        above         | global 0.05    | mark 60000                     | place buy 1 @56999.99                        | PRICE_COLLAR                       | the same, a cent further
        below         | global 0.05    | works buy 1 @50000             | amend @52499.99                              | ok                                 | amended to 2,499.99 USDT above the mark
        at            | global 0.05    | works buy 1 @50000             | amend @52500                                 | ok                                 | amended to 2,500 USDT above the mark
        above         | global 0.05    | works buy 1 @50000             | amend @52500.01                              | PRICE_COLLAR                       | amended to 2,500.01 USDT above the mark
        above         | global 0.05    | works buy 1 @50000             | amend @47499.99                              | PRICE_COLLAR                       | amended to 2,500.01 USDT below the mark
        above         | global 0.05    | works buy 1 @60000 stop 60000  | amend @63000.01                              | PRICE_COLLAR                       | a stop-limit order by its trigger still
        above         | global 0.05    | works buy 1 @50000; mark 60000 | amend 2                                      | PRICE_COLLAR                       | more at a price that the mark has left behind
        above lowered | global 0.05    | works buy 1 @50000; mark 60000 | amend 0.5                                    | ok                                 | less at such a price
        above         | global 0.05    | works buy 1 @50000; mark 60000 | cancel                                       | ok                                 | a cancel is never refused
        at and above  | global 0.05    |                                | bulk place buy 1 @47500 + place buy 1 @47499.99 + place buy 1 @52500 + place buy 1 @52500.01 | ok + PRICE_COLLAR + ok + PRICE_COLLAR | in bulk each order is looked at for itself
        at and above  | global 0.05    | 2 x works buy 1 @50000         | bulk amend #1 @52500.01 + amend #2 @52500    | PRICE_COLLAR + ok                  | in bulk each amend is looked at for itself
        at            | global 0       |                                | place buy 1 @50000                           | ok                                 | zero lets the mark through …
        above         | global 0       |                                | place buy 1 @50000.01                        | PRICE_COLLAR                       | … and nothing beside it
        no mark       | global 1       |                                | place buy 1 @100 of new                      | NO_REFERENCE_PRICE                 | without a mark no price is near it
    """,
    "period_collar": """
        below         | global 0.1     |                                           | place buy 1 @54999.99                        | ok                                 | 4,999.99 USDT above the 50,000 that the period began with, of which 10 % are 5,000
        at            | global 0.1     |                                           | place buy 1 @55000                           | ok                                 | 5,000 USDT above
        above         | global 0.1     |                                           | place buy 1 @55000.01                        | PERIOD_COLLAR                      | 5,000.01 USDT above
        below         | global 0.1     |                                           | place sell 1 @45000.01                       | ok                                 | 4,999.99 USDT below
        at            | global 0.1     |                                           | place sell 1 @45000                          | ok                                 | 5,000 USDT below
        above         | global 0.1     |                                           | place sell 1 @44999.99                       | PERIOD_COLLAR                      | 5,000.01 USDT below
        at            | global 0.1     | wait 1s; mark 55000                       | place buy 1 market                           | ok                                 | a market order by the mark, which is 5,000 USDT above
        above         | global 0.1     | wait 1s; mark 55000.01                    | place buy 1 market                           | PERIOD_COLLAR                      | by the mark, which is 5,000.01 USDT above
        above reducing | global 0.1     | bought 1 @50000; wait 1s; mark 44000      | place sell 1 market + place sell 0.001 market | ok + PERIOD_COLLAR                 | 6,000 USDT below: what brings the position to zero at the market gets out, and what turns it does not
        above reducing | global 0.1     | sold 1 @50000; wait 1s; mark 56000        | place buy 1 market                           | ok                                 | a buy as a sell
        above reducing | global 0.1     | holds main 60000 USDT of perp; bought 1 @50000 of perp; wait 1s; mark 44000 of perp | place sell 1 market reduce-only of perp      | ok                                 | what the venue holds to reducing
        above         | global 0.1     | bought 1 @50000; wait 1s; mark 44000      | place sell 1 @44000                          | PERIOD_COLLAR                      | who names a price is held to it
        above reducing | strategy 0.1   | bought 0.1 @50000 by arb; bought 1 @50000; wait 1s; mark 44000 | place sell 0.101 market by arb + place sell 0.1 market by arb | PERIOD_COLLAR + ok                 | of a strategy its own part of it
        above reducing | strategy 0.2; account 0.1 | bought 1 @50000; wait 1s; mark 44000      | place sell 1 market by arb                   | ok                                 | of a strategy's collar that does not stand against it, nothing is asked
        above reducing | global 0.1     | bought 1 @50000; works sell 0.5 market; wait 1s; mark 44000 | amend 1 + cancel                             | ok + ok                            | more of an order at the market as well
        above         | global 0.1     | wait 1s; mark 60000                       | place buy 1 @60000                           | PERIOD_COLLAR                      | the market itself has gone too far: 10,000 USDT within a second
        above         | global 0.1     | wait 299.999999999s; mark 60000           | place buy 1 @60000                           | PERIOD_COLLAR                      | a period lasts 5 minutes: 50,000 is still what it began with
        at            | global 0.1     | wait 300s; mark 60000                     | place buy 1 @66000                           | ok                                 | the first mark after 5 minutes begins another: 6,000 USDT above 60,000
        above         | global 0.1     | wait 300s; mark 60000                     | place buy 1 @66000.01                        | PERIOD_COLLAR                      | a cent further from 60,000
        off           | global 0.1     |                                           | place buy 1 @70000 stop 70000                | ok                                 | a stop order is for another time
        below         | global 0.1     | works buy 1 @50000                        | amend @54999.99                              | ok                                 | amended to 4,999.99 USDT above
        at            | global 0.1     | works buy 1 @50000                        | amend @55000                                 | ok                                 | amended to 5,000 USDT above
        above         | global 0.1     | works buy 1 @50000                        | amend @55000.01                              | PERIOD_COLLAR                      | amended to 5,000.01 USDT above
        above lowered | global 0.1     | works buy 1 @50000; wait 300s; mark 60000 | amend 0.5                                    | ok                                 | less at a price that was left behind
        above         | global 0.1     | works buy 1 @50000; wait 300s; mark 60000 | amend 2                                      | PERIOD_COLLAR                      | more at such a price
        above         | global 0.1     | works buy 1 @50000; wait 300s; mark 60000 | cancel                                       | ok                                 | a cancel is never refused
        at and above  | global 0.1     |                                           | bulk place buy 1 @55000 + place buy 1 @55000.01 + place buy 1 @45000 + place buy 1 @44999.99 | ok + PERIOD_COLLAR + ok + PERIOD_COLLAR | in bulk each order is looked at for itself
        at and above  | global 0.1     | 2 x works buy 1 @50000                    | bulk amend #1 @55000.01 + amend #2 @55000    | PERIOD_COLLAR + ok                 | in bulk each amend is looked at for itself
        no mark       | global 1       |                                           | place buy 1 @100 of new                      | NO_REFERENCE_PRICE                 | without a mark no price is near it
    """,
    "max_price_age": """
        below           | global 15s | wait 14.999999999s                     | place buy 1 @50000          | ok                 | a mark of nearly 15 s ago
        at              | global 15s | wait 15s                               | place buy 1 @50000          | ok                 | a mark of 15 s ago
        above           | global 15s | wait 15.000000001s                     | place buy 1 @50000          | STALE_PRICE        | a nanosecond older
        above           | global 15s | wait 15.000000001s                     | place sell 1 market         | STALE_PRICE        | for a market order as for a limit
        above           | global 15s | bought 1 @50000; wait 15.000000001s    | place sell 1 @50000         | STALE_PRICE        | what brings a position of 50,000 USD to zero needs a mark as well
        below           | global 15s | wait 1h; mark 50000                    | place buy 1 @50000          | ok                 | the same mark told again is a new one
        above           | global 15s | wait 1h; mark 2500 of eth              | place buy 1 @50000          | STALE_PRICE        | another instrument's does not help
        below           | global 15s | works buy 1 @50000; wait 14.999999999s | amend 2                     | ok                 | amended by a mark of nearly 15 s ago
        at              | global 15s | works buy 1 @50000; wait 15s           | amend 2                     | ok                 | by a mark of 15 s ago
        above           | global 15s | works buy 1 @50000; wait 15.000000001s | amend 2                     | STALE_PRICE        | by a mark a nanosecond older
        above           | global 15s | works buy 1 @50000; wait 15.000000001s | amend @49999                | STALE_PRICE        | another price as well
        above lowered   | global 15s | works buy 1 @50000; wait 15.000000001s | amend 0.5                   | ok                 | less needs no mark
        above           | global 15s | works buy 1 @50000; wait 15.000000001s | cancel                      | ok                 | a cancel needs none
        at              | global 15s | wait 15s                               | bulk 3 x place buy 1 @50000 | 3 x ok             | in bulk all by the same mark
        above           | global 15s | wait 15.000000001s                     | bulk 3 x place buy 1 @50000 | 3 x STALE_PRICE    | in bulk all by the same mark, or none
        above           | global 15s | works buy 1 @50000; wait 15.000000001s | bulk amend 2 + amend 0.5    | STALE_PRICE + ok   | amends in bulk alike
        no mark         | global 15s |                                        | place buy 1 @100 of new     | NO_REFERENCE_PRICE | no mark at all
        no mark         | global 1h  |                                        | place buy 1 market of new   | NO_REFERENCE_PRICE | nor for a market order
        no mark         | global 15s | works buy 1 @100 of new; limits        | amend 2                     | NO_REFERENCE_PRICE | nor for an amend
        no mark lowered | global 15s | works buy 1 @100 of new; limits        | amend 0.5                   | ok                 | less needs no mark
        no mark         | global 15s | works buy 1 @100 of new; limits        | cancel                      | ok                 | a cancel needs none
        no rate         | global 15s |                                        | place buy 1 @0.05 of ethbtc | NO_VALUATION       | a mark in BTC says nothing while nobody says what a BTC is worth
        rate at         | global 15s | valued BTC by BTCUSDT; wait 15s; mark 0.05 of ethbtc             | place buy 1 @0.05 of ethbtc | ok                 | a mark of now, and a BTC valued by a mark of 15 s ago
        rate above      | global 15s | valued BTC by BTCUSDT; wait 15.000000001s; mark 0.05 of ethbtc   | place buy 1 @0.05 of ethbtc | STALE_PRICE        | valued by one a nanosecond older: what it is worth in USD is as old as that
        rate above      | global 15s | valued BTC by BTCUSDT; works buy 1 @0.05 of ethbtc; wait 15.000000001s; mark 0.05 of ethbtc | amend 2                     | STALE_PRICE        | amended alike
        rate below      | global 15s | valued BTC by BTCUSDT; wait 1h; mark 0.05 of ethbtc; mark 50000  | place buy 1 @0.05 of ethbtc | ok                 | the same mark told again values anew
        rate fixed      | global 15s | valued BTC 50000; wait 1h; mark 0.05 of ethbtc                   | place buy 1 @0.05 of ethbtc | ok                 | a fixed rate does not get old
        rate fixed      | global 15s | valued BTC by BTCUSDT; valued BTC 50000; wait 1h; mark 0.05 of ethbtc | place buy 1 @0.05 of ethbtc | ok                 | from when on it is one
        rate of another | global 15s | valued ETH by ETHUSDT; wait 1h; mark 50000                       | place buy 1 @50000          | ok                 | what a BTCUSDT order settles in is no ETH
        rate off        | instrument 15s | valued BTC by BTCUSDT; wait 1h; mark 0.05 of ethbtc          | place buy 1 @0.05 of ethbtc | ok                 | no age is asked for of ETHBTC here
        off             | global off | wait 1h                                | place buy 1 @50000          | ok                 | a mark of an hour ago, by word
    """,
    "duplicate_window": """
        below | global 1s                   | sent buy 1 @50000; wait 0.999999999s                           | place buy 1 @50000                           | DUPLICATE_ORDER               | the same 1 BTC at 50,000 USDT, nearly 1 s later
        at    | global 1s                   | sent buy 1 @50000; wait 1s                                     | place buy 1 @50000                           | ok                            | the same, 1 s later
        above | global 1s                   | sent buy 1 @50000; wait 1.000000001s                           | place buy 1 @50000                           | ok                            | the same, more than 1 s later
        below | global 1s                   | sent buy 1 @50000                                              | place buy 1 @50000                           | DUPLICATE_ORDER               | at the same moment
        below | global 1s                   | bought 1 @50000                                                | place buy 1 @50000                           | DUPLICATE_ORDER               | whatever has become of the first
        other | global 1s                   | sent buy 1 @50000                                              | place buy 1 @50000.01                        | ok                            | another price
        other | global 1s                   | sent buy 1 @50000                                              | place buy 1.001 @50000                       | ok                            | another quantity
        other | global 1s                   | sent buy 1 @50000                                              | place sell 1 @50000                          | ok                            | another side
        other | global 1s                   | sent buy 1 @50000                                              | place buy 1 market                           | ok                            | another type
        other | global 1s                   | sent buy 1 @50000 stop 50001                                   | place buy 1 @50000 stop 50002                | ok                            | another trigger
        other | global 1s                   | sent buy 1 @50000                                              | place buy 1 @50000 by arb                    | ok                            | another strategy
        other | global 1s                   | sent buy 1 @50000                                              | place buy 1 @50000 on sub                    | ok                            | another account
        other | global 1s                   | sent buy 1 @2500                                               | place buy 1 @2500 of eth                     | ok                            | another instrument
        at    | global 1s                   | sent buy 1 @50000; wait 600ms; denied buy 1 @50000; wait 400ms | place buy 1 @50000                           | ok                            | what was denied as a duplicate makes the wait no longer …
        below | global 1s                   | sent buy 1 @50000; wait 1s; sent buy 1 @50000; wait 999ms      | place buy 1 @50000                           | DUPLICATE_ORDER               | … and what was let through begins it anew
        below | global 1s; instrument 100ms | sent buy 1 @50000; wait 500ms                                  | place buy 1 @50000                           | DUPLICATE_ORDER               | of two scopes the longer window holds …
        below | global 100ms; instrument 1s | sent buy 1 @50000; wait 500ms                                  | place buy 1 @50000                           | DUPLICATE_ORDER               | … whichever says it
        never | global 1s                   | works buy 1 @50000                                             | amend 2                                      | ok                            | an amend is no order
        never | global 1s                   | works buy 1 @50000                                             | cancel                                       | ok                            | nor is a cancel
        below | global 1s                   |                                                                | bulk 3 x place buy 1 @50000 + place buy 1 @50000.01 | ok + 2 x DUPLICATE_ORDER + ok | in bulk the first of those alike
    """,
    "restricted": """
        on  | instrument on             |                            | place buy 1 @50000          | RESTRICTED     | the instrument is
        on  | account on                |                            | place buy 1 @50000          | RESTRICTED     | the account is
        on  | strategy on               |                            | place buy 1 @50000 by arb   | RESTRICTED     | the strategy is
        on  | exchange on               |                            | place buy 1 @50000          | RESTRICTED     | the exchange is
        on  | instrument on             | bought 1 @50000; limits    | place sell 1 @50000         | RESTRICTED     | what brings a position of 50,000 USD to zero as well
        off | instrument on             |                            | place buy 1 @2500 of eth    | ok             | another instrument is not
        off | account on                |                            | place buy 1 @50000 on sub   | ok             | another account is not
        off | global off                |                            | place buy 1 @50000          | ok             | nothing is
        off | global on; instrument off |                            | place buy 1 @50000          | RESTRICTED     | one scope's on is no other scope's off
        on  | instrument on             | works buy 1 @50000; limits | amend 2                     | RESTRICTED     | nor is anything amended …
        on  | instrument on             | works buy 1 @50000; limits | amend 0.5                   | RESTRICTED     | … not even to less
        on  | instrument on             | works buy 1 @50000; limits | cancel                      | ok             | a cancel is never refused
        on  | instrument on             |                            | bulk 3 x place buy 1 @50000 | 3 x RESTRICTED | in bulk none goes
    """,
    "reduce_only": """
        on    | account on  |                                                                  | place buy 1 @50000                           | REDUCE_ONLY_MODE           | with nothing held a buy opens
        on    | account on  |                                                                  | place sell 1 @50000                          | REDUCE_ONLY_MODE           | as a sell does
        below | account on  | bought 1 @50000; limits                                          | place sell 0.999 @50000                      | ok                         | 0.999 BTC of 1 that is held
        at    | account on  | bought 1 @50000; limits                                          | place sell 1 @50000                          | ok                         | all of 1 BTC
        above | account on  | bought 1 @50000; limits                                          | place sell 1.001 @50000                      | REDUCE_ONLY_MODE           | would leave the account short of a thousandth
        on    | account on  | bought 1 @50000; limits                                          | place buy 0.001 @50000                       | REDUCE_ONLY_MODE           | the other way it adds
        below | account on  | sold 1 @50000; limits                                            | place buy 0.999 @50000                       | ok                         | of 1 BTC that is owed
        at    | account on  | sold 1 @50000; limits                                            | place buy 1 @50000                           | ok                         | all of it
        above | account on  | sold 1 @50000; limits                                            | place buy 1.001 @50000                       | REDUCE_ONLY_MODE           | a thousandth too much
        at    | account on  | bought 1 @50000; works sell 0.4 @50000; limits                   | place sell 0.6 @50000                        | ok                         | with 0.4 BTC that works on that side already, 0.6 are left
        above | account on  | bought 1 @50000; works sell 0.4 @50000; limits                   | place sell 0.601 @50000                      | REDUCE_ONLY_MODE           | and 0.601 are too many
        at    | account on  | bought 1 @50000; works buy 1 @40000; limits                      | place sell 1 @50000                          | ok                         | what works on the other side does not count
        above | account on  | bought 1 @50000; sent sell 0.4 @50000; doubt; limits             | place sell 0.601 @50000                      | REDUCE_ONLY_MODE           | what is in doubt counts
        at    | account on  | bought 1 @50000 by arb; limits                                   | place sell 1 @50000                          | ok                         | it is the account's position, whoever traded it
        above | account on  | bought 1 @50000 on sub; limits                                   | place sell 1 @50000                          | REDUCE_ONLY_MODE           | another account's is not
        at    | strategy on | bought 0.1 @50000 by arb; bought 1 @50000; limits                | place sell 0.101 @50000 by arb + place sell 0.1 @50000 by arb | REDUCE_ONLY_MODE + ok | of a strategy its own part of it
        at    | strategy on | holds main 50000 USDT of perp; bought 0.1 @50000 of perp by arb; bought 0.4 @50000 of perp; limits | place sell 0.2 @50000 reduce-only of perp by arb + place sell 0.1 @50000 reduce-only of perp by arb | REDUCE_ONLY_MODE + ok | whatever the venue would hold to reducing
        at    | account on  | holds main 50000 USDT of perp; bought 0.5 @50000 of perp; limits | place sell 0.5 @50000 reduce-only of perp    | ok                         | what the venue holds to reducing
        below | account on  | bought 1 @50000; works sell 0.5 @50000; limits                   | amend 0.999                                  | ok                         | amended from 0.5 BTC to 0.999 of the 1 that is held
        at    | account on  | bought 1 @50000; works sell 0.5 @50000; limits                   | amend 1                                      | ok                         | amended to all of it
        above | account on  | bought 1 @50000; works sell 0.5 @50000; limits                   | amend 1.001                                  | REDUCE_ONLY_MODE           | amended to a thousandth too much
        at    | account on  | bought 1 @50000; works sell 1 @50000; limits                     | amend @49999                                 | ok                         | another price
        on    | account on  | works buy 1 @50000; limits                                       | amend 2                                      | REDUCE_ONLY_MODE           | what opens gets no more
        on    | account on  | works buy 1 @50000; limits                                       | amend 0.5                                    | REDUCE_ONLY_MODE           | of what opens not even less is asked for: it is cancelled
        on    | strategy on | sold 2 @50000; works buy 1 @49000 by arb; limits                 | amend @50000 + amend 0.5                     | REDUCE_ONLY_MODE + REDUCE_ONLY_MODE | of a strategy what opens its own part, though it brings the account's position nearer to zero
        on    | strategy on | holds main 90000 USDT of perp; sold 1 @50000 of perp; works buy 1 @49000 reduce-only of perp by arb; limits | amend @50000                                 | REDUCE_ONLY_MODE           | whatever the venue would hold to reducing
        on    | strategy on | sold 1 @50000 by arb; works buy 1 @49000 by arb; limits          | amend @50000 + cancel                        | ok + ok                    | and what closes it gets another price
        on    | hand on     | sold 1 @50000 by arb; works buy 1 @49000; limits                 | amend @50000                                 | ok                         | by hand what any strategy has is closed
        on    | account on  | works buy 1 @50000; limits                                       | cancel                                       | ok                         | a cancel is never refused
        on    | account on  | bought 1 @50000; limits                                          | bulk 3 x place sell 0.4 @50000               | 2 x ok + REDUCE_ONLY_MODE  | in bulk 0.8 BTC of 1: a third 0.4 would be too much
        on    | account on  | bought 1 @50000; 2 x works sell 0.3 @50000; limits               | bulk amend #2 0.6 + amend #3 0.5 + amend #3 0.4 | ok + REDUCE_ONLY_MODE + ok | amends in bulk: 0.6 BTC and 0.4 of 1
        off   | account off |                                                                  | place buy 1 @50000                           | ok                         | off lets anything through
    """,
    "self_trade": """
        below | global cancel_incoming                       | works sell 1 @50000                                           | place buy 1 @49999.99                        | ok                                | a buy at a cent less than ours sells for
        at    | global cancel_incoming                       | works sell 1 @50000                                           | place buy 1 @50000                           | SELF_TRADE                        | a buy at what ours sells for; ours stays
        above | global cancel_incoming                       | works sell 1 @50000                                           | place buy 1 @50000.01                        | SELF_TRADE                        | or for more
        below | global cancel_incoming                       | works buy 1 @50000                                            | place sell 1 @50000.01                       | ok                                | a sell at a cent more than ours buys for
        at    | global cancel_incoming                       | works buy 1 @50000                                            | place sell 1 @50000                          | SELF_TRADE                        | a sell at what ours buys for
        above | global cancel_incoming                       | works buy 1 @50000                                            | place sell 1 market                          | SELF_TRADE                        | a market order takes any price
        at    | global cancel_incoming                       | works sell 1 @50000 on sub                                    | place buy 1 @50000                           | SELF_TRADE                        | another account is ours as well
        at    | global cancel_incoming                       | sent sell 1 @50000; doubt                                     | place buy 1 @50000                           | SELF_TRADE                        | so is what is in doubt
        at    | global cancel_incoming                       | holds main 50000 USDT of perp; works sell 1 @50000            | place buy 0.5 @50000 of perp                 | ok                                | another market trades with nobody here
        at    | global cancel_incoming                       | works sell 1 @50000; gone                                     | place buy 1 @50000                           | ok                                | nor does what is gone
        at    | global cancel_incoming                       | works sell 1 @50000                                           | place buy 1 @50000 stop 49999                | ok                                | a stop order rests nowhere
        at    | global cancel_incoming                       | works sell 1 @50000                                           | place buy 1 @50000 post-only                 | ok                                | the venue lets no post-only order trade
        below | global cancel_resting                        | works sell 1 @50000                                           | place buy 1 @49999.99                        | ok                                | the same, told to cancel what rests
        at    | global cancel_resting                        | works sell 1 @50000                                           | place buy 1 @50000                           | waits, 1 to cancel                | what rests is cancelled, and the new order waits for that
        above | global cancel_resting                        | works sell 1 @50000; works sell 1 @50001; works sell 1 @50002 | place buy 1 @50001                           | waits, 2 to cancel                | all that it would trade with, and no other
        at    | global cancel_resting                        | works sell 1 @50000; sent buy 1 @50000                        | place sell 1 @50000                          | SELF_TRADE                        | what waits itself is not cancelled for another
        below | global cancel_both                           | works sell 1 @50000                                           | place buy 1 @49999.99                        | ok                                | the same, told to cancel both
        at    | global cancel_both                           | works sell 1 @50000                                           | place buy 1 @50000                           | SELF_TRADE, 1 to cancel           | neither is left
        off   | global off                                   | works sell 1 @50000                                           | place buy 1 @50000                           | ok                                | off lets them trade
        at    | global cancel_resting; account cancel_incoming | works sell 1 @50000                                           | place buy 1 @50000                           | SELF_TRADE                        | of several scopes: cancel_incoming before cancel_resting
        at    | global cancel_both; account cancel_incoming  | works sell 1 @50000                                           | place buy 1 @50000                           | SELF_TRADE, 1 to cancel           | and cancel_both before both
        at    | global off; instrument cancel_resting        | works sell 1 @50000                                           | place buy 1 @50000                           | waits, 1 to cancel                | and any before off
        below | global cancel_both                           | works sell 1 @50000; works buy 1 @49000                       | amend @49999.99                              | ok                                | amended to a cent less than ours sells for
        at    | global cancel_both                           | works sell 1 @50000; works buy 1 @49000                       | amend @50000                                 | SELF_TRADE                        | amended to what ours sells for: nothing is cancelled for an amend
        above | global cancel_both                           | works sell 1 @50000; works buy 1 @49000                       | amend @50000.01                              | SELF_TRADE                        | or more
        at    | global cancel_resting                        | works sell 1 @50000; sent buy 1 @50000                        | cancel                                       | ok                                | a cancel is never refused
        at    | global cancel_incoming                       | works sell 1 @50000                                           | cancel                                       | ok                                | a cancel is never refused
        at    | global cancel_incoming                       |                                                               | bulk place sell 1 @50000 + place buy 1 @50000 + place buy 1 @49999.99 + place sell 1 @49999.99 | ok + SELF_TRADE + ok + SELF_TRADE | in bulk each is held against those before it
    """,
    "unassigned_strategies": """
        deny  | global deny  |                                              | place buy 1 @50000 by mm                     | STRATEGY_UNASSIGNED      | mm is assigned to no account
        deny  | global deny  |                                              | place buy 1 @50000 by arb                    | ok                       | arb is assigned to this one
        deny  | global deny  |                                              | place buy 1 @50000                           | ok                       | an order of no strategy is by hand
        allow | global allow |                                              | place buy 1 @50000 by mm                     | ok                       | whoever may trade
        deny  | global deny  | works buy 1 @50000 by arb; unassign arb main | amend 0.5                                    | STRATEGY_UNASSIGNED      | arb was taken from its account
        deny  | global deny  | works buy 1 @50000 by arb; unassign arb main | cancel                                       | ok                       | a cancel is never refused
        deny  | global deny  | appeared buy 1 @50000                        | amend 0.5                                    | ok                       | an order that was found at the venue is by hand too
        deny  | global deny  |                                              | bulk place buy 1 @50000 by mm + place buy 1 @50000 by arb | STRATEGY_UNASSIGNED + ok | in bulk each for itself
    """,
    "max_leverage": """
        below          | global 5 |                                                                  | leverage 4.99                                | ok                      | 4.99 times of at most 5 may be set
        at             | global 5 |                                                                  | leverage 5                                   | ok                      | 5 times may be set
        above          | global 5 |                                                                  | leverage 5.01                                | MAX_LEVERAGE            | 5.01 times may not
        below          | global 5 | holds main 50000 USDT of perp; leverage 4.99                     | place buy 1 @50000 of perp                   | ok                      | the symbol is at 4.99 at the venue
        at             | global 5 | holds main 50000 USDT of perp; leverage 5                        | place buy 1 @50000 of perp                   | ok                      | at 5
        above          | global 5 | holds main 50000 USDT of perp; leverage 5.01                     | place buy 1 @50000 of perp                   | MAX_LEVERAGE            | at 5.01, however small the order: a person has set it at the venue
        above reducing | global 5 | holds main 50000 USDT of perp; bought 1 @50000 of perp; leverage 5.01 | place sell 1 @50000 of perp                  | ok                      | what brings a position of 50,000 USD to zero is let through
        above          | global 5 | holds main 50000 USDT of perp; bought 1 @50000 of perp; leverage 5.01 | place sell 1.001 @50000 of perp              | MAX_LEVERAGE            | what turns it is not
        above          | global 5 | holds main 50000 USDT of perp; leverage 5.01                     | place buy 1 @50000                           | ok                      | spot has no leverage
        none           | global 5 | holds main 50000 USDT of perp                                    | place buy 1 @50000 of perp + place buy 0.001 @50000 of perp | ok + INSUFFICIENT_FUNDS | the venue has told no leverage: an order of 50,000 USD holds all of its 50,000 USDT
        below          | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 4.99 | amend 0.6                                    | ok                      | more of an order, at 4.99
        at             | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 5 | amend 0.6                                    | ok                      | at 5
        above          | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 5.01 | amend 0.6                                    | MAX_LEVERAGE            | at 5.01
        above          | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 5.01 | amend @49999                                 | MAX_LEVERAGE            | another price is another order
        above lowered  | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 5.01 | amend 0.4                                    | ok                      | less of it
        above          | global 5 | holds main 50000 USDT of perp; works buy 0.5 @50000 of perp; leverage 5.01 | cancel                                       | ok                      | a cancel is never refused
        at             | global 5 | holds main 50000 USDT of perp; leverage 5                        | bulk 3 x place buy 1 @50000 of perp          | 3 x ok                  | in bulk, 10,000 USDT of margin each
        above          | global 5 | holds main 50000 USDT of perp; leverage 5.01                     | bulk 3 x place buy 1 @50000 of perp          | 3 x MAX_LEVERAGE        | in bulk none goes
    """,
    "max_margin_ratio": """
        below          | global 0.8  | holds main 10000 USDT of perp; leverage 10                                    | place buy 1.599 @50000 of perp        | ok                        | 1.599 BTC at 10 times hold 7,995 USDT as margin, of an equity of 10,000
        at             | global 0.8  | holds main 10000 USDT of perp; leverage 10                                    | place buy 1.6 @50000 of perp          | ok                        | 8,000 of 10,000 USDT
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10                                    | place buy 1.601 @50000 of perp        | MARGIN_RATIO              | 8,005 of 10,000 USDT: an order is held to what it holds itself
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10                                    | place sell 1.601 @50000 of perp       | MARGIN_RATIO              | a sell as a buy
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10                                    | place buy 1.53 market of perp         | MARGIN_RATIO              | at the market 5 % more are set aside: 8,032.50
        below          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.499 @50000 of perp    | place buy 0.1 @50000 of perp          | ok                        | 7,495 USDT are held, and 500 more
        at             | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.5 @50000 of perp      | place buy 0.1 @50000 of perp          | ok                        | 7,500 and 500
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.501 @50000 of perp    | place buy 0.1 @50000 of perp          | MARGIN_RATIO              | 7,505 and 500
        below          | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1 @50000 of perp; mark 46825.01 of perp | place buy 0.1 @46000 of perp          | ok                        | 5,000 USDT for a position that has lost 3,174.99, and 460 more: of an equity of 6,825.01
        at             | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1 @50000 of perp; mark 46825 of perp | place buy 0.1 @46000 of perp          | ok                        | 5,460 USDT of an equity of 6,825
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1 @50000 of perp; mark 46824.99 of perp | place buy 0.1 @46000 of perp          | MARGIN_RATIO              | 5,460 USDT of an equity of 6,824.99
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1 @50000 of perp; mark 40000 of perp | place buy 0.1 @40000 of perp          | MARGIN_RATIO              | of no equity at all
        above          | global 0    | holds main 10000 USDT of perp; leverage 10                                    | place buy 0.1 @50000 of perp          | MARGIN_RATIO              | with zero, anything held is too much …
        at reducing    | global 0    | holds main 10000 USDT of perp; leverage 10; bought 0.1 @50000 of perp; limits | place sell 0.1 @50000 of perp         | ok                        | … but what brings the position to zero
        above reducing | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1.7 @50000 of perp; limits | place sell 1.7 @50000 of perp         | ok                        | 8,500 of 10,000 USDT: what brings the position to zero is let through
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1.7 @50000 of perp; limits | place sell 1.701 @50000 of perp       | MARGIN_RATIO              | what turns it is not
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; bought 1.7 @50000 of perp; limits | place buy 1 @50000                    | ok                        | spot is bought with other funds
        below          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1 @50000 of perp        | amend 1.599                           | ok                        | amended to 7,995 of 10,000 USDT, of which 5,000 are held already
        at             | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1 @50000 of perp        | amend 1.6                             | ok                        | to 8,000
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1 @50000 of perp        | amend 1.601                           | MARGIN_RATIO              | to 8,005
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.6 @50000 of perp      | amend @50000.1                        | MARGIN_RATIO              | another price holds another margin: 8,000.016
        below          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.601 @50000 of perp; limits | amend @49968                          | ok                        | from 8,005, with the limit lowered since, to 7,999.8768 …
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.601 @50000 of perp; limits | amend @49999                          | MARGIN_RATIO              | … but not to 8,004.8399
        above lowered  | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.7 @50000 of perp; limits | amend 1.601                           | ok                        | less of it
        above          | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.601 @50000 of perp; limits | cancel                                | ok                        | a cancel is never refused
        at and above   | global 0.8  | holds main 10000 USDT of perp; leverage 10; works buy 1.2 @50000 of perp      | bulk 4 x place buy 0.2 @50000 of perp | 2 x ok + 2 x MARGIN_RATIO | in bulk 1,000 USDT each on top of 6,000: the third would make 9,000
        below          | global 0.8  | holds main 100000 USDT of perp; leverage 10; bought 0.1 @50000 of perp; transferred 85000 USDT main to sub of perp | place buy 0.1 @50000 of perp          | ok                        | what a transfer takes is no margin: 1,000 USDT, of an equity of 15,000
        at             | global 0.8  | holds main 100000 USDT of perp; leverage 10; bought 1 @50000 of perp; transferred 93125 USDT main to sub of perp | place buy 0.1 @50000 of perp          | ok                        | nor is it equity: 5,500 USDT of 6,875
        above          | global 0.8  | holds main 100000 USDT of perp; leverage 10; bought 1 @50000 of perp; transferred 93125.01 USDT main to sub of perp | place buy 0.1 @50000 of perp          | MARGIN_RATIO              | 5,500 USDT of 6,874.99
        above          | global 0.8  | holds main 100000 USDT of perp; leverage 10; bought 1 @50000 of perp; transferred 93125.01 USDT main to sub of perp; arrived | place buy 0.1 @50000 of perp          | MARGIN_RATIO              | gone, it is the same
        at             | global 0.8  | holds main 100000 USDT of perp; leverage 10; bought 1 @50000 of perp; transferred 94000 USDT main to sub of perp; came-to-nothing | place buy 1 @50000 of perp            | ok                        | what the venue refused is there again
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.279 @50000 of perp       | look                                  | quiet                     | 6,395 of 10,000 USDT are held: of a share of 0.8 four fifths are 6,400
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.28 @50000 of perp        | look                                  | near account:main         | 6,400 are near
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.6 @50000 of perp         | look                                  | near account:main         | 8,000 are at it, and near
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.601 @50000 of perp; limits | look                                  | breached account:main     | 8,005 are beyond
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1 @50000 of perp; mark 40000 of perp | look                                  | breached account:main     | no equity is beyond
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.601 @50000 of perp; limits | look + look                           | breached account:main + quiet | it is told once
        told           | account 0.8 | holds main 10000 USDT of perp; leverage 10; bought 1.601 @50000 of perp; limits; watch; sold 1.601 @50000 of perp; wait 5s | look                                  | clear account:main        | and when it is over
        told           | account 0.8 | holds main 100000 USDT of perp; leverage 10; bought 0.1 @50000 of perp; transferred 85000 USDT main to sub of perp | look                                  | quiet                     | 500 of 15,000 USDT: what a transfer takes is neither margin nor equity
        told           | account 0.8 | holds main 100000 USDT of perp; leverage 10; bought 1 @50000 of perp; transferred 93750.01 USDT main to sub of perp | look                                  | breached account:main     | 5,000 of 6,249.99
    """,
    "min_liquidation_distance": """
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | place buy 0.1 @50000 of perp                 | LIQUIDATION_DISTANCE               | the mark of 50,000 is 2,499.99 USDT from where the position is liquidated, and 5 % of it are 2,500
        at             | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500 | place buy 0.1 @50000 of perp                 | ok                                 | 2,500 USDT from it
        above          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47499.99 | place buy 0.1 @50000 of perp                 | ok                                 | 2,500.01 USDT from it
        below          | global 0.05               | holds main 90000 USDT of perp; sold 1 @50000 of perp; liquidation 52499.99 | place sell 0.1 @50000 of perp                | LIQUIDATION_DISTANCE               | a short position from above
        at             | global 0.05               | holds main 90000 USDT of perp; sold 1 @50000 of perp; liquidation 52500 | place sell 0.1 @50000 of perp                | ok                                 | 2,500 USDT above
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 38000; mark 39999.99 of perp | place buy 0.1 @40000 of perp                 | LIQUIDATION_DISTANCE               | the mark came nearer: 1,999.99 USDT, and 5 % of it are 2,000
        at             | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 38000; mark 40000 of perp | place buy 0.1 @40000 of perp                 | ok                                 | 2,000 USDT
        below reducing | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | place sell 1 @50000 of perp                  | ok                                 | what brings the position to zero is let through
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | place sell 1.001 @50000 of perp              | LIQUIDATION_DISTANCE               | what turns it is not
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | place buy 1 @50000                           | ok                                 | another instrument has no such price
        flat           | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01; sold 1 @50000 of perp | place buy 0.1 @50000 of perp                 | ok                                 | nor has what is closed
        none           | global 0.05               | holds main 90000 USDT of perp; bought 0.5 @50000 of perp         | place buy 0.1 @50000 of perp                 | ok                                 | the venue shows none: there is nothing to be near to
        no mark        | global 0.05               | holds main 90000 USDT of perp; bought 1 @100 of newperp; liquidation 50 of newperp | place buy 1 @100 of newperp                  | LIQUIDATION_DISTANCE               | without a mark nobody knows how near it is
        below          | global 0.01; account 0.05 | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 48000 | place buy 0.1 @50000 of perp                 | LIQUIDATION_DISTANCE               | of two scopes the wider distance holds: 4 % are too near by one …
        below          | global 0.05; account 0.01 | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 48000 | place buy 0.1 @50000 of perp                 | LIQUIDATION_DISTANCE               | … whichever says it
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; works buy 0.1 @50000 of perp; liquidation 47500.01 | amend 0.2                                    | LIQUIDATION_DISTANCE               | more of an order, too near
        at             | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; works buy 0.1 @50000 of perp; liquidation 47500 | amend 0.2                                    | ok                                 | at 2,500 USDT
        above          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; works buy 0.1 @50000 of perp; liquidation 47499.99 | amend 0.2                                    | ok                                 | further
        below lowered  | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; works buy 0.2 @50000 of perp; liquidation 47500.01 | amend 0.1                                    | ok                                 | less of it
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; works buy 0.2 @50000 of perp; liquidation 47500.01 | cancel                                       | ok                                 | a cancel is never refused
        below          | global 0.05               | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | bulk place buy 0.1 @50000 of perp + 3 x place sell 0.4 @50000 of perp | LIQUIDATION_DISTANCE + 2 x ok + LIQUIDATION_DISTANCE | in bulk 0.8 BTC of 1 bring it nearer to zero, a third 0.4 would turn it
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 46874.99 | look                                         | quiet                              | 3,125.01 USDT away: five fourths of 5 % are 3,125
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 46875 | look                                         | near account:main                  | 3,125 USDT are near
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500 | look                                         | near account:main                  | 2,500 USDT are at it, and near
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01 | look                                         | breached account:main              | a cent nearer is too near
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; bought 1 @50000 of tenth; liquidation 47500.01; liquidation 30000 of tenth | look                                         | breached account:main              | of several positions the nearest …
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; bought 1 @50000 of tenth; liquidation 30000; liquidation 47500.01 of tenth | look                                         | breached account:main              | … whichever it is
        told           | account 0.05              | holds main 90000 USDT of perp; bought 1 @50000 of perp; liquidation 47500.01; watch; sold 1 @50000 of perp; wait 5s | look                                         | clear account:main                 | what is closed is far from it
    """,
    "max_position": """
        below          | global 100000                                | bought 1 @50000                                                 | place buy 0.999 @50000                       | ok                         | 1 BTC held and 0.999 more, at the mark of 50,000: 99,950 USD of at most 100,000
        at             | global 100000                                | bought 1 @50000                                                 | place buy 1 @50000                           | ok                         | 100,000 USD
        above          | global 100000                                | bought 1 @50000                                                 | place buy 1.001 @50000                       | MAX_POSITION               | 100,050 USD
        above          | global 100000                                | bought 1 @50000; mark 50000.01                                  | place buy 1 @50000                           | MAX_POSITION               | what is held moves with the mark: 100,000.02 USD
        at             | global 100000                                |                                                                 | place buy 2 @70000                           | ok                         | it is valued at the mark, whatever its price: 100,000 USD
        at             | account 100000                               | works buy 1 @50000                                              | place buy 1 @50000                           | ok                         | what works counts as if it filled: 100,000 USD
        above          | account 100000                               | works buy 1 @50000                                              | place buy 1.001 @50000                       | MAX_POSITION               | 100,050 USD
        above          | account 99999                                | works buy 1 @50000; filled 0.4 @50000                           | place buy 1 @50000                           | MAX_POSITION               | filled in part it counts as much: 0.4 held and 0.6 working
        at             | account 100000                               | works buy 1 @50000; filled 0.4 @50000                           | place buy 1 @50000                           | ok                         | and no more
        above          | account 99999                                | sent buy 1 @50000                                               | place buy 1 @50000                           | MAX_POSITION               | what the venue has not answered counts
        above          | account 99999                                | sent buy 1 @50000; doubt                                        | place buy 1 @50000                           | MAX_POSITION               | what is in doubt counts
        at             | account 50000                                | works buy 1 @50000; gone                                        | place buy 1 @50000                           | ok                         | what is gone does not
        above          | account 124999                               | works buy 1 @50000; amended 1.5                                 | place buy 1 @50000                           | MAX_POSITION               | an amend that is asked for counts as the more: 75,000 USD and 50,000
        at             | account 125000                               | works buy 1.5 @50000; amended 1                                 | place buy 1 @50000                           | ok                         | as one to less does until the venue has done it
        at             | account 50000                                | works buy 1 @50000                                              | place sell 1 @50000                          | ok                         | the other side of what works does not add up
        above          | account 50000                                | works buy 1 @50000                                              | place sell 1.001 @50000                      | MAX_POSITION               | each side for itself: 50,050 USD short
        above          | account 49999                                |                                                                 | place sell 1 @50000                          | MAX_POSITION               | short counts as long
        at             | account 50000                                | bought 1 @50000                                                 | place sell 2 @50000                          | ok                         | from 1 BTC long to 1 short
        above          | account 50000                                | bought 1 @50000                                                 | place sell 2.001 @50000                      | MAX_POSITION               | to 1.001 short: 50,050 USD
        above reducing | account 1                                    | bought 1 @50000; limits                                         | place sell 1 @50000                          | ok                         | what brings it nearer to zero is never refused
        above reducing | account 1                                    | bought 1 @50000; limits                                         | place sell 2 @50000                          | ok                         | nor what leaves it as large the other way round
        above          | account 1                                    | bought 1 @50000; limits                                         | place sell 2.001 @50000                      | MAX_POSITION               | only what makes it larger is
        above reducing | strategy 1                                   | bought 1 @50000 by arb; limits                                  | place sell 2 @50000 by arb                   | ok                         | of a strategy as well
        at             | account 50000                                | holds main 60000 USDT of perp                                   | place buy 10 @50000 of tenth                 | ok                         | 10 contracts of 0.1 BTC: 50,000 USD
        above          | account 50000                                | holds main 60000 USDT of perp                                   | place buy 11 @50000 of tenth                 | MAX_POSITION               | 11 contracts: 55,000 USD
        at             | account 50000                                | bought 1 @50000; bought 20 @2500 of eth; bought 1 @50000 on sub | place buy 0.001 @50000 + place buy 1 @50000 on sub | MAX_POSITION + ok          | each account's in each instrument is one
        at             | strategy 50000                               | bought 1 @50000                                                 | place buy 1 @50000 by arb                    | ok                         | a strategy's own trades alone: 50,000 USD of the account's 100,000
        above          | strategy 50000                               | bought 1 @50000 by arb                                          | place buy 0.001 @50000 by arb                | MAX_POSITION               | 50,050 USD of its own
        at             | strategy 50000                               | bought 1 @50000 by arb                                          | place sell 2 @50000 by arb                   | ok                         | its own from long to short
        above          | strategy 50000                               | bought 1 @50000; works buy 1 @50000 by arb                      | place buy 0.001 @50000 by arb                | MAX_POSITION               | its own that works counts
        above          | strategy 50000                               | bought 3 @50000; limits                                         | place sell 1.001 @50000 by arb               | MAX_POSITION               | what brings the account's nearer to zero may open the strategy's own
        below          | strategy:* 50000                             |                                                                 | place buy 0.999 @50000 by arb                | ok                         | said of each strategy: 49,950 USD
        above          | strategy:* 50000                             |                                                                 | place buy 1.001 @50000 by arb                | MAX_POSITION               | 50,050 USD
        above          | strategy:* 50000                             |                                                                 | place buy 1.001 @50000                       | MAX_POSITION               | orders by hand are a strategy too
        at and above   | strategy:market_making 50000                 | assign market_making main 900000; limits                        | place buy 1 @50000 by market_making + place buy 0.001 @50000 by market_making | ok + MAX_POSITION          | said of one strategy by its name
        at             | strategy:* 1; strategy 50000                 |                                                                 | place buy 1 @50000 by arb                    | ok                         | what a strategy has of its own stands in place of what each has
        above          | strategy:* 50000; strategy max_order_quantity 9 |                                                                 | place buy 1.001 @50000 by arb                | MAX_POSITION               | what it has of its own for another control puts nothing aside
        above          | strategy:* 50000; strategy max_order_quantity 9 |                                                                 | place buy 1.001 @50000                       | MAX_POSITION               | nor does one strategy's for another's
        below          | global 100000                                | works buy 1 @50000                                              | amend 1.999                                  | ok                         | amended from 50,000 USD to 99,950
        at             | global 100000                                | works buy 1 @50000                                              | amend 2                                      | ok                         | amended to 100,000 USD
        above          | global 100000                                | works buy 1 @50000                                              | amend 2.001                                  | MAX_POSITION               | amended to 100,050 USD
        above          | global 100000                                | bought 1 @50000; works buy 0.5 @50000                           | amend 1.001                                  | MAX_POSITION               | with 50,000 USD held: 100,050
        at             | global 100000                                | works buy 1 @50000; filled 0.4 @50000                           | amend 2                                      | ok                         | what is filled of it is not counted twice
        above          | strategy 100000                              | works buy 1 @50000 by arb                                       | amend 2.001                                  | MAX_POSITION               | a strategy's own by the same rule
        at             | strategy 100000                              | works buy 1 @50000 by arb                                       | amend 2                                      | ok                         | 100,000 USD of its own
        above lowered  | global 100000                                | works buy 4 @50000; limits                                      | amend 3                                      | ok                         | less of an order from before the limit, at 150,000 USD still
        above lowered  | global 100000                                | works buy 4 @50000; limits                                      | amend 3 @49999                               | ok                         | at another price too: it adds nothing
        above          | global 100000                                | works buy 4 @50000; limits                                      | amend 4.001                                  | MAX_POSITION               | but no more
        above          | global 100000                                | works buy 4 @50000; limits                                      | cancel                                       | ok                         | a cancel is never refused
        at and above   | global 150000                                |                                                                 | bulk 5 x place buy 1 @50000                  | 3 x ok + 2 x MAX_POSITION  | in bulk 50,000 USD each: three make 150,000
        at and above   | global 150000                                | 3 x works buy 0.5 @50000                                        | bulk amend #1 1 + amend #2 1 + amend #3 1.001 + amend #3 1 | 2 x ok + MAX_POSITION + ok | amends in bulk: 50,000 USD each, and 50 too much
        above          | global 0                                     |                                                                 | place buy 0.001 @50000                       | MAX_POSITION               | zero lets nothing open
        no mark        | global 9000000                               |                                                                 | place buy 1 @100 of new                      | NO_REFERENCE_PRICE         | nobody knows what it would be worth
        no mark        | strategy:* 9000000                           |                                                                 | place buy 1 @100 of new by mm                | NO_REFERENCE_PRICE         | as a strategy's own
        told           | account 60000                                | bought 1 @50000; mark 47999.99                                  | look                                         | quiet                      | 47,999.99 USD, less than four fifths of 60,000
        told           | account 60000                                | bought 1 @50000; mark 48000                                     | look                                         | near account:main binance.main.spot.BTCUSDT | 48,000 USD are four fifths
        told           | account 60000                                | bought 1 @50000; mark 60000                                     | look                                         | near account:main binance.main.spot.BTCUSDT | the limit itself may be used
        told           | account 60000                                | bought 1 @50000; mark 60000.01                                  | look                                         | breached account:main binance.main.spot.BTCUSDT | the market takes it a cent above: nobody ordered anything, and people are told
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch                           | look                                         | quiet                      | it is told once
        told           | account 60000                                | sold 1 @50000; mark 60000.01                                    | look                                         | breached account:main binance.main.spot.BTCUSDT | short as long
        told           | account 60000                                | bought 0.5 @50000; works buy 0.5 @50000; mark 60000.01          | look                                         | breached account:main binance.main.spot.BTCUSDT | what works counts as if it filled
        told           | account 60000                                | bought 1 @50000; bought 20 @2500 of eth; mark 60000.01; watch; mark 3000.01 of eth | look                                         | breached account:main binance.main.spot.ETHUSDT | two positions above it are told of one by one: the second while the first still is
        told           | account 60000                                | bought 1 @50000; bought 20 @2500 of eth; mark 60000.01; mark 3000.01 of eth | look                                         | breached account:main binance.main.spot.BTCUSDT and breached account:main binance.main.spot.ETHUSDT | and both at once
        told           | global 60000; strategy 70000                 | bought 1 @50000 by arb; mark 60000.01                           | look                                         | breached global binance.main.spot.BTCUSDT and near strategy:arb binance.main.spot.BTCUSDT | the account's by the global limit, the strategy's part of it by its own
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch; mark 47000; wait 4.999999999s | look                                         | quiet                      | down again it is not told of before 5 s …
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch; mark 47000; wait 5s      | look                                         | quiet                      | … nor then, at 47,000 USD: clear is below three quarters
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch; mark 44999.99; wait 5s   | look                                         | clear account:main binance.main.spot.BTCUSDT | below 45,000 USD it is clear again
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch; sold 1 @60000; wait 5s   | look                                         | clear account:main binance.main.spot.BTCUSDT | and so is one that is closed
        told           | account 60000                                | bought 1 @50000; mark 60000.01; watch; limit account max_position off | look                                         | clear account:main binance.main.spot.BTCUSDT | and what nothing limits any more, at once
        told           | account 90000                                | bought 1 @50000; watch; limit account max_position 40000        | look                                         | breached account:main binance.main.spot.BTCUSDT | the limit may come to the position as well
        told           | account 90000                                | bought 1 @50000; watch; overridden account max_position 40000 60s; watch; wait 60s | look                                         | clear account:main binance.main.spot.BTCUSDT | and go away from it when an override ends
        told           | account 0                                    |                                                                 | look                                         | quiet                      | of zero nothing is told where nothing is held
        told           | account 0                                    | bought 1 @50000; limits; watch; sold 1 @50000; wait 5s          | look                                         | clear account:main binance.main.spot.BTCUSDT | and what is gone is clear of it
    """,
    "max_inventory": """
        below          | account BTC=1                |                                                                  | place buy 0.999 @50000                       | ok                          | 0.999 BTC of at most 1
        at             | account BTC=1                |                                                                  | place buy 1 @50000                           | ok                          | 1 BTC
        above          | account BTC=1                |                                                                  | place buy 1.001 @50000                       | MAX_INVENTORY               | 1.001 BTC
        below          | strategy BTC=1               |                                                                  | place buy 0.999 @50000 by arb                | ok                          | of a strategy its own: 0.999 BTC
        at             | strategy BTC=1               | bought 1 @50000                                                  | place buy 1 @50000 by arb                    | ok                          | 1 BTC of the account's 2
        above          | strategy BTC=1               |                                                                  | place buy 1.001 @50000 by arb                | MAX_INVENTORY               | 1.001 BTC
        above          | strategy BTC=1               |                                                                  | place sell 1.001 @50000 by arb               | MAX_INVENTORY               | short counts as long
        at             | strategy BTC=1               | bought 0.4 @50000 by arb; works buy 0.3 @50000 by arb            | place buy 0.3 @50000 by arb                  | ok                          | held, working and new: 0.4, 0.3 and 0.3 BTC
        at and above   | strategy:market_making BTC=1 | assign market_making main 900000; bought 0.4 @50000 by market_making; works buy 0.5 @50000 by market_making; limits | place buy 0.1 @50000 by market_making + place sell 1.4 @50000 by market_making + place sell 0.001 @50000 by market_making | ok + ok + MAX_INVENTORY     | market making's inventory, both sides quoted: up to 1 BTC long, down to 1 short
        above          | strategy BTC=1               | bought 0.4 @50000 by arb; works buy 0.3 @50000 by arb            | place buy 0.301 @50000 by arb                | MAX_INVENTORY               | a thousandth too much
        at             | account BTC=1                | bought 0.4 @50000; works buy 0.3 @50000                          | place buy 0.3 @50000                         | ok                          | of the account: held, working and new
        above          | account BTC=1                | bought 0.4 @50000; works buy 0.3 @50000                          | place buy 0.301 @50000                       | MAX_INVENTORY               | a thousandth too much
        above reducing | account BTC=1                | bought 3 @50000; limits                                          | place sell 3 @50000                          | ok                          | what brings it nearer to zero is never refused
        above reducing | account BTC=1                | bought 3 @50000; limits                                          | place sell 6 @50000                          | ok                          | nor what leaves it as large the other way round
        above reducing | strategy BTC=1               | bought 3 @50000 by arb; limits                                   | place sell 6 @50000 by arb                   | ok                          | of a strategy as well
        above          | strategy BTC=1               | bought 3 @50000 by arb; limits                                   | place sell 6.001 @50000 by arb               | MAX_INVENTORY               | a thousandth larger
        off            | account BTC=1                |                                                                  | place buy 90 @2500 of eth                    | ok                          | of ETH it says nothing
        above          | account BTC=1,ETH=20         |                                                                  | place buy 20 @2500 of eth + place buy 0.02 @2500 of eth | ok + MAX_INVENTORY          | of both: 20 ETH, and 0.02 too much
        at             | account BTC=1                | holds main 60000 USDT of perp                                    | place buy 10 @50000 of tenth                 | ok                          | 10 contracts of 0.1 BTC are 1 BTC
        above          | account BTC=1                | holds main 60000 USDT of perp                                    | place buy 11 @50000 of tenth                 | MAX_INVENTORY               | 11 are 1.1
        at             | account NEW=5                |                                                                  | place buy 5 @100 of new                      | ok                          | it takes no mark: 5 NEW
        above          | account NEW=5                |                                                                  | place buy 5.001 @100 of new                  | MAX_INVENTORY               | and a thousandth too much
        above          | strategy:* NEW=5             |                                                                  | place buy 5.001 @100 of new by mm            | MAX_INVENTORY               | of a strategy as well
        above          | global BTC=9; account BTC=1  |                                                                  | place buy 1.001 @50000                       | MAX_INVENTORY               | of two scopes the smaller holds …
        above          | global BTC=1; account BTC=9  |                                                                  | place buy 1.001 @50000                       | MAX_INVENTORY               | … whichever says it
        below          | account BTC=1                | works buy 0.5 @50000                                             | amend 0.999                                  | ok                          | amended to 0.999 BTC
        at             | account BTC=1                | works buy 0.5 @50000                                             | amend 1                                      | ok                          | amended to 1 BTC
        above          | account BTC=1                | works buy 0.5 @50000                                             | amend 1.001                                  | MAX_INVENTORY               | amended to 1.001 BTC
        above          | strategy BTC=1               | works buy 0.5 @50000 by arb                                      | amend 1.001                                  | MAX_INVENTORY               | of a strategy as well
        above lowered  | account BTC=1                | works buy 3 @50000; limits                                       | amend 2                                      | ok                          | less of an order from before the limit
        above          | account BTC=1                | works buy 3 @50000; limits                                       | cancel                                       | ok                          | a cancel is never refused
        at and above   | account BTC=1                |                                                                  | bulk 3 x place buy 0.4 @50000 + place buy 0.2 @50000 | 2 x ok + MAX_INVENTORY + ok | in bulk 0.4, 0.4 and 0.2 BTC; a third 0.4 is too much
        above          | account BTC=0                |                                                                  | place buy 0.001 @50000                       | MAX_INVENTORY               | zero lets nothing open
        told           | account BTC=1                                | bought 0.79 @50000                                              | look                                         | quiet                      | less than four fifths of 1 BTC
        told           | account BTC=1                                | bought 0.8 @50000                                               | look                                         | near account:main binance.main.spot.BTCUSDT | four fifths
        told           | account BTC=1                                | bought 1.001 @50000; limits                                     | look                                         | breached account:main binance.main.spot.BTCUSDT | a thousandth of a BTC above
        told           | strategy BTC=1                               | bought 2 @50000; bought 0.8 @50000 by arb                       | look                                         | near strategy:arb binance.main.spot.BTCUSDT | a strategy's own part
        told           | account ETH=1                                | bought 9 @50000                                                 | look                                         | quiet                      | of another asset nothing is said
        told           | account BTC=1                                | holds main 90000 USDT of perp; bought 8 @50000 of tenth         | look                                         | near account:main binance.main.futures.BTCPERP | 8 contracts of 0.1 BTC
        told           | account BTC=1                                | bought 0.8 @50000; watch; sold 0.05 @50000; wait 5s             | look                                         | quiet                      | three quarters are not clear yet …
        told           | account BTC=1                                | bought 0.8 @50000; watch; sold 0.051 @50000; wait 5s            | look                                         | clear account:main binance.main.spot.BTCUSDT | … a thousandth less is
        told           | account BTC=1                                | bought 0.8 @50000; watch; limit account max_inventory ETH=1     | look                                         | clear account:main binance.main.spot.BTCUSDT | nothing is said of it any more
    """,
    "max_exposure": """
        below            | global 150000      | bought 1 @50000; works buy 1 @50000                        | place buy 0.999 @50000                       | ok                        | 50,000 USD held, 50,000 working and 49,950 new, of at most 150,000
        at               | global 150000      | bought 1 @50000; works buy 1 @50000                        | place buy 1 @50000                           | ok                        | 150,000 USD
        above            | global 149999.99   | bought 1 @50000; works buy 1 @50000                        | place buy 1 @50000                           | MAX_EXPOSURE              | 150,000 USD, a cent above
        at               | global 100000      | bought 1 @50000                                            | place buy 20 @2500 of eth                    | ok                        | all instruments together: 50,000 USD of BTC and 20 ETH for 50,000
        above            | global 99999       | bought 1 @50000                                            | place buy 20 @2500 of eth                    | MAX_EXPOSURE              | the same, a USD above
        above            | global 99999       | bought 1 @50000                                            | place sell 20 @2500 of eth                   | MAX_EXPOSURE              | long and short are added
        above            | global 99999       | bought 1 @50000 on sub                                     | place buy 1 @50000                           | MAX_EXPOSURE              | all accounts together
        above            | exchange 99999     | bought 1 @50000 on sub                                     | place buy 1 @50000                           | MAX_EXPOSURE              | of the exchange
        at               | account 50000      | bought 1 @50000 on sub                                     | place buy 1 @50000                           | ok                        | of the account its own
        above            | account 49999      |                                                            | place buy 1 @50000                           | MAX_EXPOSURE              | 50,000 USD of at most 49,999
        at               | instrument 50000   | bought 20 @2500 of eth                                     | place buy 1 @50000                           | ok                        | of the instrument its own …
        above            | instrument 99999   | bought 1 @50000 on sub                                     | place buy 1 @50000                           | MAX_EXPOSURE              | … in all accounts
        at               | strategy 50000     | bought 1 @50000                                            | place buy 1 @50000 by arb                    | ok                        | of the strategy its own
        above            | strategy 99999     | bought 20 @2500 of eth by arb                              | place buy 1 @50000 by arb                    | MAX_EXPOSURE              | in all instruments
        at               | account 50000      | works buy 1 @50000                                         | place sell 1 @50000                          | ok                        | the other side of what works does not add up
        above reducing   | account 1          | bought 1 @50000; limits                                    | place sell 1 @50000                          | ok                        | what brings it nearer to zero is never refused
        above reducing   | account 1          | bought 1 @50000; limits                                    | place sell 2 @50000                          | ok                        | nor what leaves it as large the other way round
        above reducing   | strategy 1         | bought 1 @50000 by arb; limits                             | place sell 2 @50000 by arb                   | ok                        | of a strategy as well
        above            | account 1          | bought 1 @50000; limits                                    | place sell 2.001 @50000                      | MAX_EXPOSURE              | only what makes it larger is
        above            | account 99999      | sent buy 1 @50000; doubt                                   | place buy 1 @50000                           | MAX_EXPOSURE              | what is in doubt counts
        above            | account 100000     | bought 1 @50000; mark 60000                                | place buy 0.7 @60000                         | MAX_EXPOSURE              | at the mark: 60,000 USD held and 42,000 new
        below            | account 100000     | works buy 1 @50000                                         | amend 1.999                                  | ok                        | amended from 50,000 USD to 99,950
        at               | account 100000     | works buy 1 @50000                                         | amend 2                                      | ok                        | amended to 100,000 USD
        above            | account 100000     | works buy 1 @50000                                         | amend 2.001                                  | MAX_EXPOSURE              | amended to 100,050 USD
        above            | strategy 100000    | works buy 1 @50000 by arb                                  | amend 2.001                                  | MAX_EXPOSURE              | of a strategy as well
        above lowered    | account 100000     | works buy 4 @50000; limits                                 | amend 3                                      | ok                        | less of an order from before the limit
        above            | account 100000     | works buy 4 @50000; limits                                 | cancel                                       | ok                        | a cancel is never refused
        at and above     | account 150000     |                                                            | bulk 5 x place buy 1 @50000                  | 3 x ok + 2 x MAX_EXPOSURE | in bulk 50,000 USD each: three make 150,000
        at and above     | strategy 150000    |                                                            | bulk 5 x place buy 1 @50000 by arb           | 3 x ok + 2 x MAX_EXPOSURE | of a strategy as well
        at and above     | account 150000     | 2 x works buy 1 @50000                                     | bulk amend #1 1.5 + amend #2 1.501 + amend #2 1.5 | ok + MAX_EXPOSURE + ok    | amends in bulk: 25,000 USD more each, and 50 too much
        above            | global 0           |                                                            | place buy 0.001 @50000                       | MAX_EXPOSURE              | zero lets nothing open
        no mark          | account 9000000    |                                                            | place buy 1 @100 of new                      | NO_REFERENCE_PRICE        | nobody knows what it would be worth
        no mark          | strategy:* 9000000 |                                                            | place buy 1 @100 of new by mm                | NO_REFERENCE_PRICE        | as a strategy's own
        no mark          | account 9000000    | bought 1 @100 of new; limits                               | place buy 1 @50000                           | NO_VALUATION              | a position of unknown worth is as much as any: nothing is opened beside it
        no mark reducing | account 9000000    | bought 1 @50000; bought 1 @100 of new; limits              | place sell 1 @50000                          | ok                        | what brings another nearer to zero is let through
        no mark          | account 9000000    | bought 1 @50000; bought 1 @100 of new; limits              | place sell 1.5 @50000                        | NO_VALUATION              | what turns it is not, though it leaves less
        no rate          | account 9000000    | bought 1 @50000 fee 1 BNB                                  | place buy 1 @50000                           | NO_VALUATION              | as is one with a fee of a BNB, while nobody says what that is worth
        below            | account 9000000    | bought 1 @50000 fee 1 BNB; valued BNB 500                  | place buy 1 @50000                           | ok                        | until somebody does: 500 USD
        no rate          | strategy 9000000   | bought 1 @50000 fee 1 BNB by arb                           | place buy 1 @50000 by arb                    | NO_VALUATION              | of a strategy as well
        no rate          | strategy 9000000   | bought 1 @50000 fee 1 BNB                                  | place buy 1 @50000 by arb                    | ok                        | another's is not its own
        told             | account 100000     | bought 1.599 @50000                                        | look                                         | quiet                     | 79,950 USD: four fifths of 100,000 are 80,000
        told             | account 100000     | bought 1.6 @50000                                          | look                                         | near account:main         | 80,000 USD are near
        told             | account 100000     | bought 2 @50000                                            | look                                         | near account:main         | 100,000 USD are at it, and near
        told             | account 100000     | bought 2 @50000; mark 50000.01                             | look                                         | breached account:main     | 100,000.02 USD, by the mark alone
        told             | account 100000     | bought 1.6 @50000; watch; wait 5s; mark 46875              | look                                         | quiet                     | 75,000 USD are not well below yet …
        told             | account 100000     | bought 1.6 @50000; watch; wait 5s; mark 46874.99           | look                                         | clear account:main        | … 74,999.984 are
        told             | account 100000     | bought 1.6 @50000; watch; wait 4.999999999s; mark 46874.99 | look                                         | quiet                     | but not within 5 s, that it is not told to and fro
    """,
    "max_open_orders": """
        below        | account 2    |                                              | place buy 1 @50000          | ok                           | the first of at most 2
        at           | account 2    | works buy 1 @50000                           | place buy 1 @50000          | ok                           | the second
        above        | account 2    | 2 x works buy 1 @50000                       | place buy 1 @50000          | MAX_OPEN_ORDERS              | the third
        above        | account 2    | works buy 1 @50000; works buy 1 @2500 of eth | place buy 1 @50000          | MAX_OPEN_ORDERS              | whatever they are for
        above        | account 1    | sent buy 1 @50000                            | place buy 1 @50000          | MAX_OPEN_ORDERS              | what the venue has not answered is open
        above        | account 1    | sent buy 1 @50000; doubt                     | place buy 1 @50000          | MAX_OPEN_ORDERS              | so is what is in doubt
        above        | account 1    | works buy 1 @50000; filled 0.5 @50000        | place buy 1 @50000          | MAX_OPEN_ORDERS              | so is what is filled in part
        above        | account 1    | works buy 1 @50000; cancelled                | place buy 1 @50000          | MAX_OPEN_ORDERS              | so is what the venue has not cancelled yet
        at           | account 1    | works buy 1 @50000; gone                     | place buy 1 @50000          | ok                           | what is gone is not
        at           | account 1    | bought 1 @50000                              | place buy 1 @50000          | ok                           | nor what is filled
        at           | account 1    | rejected 1                                   | place buy 1 @50000          | ok                           | nor what was rejected
        at           | account 1    | works buy 1 @50000 on sub                    | place buy 1 @50000          | ok                           | nor another account's
        above        | global 1     | works buy 1 @50000 on sub                    | place buy 1 @50000          | MAX_OPEN_ORDERS              | of all accounts
        above        | strategy 1   | works buy 1 @50000 by arb                    | place buy 1 @50000 by arb   | MAX_OPEN_ORDERS              | of the strategy
        above        | instrument 1 | works buy 1 @50000                           | place buy 1 @50000          | MAX_OPEN_ORDERS              | of the instrument
        above        | account 1    | bought 1 @50000; works buy 1 @50000          | place sell 1 @50000         | MAX_OPEN_ORDERS              | what reduces is one as well
        above        | account 0    |                                              | place buy 1 @50000          | MAX_OPEN_ORDERS              | zero lets nothing through
        never        | account 2    | 2 x works buy 1 @50000                       | amend 2                     | ok                           | an amend is no further order
        above        | account 0    | works buy 1 @50000; limits                   | cancel                      | ok                           | a cancel is never refused
        at and above | account 2    |                                              | bulk 5 x place buy 1 @50000 | 2 x ok + 3 x MAX_OPEN_ORDERS | in bulk exactly two
        told         | account 10   | 7 x works buy 1 @50000                       | look                        | quiet                        | 7 of 10
        told         | account 10   | 8 x works buy 1 @50000                       | look                        | near account:main            | 8 of 10 are near
        told         | account 10   | 10 x works buy 1 @50000                      | look                        | near account:main            | 10 of 10 may be used
        told         | account 0 | works buy 1 @50000; limits; watch; gone; wait 5s | look | clear account:main | of zero: what is gone is clear of it
    """,
    "max_messages": """
        below        | account 3  | sent buy 1 @50000                                                | place buy 1 @50000                      | ok                        | the second of at most 3 within a second
        at           | account 2  | sent buy 1 @50000                                                | place buy 1 @50000                      | ok                        | the second of at most 2
        above        | account 2  | 2 x sent buy 1 @50000                                            | place buy 1 @50000                      | MAX_MESSAGES              | the third of at most 2
        above        | account 2  | 2 x sent buy 1 @50000; wait 0.999999999s                         | place buy 1 @50000                      | MAX_MESSAGES              | a nanosecond before the second is over
        at           | account 2  | 2 x sent buy 1 @50000; wait 1s                                   | place buy 1 @50000                      | ok                        | when it is over
        above        | account 2  | sent buy 1 @50000; wait 600ms; sent buy 1 @50000; wait 399.999999ms | place buy 1 @50000                      | MAX_MESSAGES              | any second: 600 ms and 400 are none yet …
        at           | account 2  | sent buy 1 @50000; wait 600ms; sent buy 1 @50000; wait 400ms     | place buy 1 @50000 + place buy 1 @50000 | ok + MAX_MESSAGES         | … and then one is free
        at           | account 2  | bought 1 @50000                                                  | place buy 1 @50000                      | ok                        | whatever became of them
        above        | account 2  | works buy 1 @50000; amended 2                                    | place buy 1 @50000                      | MAX_MESSAGES              | an amend is a message
        at           | account 2  | works buy 1 @50000; cancelled                                    | place buy 1 @50000                      | ok                        | a cancel is not counted
        above        | global 2   | sent buy 1 @50000; sent buy 1 @50000 on sub                      | place buy 1 @50000                      | MAX_MESSAGES              | of all accounts
        at           | account 2  | sent buy 1 @50000; sent buy 1 @50000 on sub                      | place buy 1 @50000                      | ok                        | of each account its own
        above        | strategy 1 | sent buy 1 @50000 by arb                                         | place buy 1 @50000 by arb               | MAX_MESSAGES              | of the strategy
        above        | account 2  | bought 1 @50000; sent buy 1 @50000                               | place sell 1 @50000                     | MAX_MESSAGES              | what reduces is one as well
        above        | account 0  |                                                                  | place buy 1 @50000                      | MAX_MESSAGES              | zero lets nothing through
        below        | account 3  | works buy 1 @50000                                               | amend 2                                 | ok                        | an amend as the second of 3
        at           | account 2  | works buy 1 @50000                                               | amend 2                                 | ok                        | as the second of 2
        above        | account 2  | 2 x works buy 1 @50000                                           | amend 2                                 | MAX_MESSAGES              | as the third of 2
        above        | account 2  | 2 x works buy 1 @50000                                           | amend 0.5                               | MAX_MESSAGES              | less is a message as well
        above        | account 2  | 2 x works buy 1 @50000                                           | cancel #1 + cancel #2                   | ok + ok                   | a cancel is never refused, and not counted
        at and above | account 2  |                                                                  | bulk 5 x place buy 1 @50000             | 2 x ok + 3 x MAX_MESSAGES | in bulk exactly two
        at and above | account 4  | 3 x works buy 1 @50000                                           | bulk amend #1 2 + amend #2 2            | ok + MAX_MESSAGES         | amends in bulk: the fourth, and one too many
        told         | account 10 | 7 x sent buy 1 @50000                                            | look                                    | quiet                     | 7 of 10 within a second
        told         | account 10 | 8 x sent buy 1 @50000                                            | look                                    | near account:main         | 8 are near
        told         | account 10 | 8 x sent buy 1 @50000; wait 1s                                   | look                                    | quiet                     | when the second is over they are not
    """,
    "max_daily_loss": """
        below       | account 1000    | bought 1 @50000; sold 1 @49000.01                                | place buy 1 @50000                           | ok                                 | bought for 50,000 USDT and sold for 49,000.01: 999.99 USD lost of less than 1,000
        at          | account 1000    | bought 1 @50000; sold 1 @49000                                   | place buy 1 @50000                           | MAX_DAILY_LOSS                     | sold for 49,000: 1,000 USD lost
        above       | account 1000    | bought 1 @50000; sold 1 @48999.99                                | place buy 1 @50000                           | MAX_DAILY_LOSS                     | sold for 48,999.99: a cent more lost
        below       | account 1000    | bought 1 @50000; mark 49000.01                                   | place buy 1 @50000                           | ok                                 | bought for 50,000 USDT and worth 49,000.01: 999.99 USD not realised
        at          | account 1000    | bought 1 @50000; mark 49000                                      | place buy 1 @50000                           | MAX_DAILY_LOSS                     | worth 49,000: 1,000 USD
        above       | account 1000    | bought 1 @50000; mark 48999.99                                   | place buy 1 @50000                           | MAX_DAILY_LOSS                     | worth 48,999.99: a cent more
        at          | account 1000    | sold 1 @50000; mark 51000                                        | place sell 1 @50000                          | MAX_DAILY_LOSS                     | short at 50,000 USDT of what is worth 51,000
        below       | account 1000    | bought 1 @50000 fee 999.99 USDT                                  | place buy 1 @50000                           | ok                                 | a fee of 999.99 USDT
        at          | account 1000    | bought 1 @50000 fee 1000 USDT                                    | place buy 1 @50000                           | MAX_DAILY_LOSS                     | a fee of 1,000 USDT
        above       | account 1000    | bought 1 @50000 fee 1000.01 USDT                                 | place buy 1 @50000                           | MAX_DAILY_LOSS                     | a fee of a cent more
        below       | account 1000    | valued BNB 499.99; bought 1 @50000 fee 2 BNB                     | place buy 1 @50000                           | ok                                 | a fee of 2 BNB at 499.99 USD: 999.98 USD
        at          | account 1000    | valued BNB 500; bought 1 @50000 fee 2 BNB                        | place buy 1 @50000                           | MAX_DAILY_LOSS                     | of 2 BNB at 500 USD: 1,000 USD
        at          | account 1000    | bought 1 @50000 fee 2 BNB; valued BNB 500                        | place buy 1 @50000                           | MAX_DAILY_LOSS                     | the same, its worth told later
        below       | account 1000    | holds main 10000 USDT of perp; bought 0.1 @50000 of perp; funding -999.99 | place buy 1 @50000                           | ok                                 | funding of 999.99 USDT paid for a perpetual
        at          | account 1000    | holds main 10000 USDT of perp; bought 0.1 @50000 of perp; funding -1000 | place buy 1 @50000                           | MAX_DAILY_LOSS                     | of 1,000 USDT
        below       | account 1000    | bought 1 @50000 fee 300 USDT; sold 0.5 @49200; mark 49400.02     | place buy 1 @50000                           | ok                                 | 300 USD of fees, 400 realised and 299.99 not: 999.99
        at          | account 1000    | bought 1 @50000 fee 300 USDT; sold 0.5 @49200; mark 49400        | place buy 1 @50000                           | MAX_DAILY_LOSS                     | 300, 400 and 300: 1,000 USD
        below       | account 1000    | bought 1 @50000; sold 1 @50500; bought 1 @50000; sold 1 @48500.01 | place buy 1 @50000                           | ok                                 | 500 USD won and 1,499.99 lost
        at          | account 1000    | bought 1 @50000; sold 1 @50500; bought 1 @50000; sold 1 @48500   | place buy 1 @50000                           | MAX_DAILY_LOSS                     | 500 USD won and 1,500 lost
        below       | account 1000    | valued USDT 0.5; bought 1 @50000; sold 1 @48000.01               | place buy 1 @50000                           | ok                                 | at half a USD a USDT: 1,999.99 USDT are 999.995 USD
        at          | account 1000    | valued USDT 0.5; bought 1 @50000; sold 1 @48000                  | place buy 1 @50000                           | MAX_DAILY_LOSS                     | 2,000 USDT are 1,000 USD
        at reducing | account 1000    | bought 1 @50000; mark 49000                                      | place sell 1 @49000                          | ok                                 | what brings the position to zero is let through
        at          | account 1000    | bought 1 @50000; mark 49000                                      | place sell 1.001 @49000                      | MAX_DAILY_LOSS                     | what turns it is not
        at reducing | account 1000    | bought 1 @50000; mark 49000; works sell 0.6 @49000               | place sell 0.4 @49000 + place sell 0.001 @49000 | ok + MAX_DAILY_LOSS                | 0.6 BTC of 1 work on that side already
        at reducing | strategy 1000   | bought 1 @50000 by arb; bought 1 @50000; mark 49000              | place sell 1.001 @49000 by arb + place sell 1 @49000 by arb | MAX_DAILY_LOSS + ok            | a strategy's own position, and not what others hold
        at          | account 1000    | bought 1 @50000; sold 1 @49000                                   | place buy 20 @2500 of eth                    | MAX_DAILY_LOSS                     | whatever it was lost with
        at          | account 1000    | bought 1 @50000; sold 1 @49000                                   | place buy 1 @50000 on sub                    | ok                                 | another account has not lost it
        at          | global 1000     | bought 1 @50000; sold 1 @49500; bought 1 @50000 on sub; sold 1 @49500 on sub | place buy 1 @50000                           | MAX_DAILY_LOSS                     | all accounts together: 500 USD each
        at          | strategy 1000   | bought 1 @50000 by arb; sold 1 @49000 by arb                     | place buy 1 @50000 by arb                    | MAX_DAILY_LOSS                     | of the strategy by its own trades
        at          | strategy 1000   | bought 1 @50000; sold 1 @49000                                   | place buy 1 @50000 by arb                    | ok                                 | and no others
        below       | account 1000    | bought 1 @50000; sold 1 @49000; clock tomorrow 00:00:00; watch   | place buy 1 @50000                           | ok                                 | another day begins without loss
        below       | account 1000    | bought 1 @50000; mark 49500; clock tomorrow 00:00:00; watch; mark 48500.01 | place buy 1 @50000                           | ok                                 | what was not realised by then is of the day before: 500 USD of it, and 999.99 of this
        at          | account 1000    | bought 1 @50000; mark 49500; clock tomorrow 00:00:00; watch; mark 48500 | place buy 1 @50000                           | MAX_DAILY_LOSS                     | and 1,000 USD of this
        below       | account 1000    | bought 1 @50000; works buy 1 @45000; mark 49000.01               | amend 1.5                                    | ok                                 | more of an order, with 999.99 USD lost
        at          | account 1000    | bought 1 @50000; works buy 1 @45000; mark 49000                  | amend 1.5                                    | MAX_DAILY_LOSS                     | with 1,000
        above       | account 1000    | bought 1 @50000; works buy 1 @45000; mark 48999.99               | amend 1.5                                    | MAX_DAILY_LOSS                     | with a cent more
        at          | account 1000    | bought 1 @50000; works buy 1 @45000; mark 49000                  | amend @46000                                 | MAX_DAILY_LOSS                     | another price is another order
        at lowered  | account 1000    | bought 1 @50000; works buy 1 @45000; mark 49000                  | amend 0.5                                    | ok                                 | less of it
        at reducing | account 1000    | bought 1 @50000; works sell 0.5 @55000; mark 49000               | amend 1 @54000 + cancel                      | ok + ok                            | of what brings the position to zero more as well, and nearer
        at          | strategy 1000   | bought 1 @50000 by arb; sold 1 @49000 by arb; sold 2 @50000; works buy 1 @48000 by arb; limits | amend @49000 + amend 0.5                     | MAX_DAILY_LOSS + ok                | of a strategy its own part of it, which a buy would open; less of it is less
        at          | account 1000    | bought 1 @50000; works buy 1 @45000; mark 49000                  | cancel                                       | ok                                 | a cancel is never refused
        at          | account 1000    | bought 1 @50000; mark 49000                                      | bulk place buy 1 @49000 + 3 x place sell 0.4 @49000 | MAX_DAILY_LOSS + 2 x ok + MAX_DAILY_LOSS | in bulk 0.8 BTC of 1 bring it nearer to zero, a third 0.4 would turn it
        below       | account 1000    | bought 1 @50000; mark 49000.01                                   | bulk 3 x place buy 1 @49000                  | 3 x ok                             | in bulk, with 999.99 USD lost
        below       | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000.05 of perp; shows 0 | place buy 0.1 @50000                         | ok                                 | the venue holds none of it any more, and nobody knows why: the 999.99 USD that it had lost by then stay lost
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows 0 | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | so do 1,000 USD …
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows 0; mark 50000 of perp | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | … wherever the price goes from there
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows 0.1 | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | half of it gone
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows 0.4 @45000 | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | twice as much, which the venue entered at 45,000: what we held has lost what it has
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows -0.2 @45000 | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | turned: what we held has lost what it has
        at          | account 1000    | holds main 50000 USDT of perp; sold 0.2 @50000 of perp; mark 55000 of perp; shows 0 | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | of a short position
        below       | account 1000    | holds main 50000 USDT of perp; shows 0.2 @49999.95; mark 45000 of perp | place buy 0.1 @50000                         | ok                                 | what was never ours is entered as the venue says: 999.99 USD
        at          | account 1000    | holds main 50000 USDT of perp; shows 0.2 @50000; mark 45000 of perp | place buy 0.1 @50000                         | MAX_DAILY_LOSS                     | 1,000 USD
        at          | strategy 1000   | holds main 50000 USDT of perp; bought 0.2 @50000 of perp by arb; mark 45000 of perp; shows 0 | place buy 0.1 @50000 by arb + place buy 0.1 @50000 | MAX_DAILY_LOSS + ok                | a strategy's own trades have lost what they had
        at          | account 1000    | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; works buy 0.1 @45000; mark 45000 of perp; shows 0 | amend 0.2                                    | MAX_DAILY_LOSS                     | more of an order
        at          | account 0       |                                                                  | place buy 1 @50000                           | MAX_DAILY_LOSS                     | zero lets nothing open before something is won
        no mark     | account 9000000 |                                                                  | place buy 1 @100 of new                      | NO_REFERENCE_PRICE                 | what could not be valued could lose anything
        no mark     | account 9000000 | bought 1 @100 of new; limits                                     | place buy 1 @50000                           | NO_VALUATION                       | and so could a position that cannot be valued: nothing is opened beside it …
        no mark reducing | account 9000000 | bought 1 @50000; bought 1 @100 of new; limits                    | place sell 1 @50000 + place sell 0.001 @50000 | ok + NO_VALUATION                  | … but what brings another to zero is let through, and what turns it is not
        no rate     | account 9000000 | bought 1 @50000 fee 1 BNB                                        | place buy 1 @50000                           | NO_VALUATION                       | nor is anything with a fee of a BNB, while nobody says what that is worth
        below       | account 9000000 | bought 1 @50000 fee 1 BNB; valued BNB 500                        | place buy 1 @50000                           | ok                                 | until somebody does: 500 USD
        no rate     | account 9000000 | works buy 1 @45000; bought 1 @50000 fee 1 BNB                    | amend #1 @45001 + amend #1 0.5               | NO_VALUATION + ok                  | another price is another order, and less of it is less
        no rate     | strategy 9000000 | bought 0.1 @50000 fee 1 BNB by arb; bought 1 @50000              | place sell 0.101 @50000 by arb + place sell 0.1 @50000 by arb | NO_VALUATION + ok                  | of a strategy its own part of it
        no rate     | strategy 9000000 | bought 1 @50000 fee 1 BNB                                        | place buy 1 @50000 by arb                    | ok                                 | and another's is not its own
        no rate | account 9000000 | bought 1 @0.05 of ethbtc; sold 1 @0.04 of ethbtc; limits | place buy 1 @50000 | NO_VALUATION | 0.01 BTC were lost, and nobody says what that is worth …
        no rate | account 9000000 | bought 1 @0.05 of ethbtc; sold 1 @0.04 of ethbtc; clock tomorrow 12:00:00; watch; mark 50000; limits | place buy 1 @50000 | NO_VALUATION | … nor has anybody a day later: it was never counted …
        at | account 500 | bought 1 @0.05 of ethbtc; sold 1 @0.04 of ethbtc; limits; valued BTC 50000 | place buy 1 @50000 | MAX_DAILY_LOSS | … until somebody does: 500 USD
        below | account 500.01 | bought 1 @0.05 of ethbtc; sold 1 @0.04 of ethbtc; limits; valued BTC 50000 | place buy 1 @50000 | ok | and a cent more than that
        no rate | account 9000000 | bought 1 @0.05 of ethbtc; sold 1 @0.05 of ethbtc; limits | place buy 1 @50000 | ok | what came out even is nothing, whatever it is worth
        no rate     | account off     | bought 1 @50000 fee 1 BNB                                        | place buy 1 @50000                           | ok                                 | where no loss is limited none has to be known
        told        | account 1000    | bought 1 @50000; mark 49200.01                                   | look                                         | quiet                              | 799.99 USD lost: four fifths of 1,000 are 800
        told        | account 1000    | bought 1 @50000; mark 49200                                      | look                                         | near account:main                  | 800 USD lost are near
        told        | account 1000    | bought 1 @50000; mark 49000.01                                   | look                                         | near account:main                  | 999.99 still
        told        | account 1000    | bought 1 @50000; mark 49000                                      | look                                         | breached account:main              | 1,000 USD lost are at it, and that is beyond
        told        | account 1000    | bought 1 @50000; mark 51000                                      | look                                         | quiet                              | what is won is no loss
    """,
    "max_drawdown": """
        below       | account 2000                              | bought 1 @50000; mark 51000; mark 49000.01                       | place buy 1 @49000                           | ok                                 | from 1,000 USD won to 999.99 lost: 1,999.99 below the best, of less than 2,000
        at          | account 2000                              | bought 1 @50000; mark 51000; mark 49000                          | place buy 1 @49000                           | MAX_DRAWDOWN                       | to 1,000 lost: 2,000 USD below
        above       | account 2000                              | bought 1 @50000; mark 51000; mark 48999.99                       | place buy 1 @49000                           | MAX_DRAWDOWN                       | a cent more below
        below       | account 2000                              | bought 1 @50000; mark 48000.01                                   | place buy 1 @49000                           | ok                                 | with nothing won the best is zero: 1,999.99 USD below
        at          | account 2000                              | bought 1 @50000; mark 48000                                      | place buy 1 @49000                           | MAX_DRAWDOWN                       | 2,000 USD below
        below       | account 2000                              | bought 1 @50000; sold 1 @51000; bought 1 @50000; sold 1 @48000.01 | place buy 1 @49000                           | ok                                 | realised: 1,000 USD won, 1,999.99 lost
        at          | account 2000                              | bought 1 @50000; sold 1 @51000; bought 1 @50000; sold 1 @48000   | place buy 1 @49000                           | MAX_DRAWDOWN                       | 2,000 USD lost
        below       | account 2000                              | bought 1 @50000; mark 51000; sold 1 @51000 fee 1999.99 USDT      | place buy 1 @49000                           | ok                                 | by a fee: 1,999.99 USD
        at          | account 2000                              | bought 1 @50000; mark 51000; sold 1 @51000 fee 2000 USDT         | place buy 1 @49000                           | MAX_DRAWDOWN                       | of 2,000 USD
        at          | account 2000                              | bought 1 @50000; mark 51000; mark 50500; mark 49000              | place buy 1 @49000                           | MAX_DRAWDOWN                       | from the best, and not from the last
        below       | account 2000                              | bought 1 @50000; mark 51000; mark 49000; mark 49500              | place buy 1 @49000                           | ok                                 | back to 1,500 USD below
        below       | account 2000                              | bought 1 @50000; mark 51000; clock tomorrow 00:00:00; watch; mark 49000.01 | place buy 1 @49000                           | ok                                 | over days: the best was yesterday
        at          | account 2000                              | bought 1 @50000; mark 51000; clock tomorrow 00:00:00; watch; mark 49000 | place buy 1 @49000                           | MAX_DRAWDOWN                       | 1,000 USD won then and 2,000 lost now
        at          | account 2000                              | bought 1 @50000; mark 48000; clock tomorrow 00:00:00; watch      | place buy 1 @48000                           | MAX_DRAWDOWN                       | another day does not make up for it
        below       | account 2000                              | bought 1 @50000; mark 51000; mark 49000; killed account; released account | place buy 1 @49000                           | ok                                 | releasing the scope's kill switch measures anew …
        at          | account 2000                              | bought 1 @50000; mark 51000; mark 49000; killed account; released account; mark 47000 | place buy 1 @47000                           | MAX_DRAWDOWN                       | … from what there is then: 2,000 USD below that
        at          | account 2000                              | bought 1 @50000; mark 51000; mark 49000; killed global; released global | place buy 1 @49000                           | MAX_DRAWDOWN                       | another scope's does not
        below       | account 1000                              | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000.05 of perp; shows 0 | place buy 0.1 @49000                         | ok                                 | the venue holds none of it any more: the 999.99 USD that it had lost by then stay lost
        at          | account 1000                              | holds main 50000 USDT of perp; bought 0.2 @50000 of perp; mark 45000 of perp; shows 0 | place buy 0.1 @49000                         | MAX_DRAWDOWN                       | so do 1,000 USD
        at reducing | account 2000                              | bought 1 @50000; mark 48000                                      | place sell 1 @48000                          | ok                                 | what brings the position to zero is let through
        at          | account 2000                              | bought 1 @50000; mark 48000                                      | place sell 1.001 @48000                      | MAX_DRAWDOWN                       | what turns it is not
        at reducing | account 2000; account max_daily_loss 2000 | bought 1 @50000; mark 48000                                      | place sell 1 @48000 + place buy 1 @48000     | ok + MAX_DAILY_LOSS                | with the day's loss at its limit as well
        at reducing | strategy 2000                             | bought 1 @50000 by arb; bought 1 @50000; mark 48000              | place sell 1.001 @48000 by arb + place sell 1 @48000 by arb | MAX_DRAWDOWN + ok          | a strategy's own position, and not what others hold
        at          | account 2000                              | bought 1 @50000; mark 48000                                      | place buy 1 @50000 on sub                    | ok                                 | another account has not lost it
        at          | strategy 2000                             | bought 1 @50000 by arb; mark 48000                               | place buy 1 @48000 by arb                    | MAX_DRAWDOWN                       | of the strategy by its own trades
        below       | account 2000                              | bought 1 @50000; works buy 1 @45000; mark 51000; mark 49000.01   | amend 1.5                                    | ok                                 | more of an order, 1,999.99 USD below
        at          | account 2000                              | bought 1 @50000; works buy 1 @45000; mark 51000; mark 49000      | amend 1.5                                    | MAX_DRAWDOWN                       | 2,000 below
        above       | account 2000                              | bought 1 @50000; works buy 1 @45000; mark 51000; mark 48999.99   | amend 1.5                                    | MAX_DRAWDOWN                       | a cent more
        at lowered  | account 2000                              | bought 1 @50000; works buy 1 @45000; mark 51000; mark 49000      | amend 0.5                                    | ok                                 | less of it
        at          | account 2000                              | bought 1 @50000; works buy 1 @45000; mark 51000; mark 49000      | cancel                                       | ok                                 | a cancel is never refused
        at          | account 2000                              | bought 1 @50000; mark 48000                                      | bulk place buy 1 @48000 + 3 x place sell 0.4 @48000 | MAX_DRAWDOWN + 2 x ok + MAX_DRAWDOWN | in bulk 0.8 BTC of 1 bring it nearer to zero, a third 0.4 would turn it
        at          | account 0                                 |                                                                  | place buy 1 @50000                           | MAX_DRAWDOWN                       | zero lets nothing open
        no mark     | account 9000000                           |                                                                  | place buy 1 @100 of new                      | NO_REFERENCE_PRICE                 | what could not be valued could lose anything
        no mark     | account 9000000                           | bought 1 @100 of new; limits                                     | place buy 1 @50000                           | NO_VALUATION                       | nor how far below its best a position is that cannot be valued …
        no mark reducing | account 9000000                           | bought 1 @50000; bought 1 @100 of new; limits                    | place sell 1 @50000                          | ok                                 | … but what brings another to zero is let through
        no rate     | account 9000000                           | bought 1 @50000 fee 1 BNB                                        | place buy 1 @50000                           | NO_VALUATION                       | nor what a fee of a BNB has cost
        told        | account 2000                              | bought 1 @50000; mark 51000; mark 49400.01                       | look                                         | quiet                              | 1,599.99 USD below the best: four fifths of 2,000 are 1,600
        told        | account 2000                              | bought 1 @50000; mark 51000; mark 49400                          | look                                         | near account:main                  | 1,600 USD are near
        told        | account 2000                              | bought 1 @50000; mark 51000; mark 49000                          | look                                         | breached account:main              | 2,000 USD are beyond
        told        | account 2000                              | bought 1 @50000; watch; mark 51000; watch; mark 49000            | look                                         | breached account:main              | however often it was looked at while the best was another
        told        | account 2000                              | bought 1 @50000; mark 51000; watch; clock tomorrow 00:00:00; watch; watch; mark 49000 | look                                         | breached account:main              | and over days
        told        | account 2000                              | bought 1 @50000; mark 49400; watch; clock tomorrow 00:00:00; watch; watch; mark 48000 | look                                         | breached account:main              | 600 USD lost yesterday and 1,400 today
    """,
    "max_executions": """
        below | account 2  | bought 1 @50000                                                  | place buy 1 @50000          | ok                    | one order of less than 2 has traded within the minute
        at    | account 2  | 2 x bought 1 @50000                                              | place buy 1 @50000          | MAX_EXECUTIONS        | two have
        above | account 2  | 3 x works buy 1 @50000; filled 1 @50000 #1; filled 1 @50000 #2; filled 1 @50000 #3 | place buy 1 @50000          | MAX_EXECUTIONS        | three have, of which none was foreseen
        at    | account 2  | 2 x bought 1 @50000; wait 59.999999999s                          | place buy 1 @50000          | MAX_EXECUTIONS        | a nanosecond before the minute is over
        below | account 2  | 2 x bought 1 @50000; wait 60s                                    | place buy 1 @50000          | ok                    | when it is over
        below | account 2  | works buy 1 @50000; filled 0.5 @50000; filled 0.5 @50000         | place buy 1 @50000          | ok                    | an order that trades twice is one
        below | account 2  | bought 1 @50000; 2 x works buy 1 @50000                          | place buy 1 @50000          | ok                    | what has not traded is none
        at reducing | account 2  | 2 x bought 1 @50000                                              | place sell 2 @50000         | ok                    | what brings the position to zero is let through: it ends with the position …
        at    | account 2  | 2 x bought 1 @50000                                              | place sell 2.001 @50000     | MAX_EXECUTIONS        | … and what turns it is not
        at    | account 2  | bought 1 @50000; sold 1 @50000                                   | place sell 1 @50000         | MAX_EXECUTIONS        | with nothing held it stands whichever way an order goes: a person looks first
        at reducing | strategy 2 | 2 x bought 0.1 @50000 by arb; bought 1 @50000                    | place sell 0.201 @50000 by arb + place sell 0.2 @50000 by arb | MAX_EXECUTIONS + ok   | of a strategy its own part of it
        at    | strategy 2 | 2 x bought 1 @50000 by arb                                       | place buy 1 @50000 by arb   | MAX_EXECUTIONS        | of the strategy
        below | strategy 2 | 2 x bought 1 @50000                                              | place buy 1 @50000 by arb   | ok                    | by its own
        at    | global 2   | bought 1 @50000; bought 1 @50000 on sub                          | place buy 1 @50000          | MAX_EXECUTIONS        | of all accounts
        below | account 2  | 2 x bought 1 @50000; killed account; released account            | place buy 1 @50000          | ok                    | a named person's release begins anew
        at    | account 0  |                                                                  | place buy 1 @50000          | MAX_EXECUTIONS        | zero lets nothing through
        below | account 2  | works buy 1 @50000; bought 1 @50000                              | amend #1 2                  | ok                    | an amend after one execution
        at    | account 2  | works buy 1 @50000; 2 x bought 1 @50000                          | amend #1 2                  | MAX_EXECUTIONS        | after two
        above | account 2  | 4 x works buy 1 @50000; filled 1 @50000 #2; filled 1 @50000 #3; filled 1 @50000 #4 | amend #1 2                  | MAX_EXECUTIONS        | after three
        at lowered | account 2  | works buy 1 @50000; 2 x bought 1 @50000                          | amend #1 0.5                | ok                    | less of it
        at    | account 2  | works buy 1 @50000; 2 x bought 1 @50000                          | amend #1 @49999             | MAX_EXECUTIONS        | another price is another order
        at reducing | account 2  | works sell 0.5 @55000; 2 x bought 1 @50000                       | amend #1 2 @54000 + amend #1 2.001 | ok + ORDER_PENDING    | more of what brings the position to zero, and nearer
        at    | account 2  | works buy 1 @50000; 2 x bought 1 @50000                          | cancel #1                   | ok                    | a cancel is never refused
        below | account 2  | bought 1 @50000                                                  | bulk 3 x place buy 1 @50000 | 3 x ok                | in bulk, of which none has traded yet
        at    | account 2  | 2 x bought 1 @50000                                              | bulk 3 x place buy 1 @50000 | 3 x MAX_EXECUTIONS    | in bulk none
        at reducing | account 2  | 2 x bought 1 @50000                                              | bulk place buy 1 @50000 + 3 x place sell 0.8 @50000 | MAX_EXECUTIONS + 2 x ok + MAX_EXECUTIONS | in bulk 1.6 BTC of 2 bring it nearer to zero, a third 0.8 would turn it
        told  | account 10 | 7 x bought 1 @50000                                              | look                        | quiet                 | 7 of 10 within a minute
        told  | account 10 | 8 x bought 1 @50000                                              | look                        | near account:main     | 8 are near
        told  | account 10 | 10 x bought 1 @50000                                             | look                        | breached account:main | 10 are beyond
    """,
    "max_rejects": """
        below | account 2                               | rejected 1                                                       | place buy 1 @50000          | ok                    | the venue rejected one order of less than 2 within the minute
        at    | account 2                               | rejected 2                                                       | place buy 1 @50000          | MAX_REJECTS           | it rejected two
        above | account 2                               | 3 x sent buy 1 @50000; turned-down #1; turned-down #2; turned-down #3 | place buy 1 @50000          | MAX_REJECTS           | it rejected three that were on their way
        at    | account 2                               | rejected 2; wait 59.999999999s                                   | place buy 1 @50000          | MAX_REJECTS           | a nanosecond before the minute is over
        below | account 2                               | rejected 2; wait 60s                                             | place buy 1 @50000          | ok                    | when it is over
        below | account 2; account max_order_quantity 1 | denied buy 2 @50000; denied buy 2 @50000                         | place buy 1 @50000          | ok                    | what was denied here was not rejected there
        at reducing | account 2                               | bought 1 @50000; rejected 2                                      | place sell 1 @50000         | ok                    | what brings the position to zero is let through …
        at    | account 2                               | bought 1 @50000; rejected 2                                      | place sell 1.001 @50000     | MAX_REJECTS           | … and what turns it is not
        at    | account 2; account max_messages 3       | bought 1 @50000; rejected 2                                      | place sell 1 @50000         | MAX_MESSAGES          | but no faster than the throttle has it: what is rejected does not end with the position
        at reducing | strategy 2                              | bought 0.1 @50000 by arb; bought 1 @50000; rejected 2 by arb     | place sell 0.101 @50000 by arb + place sell 0.1 @50000 by arb | MAX_REJECTS + ok      | of a strategy its own part of it
        at    | strategy 2                              | rejected 2 by arb                                                | place buy 1 @50000 by arb   | MAX_REJECTS           | of the strategy
        below | strategy 2                              | rejected 2                                                       | place buy 1 @50000 by arb   | ok                    | by its own
        at    | global 2                                | rejected 1; rejected 1 on sub                                    | place buy 1 @50000          | MAX_REJECTS           | of all accounts
        below | account 2                               | rejected 2; killed account; released account                     | place buy 1 @50000          | ok                    | a named person's release begins anew
        at    | account 0                               |                                                                  | place buy 1 @50000          | MAX_REJECTS           | zero lets nothing through
        below | account 2                               | works buy 1 @50000; rejected 1                                   | amend #1 2                  | ok                    | an amend after one
        at    | account 2                               | works buy 1 @50000; rejected 2                                   | amend #1 2                  | MAX_REJECTS           | after two
        above | account 2                               | works buy 1 @50000; 3 x sent buy 1 @50000; turned-down #2; turned-down #3; turned-down #4 | amend #1 2                  | MAX_REJECTS           | after three
        at lowered | account 2                               | works buy 1 @50000; rejected 2                                                            | amend #1 0.5                | ok                    | less of it
        at    | account 2                               | works buy 1 @50000; rejected 2                                                            | amend #1 @49999             | MAX_REJECTS           | another price is another order
        at reducing | account 2                               | bought 1 @50000; works sell 0.5 @55000; rejected 2                                        | amend #2 1 @54000           | ok                    | more of what brings the position to zero, and nearer
        at    | account 2                               | works buy 1 @50000; rejected 2                                   | cancel #1                   | ok                    | a cancel is never refused
        below | account 2                               | rejected 1                                                       | bulk 3 x place buy 1 @50000 | 3 x ok                | in bulk, which the venue has not answered yet
        at    | account 2                               | rejected 2                                                       | bulk 3 x place buy 1 @50000 | 3 x MAX_REJECTS       | in bulk none
        told  | account 10                              | rejected 7                                                       | look                        | quiet                 | 7 of 10 within a minute
        told  | account 10                              | rejected 8                                                       | look                        | near account:main     | 8 are near
        told  | account 10                              | rejected 10                                                      | look                        | breached account:main | 10 are beyond
    """,
    "max_differences": """
        below | account 2  | differences 1                                   | place buy 1 @50000          | ok                    | a reconciliation found one difference of at most 2
        at    | account 2  | differences 2                                   | place buy 1 @50000          | ok                    | it found two
        above | account 2  | differences 3                                   | place buy 1 @50000          | MAX_DIFFERENCES       | it found three
        above | account 2  | differences 2; differences 1 of perp            | place buy 1 @50000          | MAX_DIFFERENCES       | two on spot and one on futures
        at    | account 2  | differences 3; differences 2                    | place buy 1 @50000          | ok                    | until the next finds fewer
        below | account 2  | differences 3; differences 0                    | place buy 1 @50000          | ok                    | or none
        above | account 2  | differences 3; wait 1h                          | place buy 1 @50000          | MAX_DIFFERENCES       | time does not mend them
        below | account 2  | differences 3; killed account; released account | place buy 1 @50000          | ok                    | a named person's release does
        above reducing | account 2  | bought 1 @50000; differences 3                  | place sell 1 @50000         | ok                    | what brings to zero what is held, as the reconciliation left it, is let through …
        above | account 2  | bought 1 @50000; differences 3                  | place sell 1.001 @50000     | MAX_DIFFERENCES       | … and what turns it is not
        above reducing | account 2  | bought 0.1 @50000 by arb; bought 1 @50000; differences 3 | place sell 1.1 @50000 by arb | ok                    | of the account, whoever of it has taken it
        above | global 2   | differences 2; differences 1 on sub             | place buy 1 @50000          | MAX_DIFFERENCES       | of all accounts
        above | exchange 2 | differences 2; differences 1 on sub             | place buy 1 @50000          | MAX_DIFFERENCES       | of the exchange
        below | account 2  | differences 3 on sub                            | place buy 1 @50000          | ok                    | another account's are its own
        above | account 0  | differences 1                                   | place buy 1 @50000          | MAX_DIFFERENCES       | of zero one is too many
        at    | account 0  |                                                 | place buy 1 @50000          | ok                    | and none is not
        below | account 2  | works buy 1 @50000; differences 1               | amend 2                     | ok                    | an amend after one
        at    | account 2  | works buy 1 @50000; differences 2               | amend 2                     | ok                    | after two
        above | account 2  | works buy 1 @50000; differences 3               | amend 2                     | MAX_DIFFERENCES       | after three
        above lowered | account 2  | works buy 1 @50000; differences 3               | amend 0.5                   | ok                    | less of it
        above | account 2  | works buy 1 @50000; differences 3               | amend @49999                | MAX_DIFFERENCES       | another price is another order
        above reducing | account 2  | bought 1 @50000; works sell 0.5 @55000; differences 3 | amend 1 @54000              | ok                    | more of what brings the position to zero, and nearer
        above | account 2  | works buy 1 @50000; differences 3               | cancel                      | ok                    | a cancel is never refused
        at    | account 2  | differences 2                                   | bulk 3 x place buy 1 @50000 | 3 x ok                | in bulk all
        above | account 2  | differences 3                                   | bulk 3 x place buy 1 @50000 | 3 x MAX_DIFFERENCES   | in bulk none
        told  | account 10 | differences 7                                   | look                        | quiet                 | 7 of 10
        told  | account 10 | differences 8                                   | look                        | near account:main     | 8 are near
        told  | account 10 | differences 10                                  | look                        | near account:main     | 10 of 10 are at it, and near
        told  | account 10 | differences 11                                  | look                        | breached account:main | 11 are beyond
    """,
    "kill_on": """
        loss below        | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000.01                                   | watch                       | quiet                              | 999.99 USD lost of less than 1,000
        loss at           | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000                                      | watch                       | kills account:main on max_daily_loss | 1,000 USD lost
        loss above        | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; works buy 1 @40000; mark 48999.99               | watch                       | kills account:main on max_daily_loss, 1 to cancel | a cent more; what works is cancelled
        loss at           | account max_daily_loss; account max_daily_loss 0 | works buy 1 @40000; limits                                       | watch                       | quiet                              | of zero: nothing was lost, and what works stays, though nothing more is let through
        drawdown below    | account max_drawdown; account max_drawdown 2000 | bought 1 @50000; mark 51000; mark 49000.01                       | watch                       | quiet                              | 1,999.99 USD below the best
        drawdown at       | account max_drawdown; account max_drawdown 2000 | bought 1 @50000; mark 51000; mark 49000                          | watch                       | kills account:main on max_drawdown | 2,000 USD below
        drawdown at       | account max_drawdown; account max_drawdown 2000 | bought 1 @50000; watch; mark 51000; watch; mark 49000            | watch                       | kills account:main on max_drawdown | the same, looked at while the best was another
        drawdown above    | account max_drawdown; account max_drawdown 2000 | bought 1 @50000; mark 51000; mark 48999.99                       | watch                       | kills account:main on max_drawdown | a cent more
        executions below  | strategy max_executions; strategy max_executions 2 | bought 1 @50000 by arb                                           | watch                       | quiet                              | one execution of less than 2 within the minute
        executions at     | strategy max_executions; strategy max_executions 2 | 2 x bought 1 @50000 by arb                                       | watch                       | kills strategy:arb on max_executions | two
        executions above  | strategy max_executions; strategy max_executions 2 | 3 x works buy 1 @50000 by arb; filled 1 @50000 #1; filled 1 @50000 #2; filled 1 @50000 #3 | watch                       | kills strategy:arb on max_executions | three
        executions below  | strategy max_executions; strategy max_executions 2 | 2 x bought 1 @50000 by arb; wait 60s                             | watch                       | quiet                              | two a minute ago
        rejects below     | account max_rejects; account max_rejects 2   | rejected 1                                                       | watch                       | quiet                              | one order rejected of less than 2 within the minute
        rejects at        | account max_rejects; account max_rejects 2   | rejected 2                                                       | watch                       | kills account:main on max_rejects  | two
        rejects above     | account max_rejects; account max_rejects 2   | 3 x sent buy 1 @50000; turned-down #1; turned-down #2; turned-down #3 | watch                       | kills account:main on max_rejects  | three
        differences at    | account max_differences; account max_differences 2 | differences 2                                                    | watch                       | quiet                              | a reconciliation found two of at most 2
        differences above | account max_differences; account max_differences 2 | differences 3                                                    | watch                       | kills account:main on max_differences | three
        age at            | account max_price_age; account max_price_age 15s | works buy 1 @50000; wait 15s                                     | watch                       | quiet                              | an order works by a mark of 15 s ago
        age above         | account max_price_age; account max_price_age 15s | works buy 1 @50000; wait 15.000000001s                           | watch                       | kills account:main on max_price_age, 1 to cancel | a nanosecond older
        age above         | strategy max_price_age; global max_price_age 15s | works buy 1 @50000 by arb; wait 15.000000001s                    | watch                       | kills strategy:arb on max_price_age, 1 to cancel | by the age that another scope says
        age at            | strategy max_price_age; strategy max_price_age 15s; account max_price_age; account max_price_age 30s | works buy 1 @50000 by arb; wait 30s                              | watch                       | kills strategy:arb on max_price_age, 1 to cancel | of two scopes each by its own: 30 s are more than 15, and no more than 30 …
        age above         | strategy max_price_age; strategy max_price_age 15s; account max_price_age; account max_price_age 30s | works buy 1 @50000 by arb; wait 30.000000001s                    | watch                       | kills account:main on max_price_age and kills strategy:arb on max_price_age, 1 to cancel | … and a nanosecond later than both
        age at | account max_price_age; account max_price_age 15s | bought 1 @50000; wait 15s | watch | quiet | a position is held by a mark of 15 s ago
        age above | account max_price_age; account max_price_age 15s | bought 1 @50000; wait 15.000000001s | watch | kills account:main on max_price_age | a nanosecond older: what it has lost is not known any more
        age above | account max_price_age; account max_price_age 15s | holds main 60000 USDT of perp; bought 1 @50000 of perp; wait 1h; mark 50000 | watch | kills account:main on max_price_age | on futures alike, whatever other marks are told
        age above | account max_price_age; account max_price_age 15s | bought 1 @50000; sold 1 @50000; wait 15.000000001s | watch | quiet | where nothing works and nothing is held no mark matters
        age above | strategy max_price_age; strategy max_price_age 15s | bought 1 @50000 by arb; sold 1 @50000; wait 15.000000001s | watch | kills strategy:arb on max_price_age | a strategy holds its own part, though the account is flat
        age above | account max_price_age; account max_price_age 15s | bought 1 @50000 on sub; wait 15.000000001s | watch | quiet | what another account holds is not this one's
        rate at | account max_price_age; account max_price_age 15s | valued BTC by BTCUSDT; bought 1 @0.05 of ethbtc; wait 15s; mark 0.05 of ethbtc | watch | quiet | a mark of now, and a BTC valued by one of 15 s ago
        rate above | account max_price_age; account max_price_age 15s | valued BTC by BTCUSDT; bought 1 @0.05 of ethbtc; wait 15.000000001s; mark 0.05 of ethbtc | watch | kills account:main on max_price_age | a nanosecond older: what it is worth in USD is not known any more
        rate above | account max_price_age; account max_price_age 15s | valued BTC by BTCUSDT; works buy 1 @0.05 of ethbtc; wait 15.000000001s; mark 0.05 of ethbtc | watch | kills account:main on max_price_age, 1 to cancel | nor for an order that works
        rate fixed | account max_price_age; account max_price_age 15s | valued BTC 50000; bought 1 @0.05 of ethbtc; wait 15.000000001s; mark 0.05 of ethbtc | watch | quiet | a fixed rate does not get old
        no mark           | account max_price_age; account max_price_age 15s | works buy 1 @100 of new; limits                                  | watch                       | kills account:main on max_price_age, 1 to cancel | no mark at all is older than any
        other             | account max_drawdown; account max_daily_loss 1000 | bought 1 @50000; mark 49000                                      | watch                       | quiet                              | 1,000 USD lost, which is not named
        other             | account max_drawdown,max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000                                      | watch                       | kills account:main on max_daily_loss | one of several that are named
        other             | account max_daily_loss; global max_daily_loss 1000 | bought 1 @50000; mark 49000                                      | watch                       | quiet                              | named of another scope than the one that says the limit
        each              | account:* max_daily_loss; account:* max_daily_loss 1000 | bought 1 @50000; bought 1 @50000 on sub; mark 49000              | watch                       | kills account:main on max_daily_loss and kills account:sub on max_daily_loss | each account by its own
        off               | account off; account max_daily_loss 1000     | bought 1 @50000; mark 49000                                      | watch                       | quiet                              | off: opening is denied, and nothing is cancelled
        on                | account max_daily_loss; account max_daily_loss 1000; account kill_reduce_only on | bought 1 @50000; mark 49000; watch; released account             | place buy 1 @49000          | MAX_DAILY_LOSS                     | released the limit stands still
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | place buy 1 @49000          | KILL_SWITCH                        | killed by itself, as if by a person
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch; mark 52000; watch            | place buy 1 @49000          | KILL_SWITCH                        | it stays, with 2,000 USD won by now: only a named person releases it
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; works buy 1 @40000; mark 49000; watch; stays    | amend 0.5                   | KILL_SWITCH                        | nothing is amended
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; works buy 1 @40000; mark 49000; watch; stays    | cancel                      | ok                                 | a cancel is never refused
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | bulk 3 x place buy 1 @49000 | 3 x KILL_SWITCH                    | in bulk none
        on                | account max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | place buy 1 @49000 on sub   | ok                                 | another account trades on
    """,
    "kill_reduce_only": """
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | place sell 1 @49000            | ok                   | killed by itself: what brings a position of 49,000 USD to zero is let through
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | place sell 1.001 @49000        | KILL_SWITCH          | and what turns it is not
        off | account off; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | place sell 1 @49000            | KILL_SWITCH          | with off nothing is
        on  | account on; account kill_on max_differences; account max_differences 2   | bought 1 @50000; differences 3; watch                            | place sell 1 @50000 + place buy 0.001 @50000 | ok + KILL_SWITCH     | killed by what a reconciliation found: the control that did it lets the same through
        on  | account on; account kill_on max_rejects; account max_rejects 2           | bought 1 @50000; rejected 2; watch                               | place sell 1 @50000 + place buy 0.001 @50000 | ok + KILL_SWITCH     | by rejects
        on  | strategy on; strategy kill_on max_executions; strategy max_executions 2  | 2 x bought 1 @50000 by arb; watch                                | place sell 2 @50000 by arb + place buy 0.001 @50000 by arb | ok + KILL_SWITCH     | by executions
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch; works sell 0.5 @49000        | amend 1                        | ok                   | an order that reduces may be amended to all of 1 BTC
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch; works sell 0.5 @49000        | amend 1.001                    | KILL_SWITCH          | and not to a thousandth more
        off | account off; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; works sell 0.5 @55000; mark 49000; watch; stays | amend 0.4                      | KILL_SWITCH          | with off nothing is amended
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch; works sell 0.5 @49000        | cancel                         | ok                   | a cancel is never refused
        on  | account on; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | bulk 3 x place sell 0.4 @49000 | 2 x ok + KILL_SWITCH | in bulk 0.8 BTC of 1: a third 0.4 would turn it
        off | account off; account kill_on max_daily_loss; account max_daily_loss 1000 | bought 1 @50000; mark 49000; watch                               | bulk 3 x place sell 0.4 @49000 | 3 x KILL_SWITCH      | with off none
    """,
    "main_floor": """
        below        | global 100000 | holds main 100100 USDT                                           | transfer 100.01 USDT main to sub | MAIN_FLOOR          | 100,100 USD less 100.01 would leave 99,999.99 of at least 100,000
        at           | global 100000 | holds main 100100 USDT                                           | transfer 100 USDT main to sub    | ok                  | less 100 leaves 100,000
        above        | global 100000 | holds main 100100 USDT                                           | transfer 99.99 USDT main to sub  | ok                  | less 99.99 leaves 100,000.01
        below        | global 100000 | holds main 99999 USDT                                            | transfer 0.01 USDT main to sub   | MAIN_FLOOR          | what is below it already gives nothing away
        at           | global 100000 | holds main 100100 USDT; transferred 60 USDT main to sub          | transfer 40 USDT main to sub     | ok                  | what is on its way out is gone: 100,100 less 60 less 40
        below        | global 100000 | holds main 100100 USDT; transferred 60 USDT main to sub          | transfer 40.01 USDT main to sub  | MAIN_FLOOR          | a cent too much
        at           | global 100000 | holds main 100100 USDT; transferred 60 USDT main to sub; arrived | transfer 40 USDT main to sub     | ok                  | what has arrived is counted once
        below        | global 100000 | holds main 100100 USDT; transferred 60 USDT main to sub; arrived | transfer 40.01 USDT main to sub  | MAIN_FLOOR          | a cent too much
        at           | global 100000 | holds main 100100 USDT; transferred 60 USDT main to sub; came-to-nothing | transfer 100 USDT main to sub    | ok                  | what the venue refused is there again
        below        | global 100000 | holds main 100050 USDT; transferred 50 USDT sub to main          | transfer 50.01 USDT main to sub  | MAIN_FLOOR          | what is on its way in is not there yet …
        at           | global 100000 | holds main 100050 USDT; transferred 50 USDT sub to main          | transfer 50 USDT main to sub     | ok                  | … and takes nothing away either
        at           | global 100000 | holds main 100050 USDT; transferred 50 USDT sub to main; arrived | transfer 100 USDT main to sub    | ok                  | arrived it is
        at           | global 100000 | holds main 100 USDT; holds main 100000 USDT of perp              | transfer 100 USDT main to sub    | ok                  | all wallets together: 100 USDT on spot and 100,000 on futures
        below        | global 100000 | holds main 100 USDT; holds main 99999.99 USDT of perp            | transfer 100 USDT main to sub    | MAIN_FLOOR          | a cent less
        at           | global 100000 | holds main 50000 USDT 1.002 BTC; valued BTC 50000                | transfer 0.002 BTC main to sub   | ok                  | at 50,000 USD a BTC: 100,100 USD less 100
        below        | global 100000 | holds main 50000 USDT 1.002 BTC; valued BTC 50000                | transfer 0.003 BTC main to sub   | MAIN_FLOOR          | less 150
        at           | global 100000 | holds main 50000 USDT 1.002 BTC; valued BTC 50000; transferred 0.001 BTC main to sub | transfer 50 USDT main to sub     | ok                  | 50 USD of BTC on their way and 50 of USDT
        below        | global 100000 | holds main 50000 USDT 1.002 BTC; valued BTC 50000; transferred 0.001 BTC main to sub | transfer 50.01 USDT main to sub  | MAIN_FLOOR          | a cent too much
        below        | global 100000 | holds main 99999 USDT 90 BTC                                     | transfer 1 USDT main to sub      | MAIN_FLOOR          | what nobody says the worth of holds up nothing
        free         | global 100000 | holds main 5 USDT                                                | transfer 50 USDT sub to main     | ok                  | nothing stands against what comes to the MAIN account
        below and at | global 100000 | holds main 100100 USDT                                           | 3 x transfer 50 USDT main to sub | 2 x ok + MAIN_FLOOR | one after the other: 50, 50, and 50 too much
        at | global 100000 | holds main 40100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; mark 10000 of perp | transfer 100 USDT main to sub | ok | 140,100 USD less 40,000 that are lost and open
        below | global 100000 | holds main 40100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; mark 10000 of perp | transfer 100.01 USDT main to sub | MAIN_FLOOR | a cent too much: a loss is one before it is realised …
        below | global 100000 | holds main 200 USDT; holds main 99900 USDT of perp; bought 1 @50000 of perp; mark 90000 of perp | transfer 100.01 USDT main to sub | MAIN_FLOOR | … and a gain of 40,000 that is open is none
        at | global 100000 | holds main 40100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; bought 1 @50000 of tenth; mark 9000 of perp; mark 60000 of tenth | transfer 100 USDT main to sub | ok | of one wallet together: 41,000 lost and 1,000 gained
        below | global 100000 | holds main 200000 USDT; holds main 60000 USDT of perp; bought 1 @100 of newperp | transfer 1 USDT main to sub | NO_REFERENCE_PRICE | what has no mark may have lost anything
        at | global 100000; global max_price_age 15s | holds main 100100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; wait 15s | transfer 100 USDT main to sub | ok | what is open by a mark of 15 s ago
        below | global 100000; global max_price_age 15s | holds main 100100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; wait 15.000000001s | transfer 100 USDT main to sub | STALE_PRICE | by one a nanosecond older nobody knows what it has lost
        free | global 100000; global max_price_age 15s | holds main 100100 USDT; holds main 100000 USDT of perp; bought 1 @50000 of perp; sold 1 @50000 of perp; wait 1h | transfer 100 USDT main to sub | ok | where nothing is open no mark is asked for
        at | global 100000; global max_price_age 15s | holds main 50000 USDT 2 BTC; valued BTC by BTCUSDT; wait 15s | transfer 50000 USDT main to sub | ok | 2 BTC by a mark of 15 s ago are 100,000 USD
        below | global 100000; global max_price_age 15s | holds main 50000 USDT 2 BTC; valued BTC by BTCUSDT; wait 15.000000001s | transfer 0.01 USDT main to sub | MAIN_FLOOR | by one a nanosecond older they hold up nothing
        below | global 100000; global max_price_age 15s | holds main 50000 USDT 2 BTC; valued BTC by BTCUSDT; wait 15.000000001s | transfer 0.01 BTC main to sub | MAIN_FLOOR | nor go themselves while the rest is too little
        at | global 100000; global max_price_age 15s | holds main 50000 USDT 2 BTC; valued BTC 50000; wait 1h | transfer 50000 USDT main to sub | ok | a fixed rate does not get old
        at | global 100000 | holds main 50000 USDT 2 BTC; valued BTC by BTCUSDT; wait 1h | transfer 50000 USDT main to sub | ok | where max_price_age is off no mark does
        below | global 100000 | holds main 200000 USDT -1 BNB | transfer 1 USDT main to sub | NO_VALUATION | what is owed and nobody says the worth of could be anything
        below | global 100000; global max_price_age 15s | holds main 400000 USDT -2 BTC; valued BTC by BTCUSDT; wait 15.000000001s | transfer 1 USDT main to sub | STALE_PRICE | what is owed by a mark that is old too
        below        | global 0      | holds main 100 USDT                                              | transfer 100 USDT main to sub    | ok                  | of zero everything may go
        off          | global off    | holds main 100 USDT                                              | transfer 100 USDT main to sub    | ok                  | as with off
    """,
    "sub_cap": """
        below        | global 50000 | holds sub 49900 USDT                                             | transfer 99.99 USDT main to sub  | ok               | 49,900 USD and 99.99 more, of at most 50,000
        at           | global 50000 | holds sub 49900 USDT                                             | transfer 100 USDT main to sub    | ok               | and 100 more: 50,000
        above        | global 50000 | holds sub 49900 USDT                                             | transfer 100.01 USDT main to sub | SUB_CAP          | a cent above
        above        | global 50000 | holds sub 60000 USDT                                             | transfer 0.01 USDT main to sub   | SUB_CAP          | what is above it already gets nothing
        at           | global 50000 | holds own 49900 USDT                                             | transfer 100 USDT main to own    | ok               | an account of strategies alike
        above        | global 50000 | holds own 49900 USDT                                             | transfer 100.01 USDT main to own | SUB_CAP          | a cent above
        at           | global 50000 | holds sub 49900 USDT; transferred 60 USDT main to sub            | transfer 40 USDT main to sub     | ok               | what is on its way in is there: 49,900 and 60 and 40
        above        | global 50000 | holds sub 49900 USDT; transferred 60 USDT main to sub            | transfer 40.01 USDT main to sub  | SUB_CAP          | a cent above
        at           | global 50000 | holds sub 49900 USDT; transferred 60 USDT main to sub; arrived   | transfer 40 USDT main to sub     | ok               | what has arrived is counted once
        above        | global 50000 | holds sub 49900 USDT; transferred 60 USDT main to sub; arrived   | transfer 40.01 USDT main to sub  | SUB_CAP          | a cent above
        at           | global 50000 | holds sub 49900 USDT; transferred 60 USDT main to sub; came-to-nothing | transfer 100 USDT main to sub    | ok               | what the venue refused never was
        at           | global 50000 | holds sub 49900 USDT; holds own 0 USDT; transferred 60 USDT main to own | transfer 100 USDT main to sub    | ok               | what goes to another account is another's
        above        | global 50000 | holds sub 50000 USDT; transferred 50 USDT sub to main            | transfer 0.01 USDT main to sub   | SUB_CAP          | what is on its way out is there until it is gone …
        at           | global 50000 | holds sub 50000 USDT; transferred 50 USDT sub to main; arrived   | transfer 50 USDT main to sub     | ok               | … and then it makes room
        at           | global 50000 | holds sub 100 USDT; holds sub 49800 USDT of perp                 | transfer 100 USDT main to sub    | ok               | all wallets together: 100 USDT on spot and 49,800 on futures
        above        | global 50000 | holds sub 100 USDT; holds sub 49800 USDT of perp                 | transfer 100.01 USDT main to sub | SUB_CAP          | a cent above
        at           | global 50000 | holds sub 0 USDT; valued BTC 50000                               | transfer 1 BTC main to sub       | ok               | a BTC at 50,000 USD
        above        | global 50000 | holds sub 0.01 USDT; valued BTC 50000                            | transfer 1 BTC main to sub       | SUB_CAP          | and a cent that was there
        no rate      | global 50000 | holds sub 0 USDT                                                 | transfer 0.001 BTC main to sub   | NO_VALUATION     | what nobody says the worth of could be anything
        no rate      | global 50000 | holds sub 1 BNB                                                  | transfer 1 USDT main to sub      | NO_VALUATION     | and so could what it holds already
        no rate      | global 50000 | holds sub 0 USDT; transferred 0.001 BTC main to sub; limits      | transfer 1 USDT main to sub      | NO_VALUATION     | or what is on its way to it
        at | global 50000 | holds sub 100 USDT; holds sub 49800 USDT of perp; bought 0.5 @50000 of perp on sub; mark 10000 of perp | transfer 100 USDT main to sub | ok | what is lost and open makes no room …
        above | global 50000 | holds sub 100 USDT; holds sub 49800 USDT of perp; bought 0.5 @50000 of perp on sub; mark 10000 of perp | transfer 100.01 USDT main to sub | SUB_CAP | … of 20,000 not a cent
        at | global 50000 | holds sub 100 USDT; holds sub 49800 USDT of perp; bought 0.5 @50000 of perp on sub; mark 90000 of perp | transfer 100 USDT main to sub | ok | nor takes what is gained and open any away
        at | global 50000; global max_price_age 15s | holds sub 0 USDT; valued BTC by BTCUSDT; wait 15s | transfer 1 BTC main to sub | ok | by a mark of 15 s ago
        old rate | global 50000; global max_price_age 15s | holds sub 0 USDT; valued BTC by BTCUSDT; wait 15.000000001s | transfer 0.001 BTC main to sub | STALE_PRICE | by one a nanosecond older it could be anything
        old rate | global 50000; global max_price_age 15s | holds sub 0.1 BTC; valued BTC by BTCUSDT; wait 15.000000001s | transfer 1 USDT main to sub | STALE_PRICE | and so could what it holds already
        old rate | global 50000; global max_price_age 15s | holds sub 0 USDT; valued BTC by BTCUSDT; transferred 0.001 BTC main to sub; wait 15.000000001s | transfer 1 USDT main to sub | STALE_PRICE | or what is on its way to it
        at | global 50000; global max_price_age 15s | holds sub 0 USDT; valued BTC 50000; wait 1h | transfer 1 BTC main to sub | ok | a fixed rate does not get old
        at | global 50000 | holds sub 0 USDT; valued BTC by BTCUSDT; wait 1h | transfer 1 BTC main to sub | ok | where max_price_age is off no mark does
        free         | global 50000 | holds sub 60000 USDT                                             | transfer 1 USDT sub to main      | ok               | nothing stands against what leaves it
        at and above | global 50000 | holds sub 49900 USDT                                             | 3 x transfer 50 USDT main to sub | 2 x ok + SUB_CAP | one after the other: 50, 50, and 50 too much
        above        | global 0     | holds sub 0 USDT                                                 | transfer 0.01 USDT main to sub   | SUB_CAP          | of zero nothing comes
        off          | global off   | holds sub 60000 USDT                                             | transfer 1 BTC main to sub       | ok               | as with off everything does, of whatever worth
    """,
    "day_starts_at": """
        below | global 13; account max_daily_loss 1000 | bought 1 @50000; sold 1 @49000; clock 12:59:59.999999999; watch  | place buy 1 @50000          | MAX_DAILY_LOSS     | 1,000 USD lost at noon; the day ends at 13:00 UTC
        at    | global 13; account max_daily_loss 1000 | bought 1 @50000; sold 1 @49000; clock 13:00:00; watch            | place buy 1 @50000          | ok                 | at 13:00 the next begins without loss
        above | global 13; account max_daily_loss 1000 | bought 1 @50000; sold 1 @49000; clock 13:00:01; watch            | place buy 1 @50000          | ok                 | a second later
        below | global 0; account max_daily_loss 1000  | bought 1 @50000; sold 1 @49000; clock 23:59:59.999999999; watch  | place buy 1 @50000          | MAX_DAILY_LOSS     | of a day that begins at midnight as well
        at    | global 0; account max_daily_loss 1000  | bought 1 @50000; sold 1 @49000; clock tomorrow 00:00:00; watch   | place buy 1 @50000          | ok                 | it is over at midnight
        below | global 13; account max_daily_loss 1000 | works buy 1 @40000; bought 1 @50000; sold 1 @49000; clock 12:59:59.999999999; watch | amend #1 2                  | MAX_DAILY_LOSS     | an amend before 13:00
        at    | global 13; account max_daily_loss 1000 | works buy 1 @40000; bought 1 @50000; sold 1 @49000; clock 13:00:00; watch | amend #1 2                  | ok                 | at 13:00
        above | global 13; account max_daily_loss 1000 | works buy 1 @40000; bought 1 @50000; sold 1 @49000; clock 13:00:01; watch | amend #1 2                  | ok                 | a second later
        below | global 13; account max_daily_loss 1000 | works buy 1 @40000; bought 1 @50000; sold 1 @49000               | cancel #1                   | ok                 | a cancel is never refused
        at    | global 13; account max_daily_loss 1000 | bought 1 @50000; sold 1 @49000; clock 13:00:00; watch            | bulk 2 x place buy 1 @50000 | 2 x ok             | in bulk all
        below | global 13; account max_daily_loss 1000 | bought 1 @50000; sold 1 @49000; clock 12:59:59; watch            | bulk 2 x place buy 1 @50000 | 2 x MAX_DAILY_LOSS | in bulk none
    """,
    # -- what is no limit of the table of controls
    "capital": """
        below          |  | assign arb main 100000; bought 1 @50000 by arb                   | place buy 0.999 @50000 by arb      | ok                   | 50,000 USD held and 49,950 new, of a capital of 100,000
        at             |  | assign arb main 100000; bought 1 @50000 by arb                   | place buy 1 @50000 by arb          | ok                   | 100,000 USD
        above          |  | assign arb main 100000; bought 1 @50000 by arb                   | place buy 1.001 @50000 by arb      | CAPITAL              | 100,050 USD
        above          |  | assign arb main 100000; bought 1 @50000 by arb; works buy 20 @2500 of eth by arb | place buy 0.001 @50000 by arb      | CAPITAL              | in all instruments, what works counted: 50,000 USD of BTC and 50,000 of ETH
        at             |  | assign arb main 50000; bought 3 @50000                           | place buy 1 @50000 by arb          | ok                   | what others trade is not its own
        at             |  | assign arb main 50000                                            | place buy 9 @50000                 | ok                   | nor is it theirs
        above reducing |  | bought 1 @50000 by arb; assign arb main 1                        | place sell 1 @50000 by arb         | ok                   | what brings its position to zero is never refused
        above reducing |  | bought 1 @50000 by arb; assign arb main 1                        | place sell 2 @50000 by arb         | ok                   | nor what leaves it as large the other way round
        above          |  | bought 3 @50000; assign arb main 50000                           | place sell 1.001 @50000 by arb     | CAPITAL              | what brings the account's nearer to zero may open the strategy's own
        below          |  | assign arb main 100000; works buy 1 @50000 by arb                | amend 1.999                        | ok                   | amended to 99,950 USD
        at             |  | assign arb main 100000; works buy 1 @50000 by arb                | amend 2                            | ok                   | amended to 100,000 USD
        above          |  | assign arb main 100000; works buy 1 @50000 by arb                | amend 2.001                        | CAPITAL              | amended to 100,050 USD
        above lowered  |  | works buy 3 @50000 by arb; assign arb main 100000                | amend 2.5                          | ok                   | less of an order from before
        above          |  | works buy 3 @50000 by arb; assign arb main 100000                | cancel                             | ok                   | a cancel is never refused
        at and above   |  | assign arb main 150000                                           | bulk 5 x place buy 1 @50000 by arb | 3 x ok + 2 x CAPITAL | in bulk 50,000 USD each: three make 150,000
        no mark        |  |                                                                  | place buy 1 @100 of new by arb     | NO_REFERENCE_PRICE   | nobody knows what it would be worth
        no rate        |  | bought 1 @50000 fee 1 BNB by arb                                 | place buy 1 @50000 by arb          | NO_VALUATION         | nor what its position is, with a fee of a BNB
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 79999.99   | look                                         | quiet                      | 79,999.99 USD, less than four fifths of the capital
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 80000      | look                                         | near strategy:arb          | 80,000 USD
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 100000     | look                                         | near strategy:arb          | all of it may be used
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 100000.01  | look                                         | breached strategy:arb      | the market takes it above
        told           |                                              | bought 1 @50000 by arb; assign arb main 50000                   | look                                         | near strategy:arb          | less capital comes to the same
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 80000; watch; mark 74999.99; wait 5s | look                                         | clear strategy:arb         | below three quarters it is clear again
        told           |                                              | assign arb main 100000; bought 1 @50000 by arb; mark 80000; watch; unassign arb main | look                                         | clear strategy:arb         | and without any
    """,
    "strategy and account": """
        wrong |  |                                                       | place buy 1 @50000 by arb on sub             | STRATEGY_ACCOUNT          | arb is assigned to main, and trades there alone
        right |  |                                                       | place buy 1 @50000 by arb                    | ok                        | there it does
        right |  |                                                       | place buy 1 @50000 on sub                    | ok                        | an order by hand goes anywhere …
        wrong |  |                                                       | place buy 1 @50000 on own                    | STRATEGY_ACCOUNT          | … but on an account of strategies
        wrong |  |                                                       | place buy 1 @50000 by mm on own              | STRATEGY_ACCOUNT          | where a strategy has to be assigned to it
        right |  | assign mm own 50000                                   | place buy 1 @50000 by mm on own              | ok                        | and then trades
        wrong |  | works buy 1 @50000 by mm on sub                       | assign mm main 50000                         | ACCOUNT_NOT_EMPTY         | what it has elsewhere cannot be taken along
        wrong |  | bought 1 @50000 by arb; unassign arb main             | assign arb sub 50000                         | ACCOUNT_NOT_EMPTY         | … nor when it was taken from there before
        right |  | bought 1 @50000 by arb; unassign arb main             | assign arb main 50000                        | ok                        | … but stays where it is
        wrong |  | assign mm own 50000; works buy 1 @50000 by mm on own; unassign mm own | amend 0.5                    | STRATEGY_ACCOUNT          | an order of a strategy that was taken from its account since
        wrong |  | assign mm own 50000; works buy 1 @50000 by mm on own; unassign mm own | cancel                       | ok                        | a cancel is never refused
        wrong |  |                                                       | bulk 2 x place buy 1 @50000 by arb on sub + place buy 1 @50000 on sub | 2 x STRATEGY_ACCOUNT + ok | in bulk each for itself
    """,
    "kill switch": """
        global              |  | works buy 1 @40000; works buy 1 @40000 on sub                    | kill global                                  | ok, 2 to cancel            | everything is cancelled …
        global              |  | killed global                                                    | place buy 1 @50000 + place buy 1 @50000 on sub | KILL_SWITCH + KILL_SWITCH  | … and nothing placed
        global              |  | killed global; released global                                   | place buy 1 @50000                           | ok                         | until a named person releases it
        global              |  | works buy 1 @40000; killed global; stays                         | amend 0.5                                    | KILL_SWITCH                | nothing is amended, not to less either
        global              |  | works buy 1 @40000; killed global; stays                         | cancel                                       | ok                         | a cancel is never refused
        global              |  | killed global                                                    | bulk 3 x place buy 1 @50000                  | 3 x KILL_SWITCH            | in bulk none
        global              |  | bought 1 @50000; killed global                                   | place sell 1 @50000                          | KILL_SWITCH                | nor what brings a position of 50,000 USD to zero
        global reducing     |  | bought 1 @50000; killed global reducing-allowed                  | place sell 1 @50000                          | ok                         | but where that is allowed
        global reducing     |  | bought 1 @50000; killed global reducing-allowed                  | place sell 1.001 @50000                      | KILL_SWITCH                | and no more than that
        exchange            |  | works buy 1 @40000; works buy 1 @40000 on sub                    | kill exchange                                | ok, 2 to cancel            | all of an exchange
        exchange            |  | killed exchange                                                  | place buy 1 @50000                           | KILL_SWITCH                | nothing is placed there
        exchange            |  | killed exchange; released exchange                               | place buy 1 @50000                           | ok                         | until it is released
        exchange            |  | works buy 1 @40000; killed exchange; stays                       | amend 0.5                                    | KILL_SWITCH                | nothing is amended
        exchange            |  | works buy 1 @40000; killed exchange; stays                       | cancel                                       | ok                         | a cancel is never refused
        exchange            |  | bought 1 @50000; killed exchange                                 | place sell 1 @50000                          | KILL_SWITCH                | nothing reduces
        exchange reducing   |  | bought 1 @50000; killed exchange reducing-allowed                | place sell 1 @50000 + place buy 1 @50000     | ok + KILL_SWITCH           | but where that is allowed
        account             |  | works buy 1 @40000; works buy 1 @40000 of eth; works buy 1 @40000 on sub | kill account                                 | ok, 2 to cancel            | all of an account
        account             |  | killed account                                                   | place buy 1 @50000 + place buy 1 @50000 on sub | KILL_SWITCH + ok           | another trades on
        account             |  | killed account; released account                                 | place buy 1 @50000                           | ok                         | until it is released
        account             |  | works buy 1 @40000; killed account; stays                        | amend 0.5                                    | KILL_SWITCH                | nothing is amended
        account             |  | works buy 1 @40000; killed account; stays                        | cancel                                       | ok                         | a cancel is never refused
        account             |  | bought 1 @50000; killed account                                  | place sell 1 @50000                          | KILL_SWITCH                | nothing reduces
        account reducing    |  | bought 1 @50000; killed account reducing-allowed                 | place sell 1 @50000 + place buy 1 @50000     | ok + KILL_SWITCH           | but where that is allowed
        account reducing    |  | bought 1 @50000; killed account reducing-allowed                 | bulk 3 x place sell 0.4 @50000               | 2 x ok + KILL_SWITCH       | in bulk 0.8 BTC of 1: a third 0.4 would turn it
        account reducing    |  | bought 1 @50000; killed account reducing-allowed; works sell 0.5 @50000 | amend 1.001                                  | KILL_SWITCH                | an order that reduces is not amended to one that does not …
        account reducing    |  | bought 1 @50000; killed account reducing-allowed; works sell 0.5 @50000 | amend 1                                      | ok                         | … but to all of it
        strategy            |  | works buy 1 @40000 by arb; works buy 1 @40000                    | kill strategy                                | ok, 1 to cancel            | all of a strategy
        strategy            |  | killed strategy                                                  | place buy 1 @50000 by arb + place buy 1 @50000 | KILL_SWITCH + ok           | its account trades on
        strategy            |  | killed strategy; released strategy                               | place buy 1 @50000 by arb                    | ok                         | until it is released
        strategy            |  | works buy 1 @40000 by arb; killed strategy; stays                | amend 0.5                                    | KILL_SWITCH                | nothing is amended
        strategy            |  | works buy 1 @40000 by arb; killed strategy; stays                | cancel                                       | ok                         | a cancel is never refused
        strategy            |  | bought 1 @50000 by arb; killed strategy                          | place sell 1 @50000 by arb                   | KILL_SWITCH                | nothing reduces
        strategy reducing   |  | bought 1 @50000 by arb; killed strategy reducing-allowed         | place sell 1 @50000 by arb + place buy 1 @50000 by arb | ok + KILL_SWITCH           | but where that is allowed
        strategy            |  | sent buy 1 @40000 by new; turned-down                            | kill strategy:new + place buy 1 @50000 by new | ok + KILL_SWITCH           | one is killed by its name, whatever became of its orders …
        strategy            |  |                                                                  | kill strategy:new + place buy 1 @50000 by new | ok + KILL_SWITCH           | … and before it has any
        instrument          |  | works buy 1 @40000; works buy 1 @40000 on sub; works buy 1 @2500 of eth | kill instrument                              | ok, 2 to cancel            | all of an instrument, in all accounts
        instrument          |  | killed instrument                                                | place buy 1 @50000 + place buy 1 @2500 of eth | KILL_SWITCH + ok           | others trade on
        instrument          |  | holds main 50000 USDT of perp; killed instrument                 | place buy 0.5 @50000 of perp                 | ok                         | the same symbol of another market too
        instrument          |  | killed instrument; released instrument                           | place buy 1 @50000                           | ok                         | until it is released
        instrument          |  | works buy 1 @40000; killed instrument; stays                     | amend 0.5                                    | KILL_SWITCH                | nothing is amended
        instrument          |  | works buy 1 @40000; killed instrument; stays                     | cancel                                       | ok                         | a cancel is never refused
        strategy reducing   |  | bought 0.1 @50000 by arb; bought 1 @50000; killed strategy reducing-allowed | place sell 0.2 @50000 by arb + place sell 0.1 @50000 by arb | KILL_SWITCH + ok | what others of the account hold is not its to reduce …
        strategy reducing   |  | bought 1 @50000; sold 0.1 @50000 by arb; killed strategy reducing-allowed | place sell 0.1 @50000 by arb + place sell 0.1 @50000 | KILL_SWITCH + ok | … nor may it take more of its own against them; by hand anything is closed
        hand reducing       |  | bought 1 @50000 by arb; killed hand reducing-allowed             | place sell 1 @50000                          | ok                         | by hand what any strategy has is closed
        instrument          |  | bought 1 @50000; killed instrument                               | place sell 1 @50000                          | KILL_SWITCH                | nothing reduces
        instrument reducing |  | bought 1 @50000; killed instrument reducing-allowed              | place sell 1 @50000 + place buy 1 @50000     | ok + KILL_SWITCH           | but where that is allowed
        two                 |  | killed account; killed global; released account                  | place buy 1 @50000                           | KILL_SWITCH                | released in one scope, another still holds
        two reducing        |  | bought 1 @50000; killed account reducing-allowed; killed global  | place sell 1 @50000                          | KILL_SWITCH                | and lets nothing through that only the other would
        two reducing        |  | bought 1 @50000; killed account reducing-allowed; killed global reducing-allowed | place sell 1 @50000                          | ok                         | but what both let through
        again               |  | works buy 1 @40000; cancelled                                    | kill account                                 | ok                         | what is asked to be cancelled already is not asked again
        left over           |  | works buy 1 @40000; killed account; stays; wait 1.999999999s     | watch                                        | quiet                      | what the venue did not cancel …
        left over           |  | works buy 1 @40000; killed account; stays; wait 2s               | watch                                        | quiet, 1 to cancel         | … it is asked to again, 2 s later
        left over           |  | works buy 1 @40000; killed account; stays; wait 2s               | watch + watch                                | quiet, 1 to cancel + quiet | and not twice at once
        left over           |  | works buy 1 @40000 on sub; killed account; wait 1h               | watch                                        | quiet                      | out of scope nothing is
        left over           |  | works buy 1 @40000; killed account; stays; wait 1s; filled 0.1 @40000; wait 1s | watch                                        | quiet, 1 to cancel         | 2 s from the venue's refusal, whatever trades meanwhile
        found               |  | appeared sell 1 @50000                                           | kill account                                 | ok, 1 to cancel            | what a person placed at the venue is cancelled like any order
        found               |  | bought 1 @50000; killed account; appeared sell 1 @50000          | watch                                        | quiet, 1 to cancel         | what appears there since is found at once, and cancelled
        found reducing      |  | bought 1 @50000; killed account reducing-allowed; wait 1s; appeared sell 1 @50000; wait 10s | watch                                        | quiet                      | but where reducing is allowed one that reduces stays: people close positions at the venue
        found reducing      |  | bought 1 @50000; killed account reducing-allowed; wait 1s; appeared sell 1.001 @50000 | watch                                        | quiet, 1 to cancel         | of 1 BTC 1.001 is too much
        found reducing      |  | bought 1 @50000; killed account reducing-allowed; wait 1s; appeared buy 0.1 @50000 | watch                                        | quiet, 1 to cancel         | and a buy is no way out of it
        found reducing      |  | bought 1 @50000; killed account reducing-allowed; wait 1s; appeared sell 0.6 @50000; appeared sell 0.6 @50000 | watch                                        | quiet, 1 to cancel         | of two the older one stays, and what is left is 0.4 BTC
        found reducing      |  | bought 1 @50000; works sell 1 @60000; killed account reducing-allowed; stays; wait 1s; appeared sell 1 @50000 | watch                                        | quiet                      | an order that is to be cancelled, and is not yet, does not count against it
        found reducing      |  | bought 1 @50000; killed account reducing-allowed; killed global; wait 1s; appeared sell 1 @50000 | watch                                        | quiet, 1 to cancel         | every kill switch has to allow it
        found reducing      |  | sold 1 @50000; killed account reducing-allowed; wait 1s; appeared buy 1 @50000                                          | watch                                        | quiet                      | as a buy does of what is short
        left over reducing  |  | bought 1 @50000; killed account reducing-allowed; wait 1s; works sell 1 @50000; wait 10s | watch                                        | quiet                      | nor is what was let through since
    """,
    "limits that change": """
        lowered    | account max_order_value 60000                | limit account max_order_value 49999                              | place buy 1 @50000                           | MAX_ORDER_VALUE       | lowered it holds at once: 50,000 USD of at most 49,999
        raised     | account max_order_value 10                   | limit account max_order_value 50000                              | place buy 1 @50000                           | ok                    | raised too: 50,000 USD of at most 50,000
        overridden | account max_order_value 10                   | overridden account max_order_value 50000 60s; wait 59.999999999s | place buy 1 @50000                           | ok                    | overridden for a minute: 50,000 USD stand in place of 10, until it is over …
        over       | account max_order_value 10                   | overridden account max_order_value 50000 60s; wait 60s           | place buy 1 @50000                           | MAX_ORDER_VALUE       | … and 10 again from the nanosecond on, whether anybody has looked
        over       | account max_order_value 10                   | overridden account max_order_value 50000 60s; sent buy 1 @50000; wait 60s | place buy 1 @50000                           | MAX_ORDER_VALUE       | and whether anybody has used it
        overridden | account max_order_value 60000                | overridden account max_order_value 49999 60s                     | place buy 1 @50000                           | MAX_ORDER_VALUE       | an override may be tighter as well
        over       | account max_order_value 60000                | overridden account max_order_value 49999 60s; wait 60s           | place buy 1 @50000                           | ok                    | for as long
        overridden | account:* max_order_value 10                 | overridden account max_order_value 50000 60s                     | place buy 1 @50000 + place buy 1 @50000 on sub | ok + MAX_ORDER_VALUE  | of one account, in place of what each has
        overridden | global max_order_value 10                    | overridden account max_order_value 50000 60s                     | place buy 1 @50000                           | MAX_ORDER_VALUE       | an override of one scope widens no other
        overridden | account max_order_value 10; account max_order_quantity 0.5 | overridden account max_order_value 50000 60s                     | place buy 1 @50000                           | MAX_ORDER_QUANTITY    | nor any other control
        overridden | account max_order_value 30000                | works buy 0.5 @50000; overridden account max_order_value 50000 60s; wait 59.999999999s | amend 1                                      | ok                    | an amend as an order
        over       | account max_order_value 30000                | works buy 0.5 @50000; overridden account max_order_value 50000 60s; wait 60s | amend 1                                      | MAX_ORDER_VALUE       | until it is over
        overridden | account max_exposure 50000                   | overridden account max_exposure 100000 60s                       | bulk 3 x place buy 1 @50000                  | 2 x ok + MAX_EXPOSURE | in bulk two for 100,000 USD
        over       | account max_exposure 50000                   | overridden account max_exposure 100000 60s; 2 x sent buy 1 @50000; wait 60s | place buy 0.001 @50000                       | MAX_EXPOSURE          | what was let through stays, and nothing comes to it
    """,
}
# fmt: on
