"""An engine alone in a process: ``python -m benchmarks.engine_process nats://… [DATA_DIR | unsealed]``; says ``ready`` when it serves.

With a data directory it writes mark and receipts there, as in production; ``unsealed`` writes no seals either.
"""

import asyncio
import signal
import sys
from pathlib import Path

import nats
import uvloop

from benchmarks.limits import CONTROLS_OFF
from oms.engine import engine as engine_module
from oms.engine.engine import Engine, EngineSettings
from oms.messages.enums import AccountKind

UNSEALED = "unsealed"


async def _serve(url: str, proof: str) -> None:
    if proof == UNSEALED:
        engine_module.SEAL_COMMITS, engine_module.SEAL_WITHIN_S = 10**12, 1e12  # type: ignore[misc]
    data_dir = Path(proof) if proof and proof != UNSEALED else None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    nc = await nats.connect(url, max_reconnect_attempts=-1)
    settings = EngineSettings(accounts={"main": AccountKind.MAIN}, controls=CONTROLS_OFF, data_dir=data_dir)
    engine = Engine(nc, settings)
    serving = asyncio.create_task(engine.run(stop))
    await engine.ready.wait()
    print("ready", flush=True)
    await serving
    await nc.close()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], "".join(sys.argv[2:3])))
