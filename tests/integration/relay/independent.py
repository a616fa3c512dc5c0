"""Both sides of a call by aioice: PORT, then the user name and the password of each side."""

import asyncio
import sys

from aioice import turn


class Side(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))


async def join(port, username, password):
    return await turn.create_turn_endpoint(Side, ("127.0.0.1", port), username, password)


async def main(port, *credentials):
    (a, heard_by_a), (b, heard_by_b) = [
        await join(port, *credentials[side : side + 2]) for side in (0, 2)
    ]
    address_of_a, address_of_b = [it.get_extra_info("sockname") for it in (a, b)]

    # A client is heard by those who have bound a channel for it, and aioice does that when it first sends.
    while heard_by_b.received.empty():
        a.sendto(b"are you there?", address_of_b)
        b.sendto(b"I am here.", address_of_a)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    for side in (heard_by_a, heard_by_b):
        while not side.received.empty():
            side.received.get_nowait()

    for number in range(100):
        payload = bytes([number]) * (number + 1)
        a.sendto(payload, address_of_b)
        assert await heard_by_b.received.get() == (payload, address_of_a)
        b.sendto(payload, address_of_a)
        assert await heard_by_a.received.get() == (payload, address_of_b)
    print("100 each way")
    await turn_off(a, b)


async def turn_off(*transports):
    for transport in transports:
        transport.close()
    await asyncio.sleep(0.2)


asyncio.run(asyncio.wait_for(main(int(sys.argv[1]), *sys.argv[2:]), 20))
