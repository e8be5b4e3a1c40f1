"""The times and bounds of a connector. The defaults are for real venues; tests shorten them."""

import attrs


@attrs.frozen(kw_only=True)
class Settings:
    """Seconds, unless the name says otherwise.

    Args:
        grace_margin_s: a request may take effect for the venue's accept window and this much longer.
        send_within_s: after this a predecessor of ours, cut off, sends nothing any more: its deadlines have passed.
        confirm_s: between the two confirmations that an order is absent.
        clock_skew_s: how far the engine's clock and ours may be apart.
        overlap_s: reconciliation asks for trades from this long before the last one known.
        look_up_s, look_up_max_s: first and longest pause between look-ups of one order.
        lag_attempts: look-ups that wait for trades the venue has counted but not listed.
        balance_attempts: how often funds are read before giving up on finding them quiet.
        backoff_s, backoff_max_s: first and longest pause before the next session, with jitter.
        concurrent: orders worked on at once; as many cancels again.
        orders_s, fills_s, funds_s: between two comparisons of open orders, of trades, and of balances and positions.
        settled_s: what is younger may still be on its way on the stream, and is no difference yet.
        wallet_s: how long funds wait for the other sessions of their wallet to catch up.
        marks_s, mark_age_s: between two reports of marks; one that has not changed is told again at that age.
        marks_asked_s: between two looks at what stands, where streams tell changes.
        instruments_s: between two readings of what the venue lists.
    """

    grace_margin_s: float = 10.0
    send_within_s: float = 5.0
    confirm_s: float = 1.0
    clock_skew_s: float = 5.0
    overlap_s: float = 60.0
    look_up_s: float = 0.2
    look_up_max_s: float = 5.0
    lag_attempts: int = 5
    balance_attempts: int = 5
    backoff_s: float = 0.5
    backoff_max_s: float = 30.0
    heartbeat_s: float = 1.0
    probe_s: float = 5.0
    open_s: float = 60.0
    marks_s: float = 1.0
    mark_age_s: float = 5.0
    marks_asked_s: float = 60.0
    concurrent: int = 50
    orders_s: float = 60.0
    fills_s: float = 30.0
    funds_s: float = 60.0
    settled_s: float = 5.0
    wallet_s: float = 20.0
    instruments_s: float = 300.0
