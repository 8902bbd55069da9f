import asyncio

import pytest

from telematics.gateway.directory import Directory, Together
from telematics.gateway.link import Link, StoreUnavailable
from tests.telematics.running import NOW, add_terminal


def test_questions_that_come_while_one_is_asked_are_asked_together():
    asked = []

    async def ask(keys):
        asked.append(sorted(keys))
        await asyncio.sleep(0.01)
        return {key: -key for key in keys if key != 3}

    async def scene():
        together = Together(ask)
        answers = await asyncio.gather(*(together.answer(key) for key in (1, 1)))
        return answers + await asyncio.gather(*(together.answer(key) for key in (2, 3, 4, 4)))

    assert asyncio.run(scene()) == [-1, -1, -2, None, -4, -4]
    assert asked == [[1], [2, 3, 4]]


def test_everybody_who_asked_hears_of_the_failure_and_the_next_question_is_asked_anew():
    fails = [True]

    async def ask(keys):
        if fails.pop():
            raise StoreUnavailable("away")
        return dict.fromkeys(keys, "here")

    async def scene():
        together = Together(ask)
        results = await asyncio.gather(*(together.answer(key) for key in (1, 2)), return_exceptions=True)
        assert [str(result) for result in results] == ["away", "away"]
        fails.append(False)
        return await together.answer(1)

    assert asyncio.run(scene()) == "here"


def test_many_terminals_register_at_once_each_with_a_code_of_its_own_that_stays(gps_dsn):
    phones = [add_terminal(gps_dsn)[1] for _ in range(30)]

    async def scene():
        link = Link(gps_dsn, role="fleet_gateway")
        directory = Directory(link)
        found = await asyncio.gather(*(directory.find("00" + phone, "jt808") for phone in [*phones, "404"]))
        assert [one and one.phone for one in found] == [*phones, None]
        codes = [await asyncio.gather(*(directory.register(one, now=NOW) for one in found if one)) for _ in range(2)]
        await asyncio.gather(*(directory.alive(one.id, version="2019", now=NOW) for one in found if one))
        again = await directory.find(phones[0], "jt808")
        assert await directory.find(phones[0], "phone") is None
        await link.close()
        return codes, again

    (first, second), again = asyncio.run(scene())
    assert first == second
    assert len(set(first)) == 30
    assert again.auth_code == first[0]


def test_a_database_that_is_away_is_said_to_be(gps_dsn):
    async def scene():
        await Directory(Link(gps_dsn.replace("/gps_test", "/absent_gps_test"), role="x")).find("1", "jt808")

    with pytest.raises(StoreUnavailable):
        asyncio.run(scene())
