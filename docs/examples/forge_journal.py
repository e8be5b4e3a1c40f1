"""What a forger would do: edit one frame of a journal, and chain every later frame anew. Try it on a copy, then verify.

Arguments: URL SEQUENCE OLD NEW. Text OLD in frame SEQUENCE becomes NEW; the stream JOURNAL is deleted and written again.
"""

import asyncio
import hashlib
import sys

import nats


async def main(url, sequence, old, new):
    async with await nats.connect(url) as nc:
        js = nc.jetstream()
        info = await js.stream_info("JOURNAL")
        payloads, before, after = [], "", ""
        for number in range(1, info.state.last_seq + 1):
            payload = (await js.get_msg("JOURNAL", seq=number)).data
            changed = payload.replace(before.encode(), after.encode()) if before else payload
            if number == int(sequence):
                changed = changed.replace(old.encode(), new.encode())
                assert changed != payload, f"frame {sequence} does not hold {old!r}"
            before, after = (hashlib.sha256(each).hexdigest() for each in (payload, changed))
            payloads.append(changed)
        await js.delete_stream("JOURNAL")
        await js.add_stream(info.config)
        for payload in payloads:
            await js.publish(
                "journal.0", payload, headers={"Nats-Msg-Id": hashlib.sha256(payload).hexdigest()}
            )
        print(f"frame {sequence} was edited, {len(payloads) - int(sequence)} frames chained anew")


asyncio.run(main(*sys.argv[1:]))
