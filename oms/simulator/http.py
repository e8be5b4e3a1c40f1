"""HTTP requests with faults round them, for every wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from .faults import Fault, FaultRule, Faults, Stage

HTML_ERROR = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
)


class Dropped(Exception):
    """The connection was cut on purpose: there is nobody left to answer. The server expects it from `Wire.serve`."""


def drop(request: web.BaseRequest) -> Dropped:
    """Cut the connection of `request`; raise what this returns."""
    if request.transport is not None:
        request.transport.abort()
    return Dropped()


def html_error(status: int) -> web.Response:
    """A gateway's page, as a load balancer in front of the exchange sends it."""
    title = f"{status} {'Bad Gateway' if status == 502 else 'Service Unavailable'}"
    return web.Response(status=status, text=HTML_ERROR.format(title), content_type="text/html")


def fail_before(
    request: web.BaseRequest,
    faults: Faults,
    labels: tuple[str, ...],
    refuse: Callable[[FaultRule], web.Response],
) -> web.Response | None:
    """Return what to answer instead of doing anything, None to go on; may raise `Dropped`.

    `refuse` makes the exchange's own answer for RATE_LIMITED and BANNED.
    """
    rule = faults.draw(Stage.BEFORE, *labels)
    if rule is None:
        return None
    if rule.kind is Fault.DROP_REQUEST:
        raise drop(request)
    if rule.kind is Fault.SERVER_ERROR_BEFORE:
        return html_error(rule.status)
    return refuse(rule)


async def spoil(
    request: web.BaseRequest,
    faults: Faults,
    labels: tuple[str, ...],
    response: web.Response,
    timed_out: Callable[[], web.Response],
) -> web.StreamResponse:
    """Do to the answer of something done what the faults want; may raise `Dropped`.

    `timed_out` makes the exchange's own "execution status unknown", for TIMEOUT_1007. Call it for what succeeded
    alone: a fault after acceptance waits for a request that is accepted.
    """
    delay = faults.draw(Stage.DELAY, *labels)
    if delay is not None:
        await asyncio.sleep(delay.delay_ms / 1000)
    rule = faults.draw(Stage.AFTER, *labels)
    if rule is None:
        return response
    if request.transport is None or request.transport.is_closing():
        # The client did not wait so long.
        raise Dropped
    if rule.kind is Fault.SERVER_ERROR_AFTER:
        return html_error(rule.status)
    if rule.kind is Fault.TIMEOUT_1007:
        return timed_out()
    if rule.kind is Fault.HANG:
        await asyncio.sleep(rule.delay_ms / 1000)
    elif rule.kind is Fault.TRUNCATED_REPLY:
        await _send_half(request, response)
    raise drop(request)


async def _send_half(request: web.BaseRequest, response: web.Response) -> None:
    """Send the headers of the whole body and half of the body."""
    body = bytes(response.body)  # type: ignore[arg-type]
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])


def refuse_upgrade(faults: Faults, path: str) -> web.Response | None:
    """Return the 503 that a fault wants instead of a WebSocket at `path`, None to go on."""
    if faults.draw(Stage.UPGRADE, path) is None:
        return None
    return web.Response(status=503, text="Service Unavailable")
