"""Wrong codes and tokens: so many a minute by address and identity, then no attempt is looked at until the minute is over."""

import asyncio
from datetime import timedelta

from telematics.gateway.limits import Guesses, Limits
from telematics.protocols import jt808_body as body
from tests.telematics.running import NOW, add_terminal, gateway, get, wire

POINT = "lat=30.25&lon=120.15&timestamp=1716166800"


class Watch:
    """A clock that is set by hand."""

    now = NOW

    def __call__(self):
        return self.now


def test_tokens_of_a_phone_cannot_be_tried_without_end(gps_dsn):
    _, victim = add_terminal(gps_dsn, kind="phone", token="s3cret")
    _, neighbour = add_terminal(gps_dsn, kind="phone", token="0ther")
    watch = Watch()

    async def scene():
        async with gateway(gps_dsn, clock=watch, guesses_per_minute=3) as running:
            port = running.phones.port
            wrong = [(await get(port, f"/?id={victim}&token=guess{n}&{POINT}"))[0] for n in range(5)]
            right, _ = await get(port, f"/?id={victim}&token=s3cret&{POINT}")
            other, _ = await get(port, f"/?id={neighbour}&token=0ther&{POINT}")
            watch.now += timedelta(minutes=1)
            later, _ = await get(port, f"/?id={victim}&token=s3cret&{POINT}")
            return wrong, right, other, later

    assert asyncio.run(scene()) == ([403, 403, 403, 429, 429], 429, 200, 200)


def test_codes_of_a_terminal_cannot_be_tried_without_end(gps_dsn):
    _, phone = add_terminal(gps_dsn)
    watch = Watch()

    async def scene():
        async with gateway(gps_dsn, clock=watch, guesses_per_minute=3) as running:
            async with wire(running.terminals.port, phone) as line:
                await line.log_in()
            async with wire(running.terminals.port, phone) as line:
                tried = [(await line.ask(body.AUTHENTICATE, b"guess%d" % n)).result for n in range(4)]
                looked_at = len(running_codes(running))
                watch.now += timedelta(minutes=1)
                await line.log_in()
                return tried, looked_at

    assert asyncio.run(scene()) == ([body.RESULT_FAILED] * 4, 2)


def running_codes(running):
    """Return what is counted: the address, and the address with the identity."""
    return running.gateway._services.guesses._wrong


def test_an_address_has_its_own_bound_and_old_ones_are_forgotten():
    guesses = Guesses(Limits(guesses_per_minute=2, guesses_per_minute_by_address=3), most=4)
    for identity in ("a", "b", "c"):
        assert not guesses.too_many("10.0.0.1:1", identity, NOW)
        guesses.note("10.0.0.1:1", identity, NOW)
    assert guesses.too_many("10.0.0.1:2", "d", NOW)
    assert not guesses.too_many("10.0.0.2:1", "d", NOW)
    assert not guesses.too_many("10.0.0.1:2", "d", NOW + timedelta(minutes=1))
    for number in range(9):
        guesses.note(f"10.0.1.{number}:1", "x", NOW)
    assert not guesses.too_many("10.0.0.1:2", "d", NOW)
