"""An engine alone in a process: ``python -m benchmarks.engine_process nats://…``; says ``ready`` when it serves."""

import asyncio
import signal
import sys

import nats
import uvloop

from oms.engine.engine import Engine, EngineSettings
from oms.messages.enums import AccountKind


async def _serve(url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    nc = await nats.connect(url, max_reconnect_attempts=-1)
    engine = Engine(nc, EngineSettings(accounts={"main": AccountKind.MAIN}))
    serving = asyncio.create_task(engine.run(stop))
    await engine.ready.wait()
    print("ready", flush=True)
    await serving
    await nc.close()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
