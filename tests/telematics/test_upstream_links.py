"""Both links to a superior platform: logout, keep-alive, silence, codes of the sub link, questions from above."""

import asyncio

import pytest

from telematics.protocols import jt809_body as link
from telematics.protocols import jt809_vehicle as moving
from tests.telematics.running import scene, until
from tests.telematics.superior import CENTRE, CODE, PASSWORD, USER, Superior


@pytest.mark.parametrize("edition", ["2011", "2019"])
@scene
async def test_both_links_log_in_and_the_logout_is_said_on_both(fleet, edition):
    async with Superior(edition) as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open and superior.said)
        port = client.sub_link.port
    centre = CENTRE if edition == "2019" else None
    assert superior.others[0] == link.Login(USER, PASSWORD, "127.0.0.1", port, centre)
    assert superior.others[-1] == link.Logout(USER, PASSWORD)
    assert superior.said[0] == link.Code(link.Id.SUB_LOGIN_ANSWER, 0)
    assert superior.said[-1] == link.Code(link.Id.MAIN_CLOSING, 1)


@scene
async def test_keep_alives_go_both_ways(fleet):
    async with Superior() as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open)
        superior.say(superior.sub, link.Empty(link.Id.SUB_KEEP_ALIVE))
        superior.say(superior.main, link.Empty(link.Id.KEEP_ALIVE))
        await until(lambda: link.Empty(link.Id.SUB_KEEP_ALIVE_ANSWER) in superior.said)
        await until(lambda: superior.others.count(link.Empty(link.Id.KEEP_ALIVE)) >= 3)
        await until(lambda: link.Empty(link.Id.KEEP_ALIVE_ANSWER) in superior.others)
        assert client.logins == 1


@scene
async def test_silent_superior_platform_is_left_and_found_again(fleet, caplog):
    async with Superior() as superior, fleet.client(superior, timing={"dead_s": 0.3}) as client:
        await until(lambda: client.sub_link.is_open)
        superior.deaf = True
        await until(lambda: superior.logins >= 2)
        superior.deaf = False
        await until(lambda: client.sub_link.is_open)
    assert "nothing was heard for 0.3 s" in caplog.text


@scene
async def test_keep_alives_without_an_answer_end_the_link_though_others_come(fleet, caplog):
    async with Superior() as superior, fleet.client(superior, timing={"dead_s": 0.3}):
        await until(lambda: superior.logins)
        superior.answers = False
        while superior.logins == 1:
            superior.say(superior.main, link.Empty(link.Id.KEEP_ALIVE))
            await asyncio.sleep(0.05)
        superior.answers = True
    assert "no answer to a keep-alive for 0.3 s" in caplog.text


@scene
async def test_wrong_code_on_the_sub_link_is_refused(fleet):
    async with Superior() as superior, fleet.client(superior) as client:
        superior.code = CODE + 1
        await until(lambda: superior.said)
        assert superior.said == [link.Code(link.Id.SUB_LOGIN_ANSWER, link.SubLoginResult.WRONG_CODE)]
        assert not client.sub_link.is_open
        await superior.connect_back("127.0.0.1", client.sub_link.port, CODE)
        await until(lambda: client.sub_link.is_open)
        superior.say(superior.sub, link.Verify(link.Id.SUB_LOGOUT, CODE))
        await until(lambda: link.Empty(link.Id.SUB_LOGOUT_ANSWER) in superior.said)
        await until(lambda: not client.sub_link.is_open)


@scene
async def test_sub_link_takes_nothing_before_the_login(fleet, caplog):
    async with Superior() as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open)
        reader, writer = await asyncio.open_connection("127.0.0.1", client.sub_link.port)
        superior.say(writer, link.Empty(link.Id.SUB_KEEP_ALIVE))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert client.sub_link.is_open
    assert "message 9005 before the login" in caplog.text


@scene
async def test_closing_superior_platform_is_left_and_found_again(fleet):
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        superior.say(superior.main, link.Code(link.Id.SUB_CLOSING, 0))
        await until(lambda: superior.logins == 2)
    assert superior.logins == 2


@pytest.mark.parametrize("edition", ["2011", "2019"])
@scene
async def test_exchange_asked_for_is_answered_on_the_main_link(fleet, edition):
    async with Superior(edition) as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open)
        superior.ask(moving.Vehicle("浙A7", 2, moving.Note(moving.Sub.START, 0)))
        superior.ask(moving.Vehicle("浙A7", 2, moving.Note(moving.Sub.END, 1)))
        await until(lambda: len(superior.vehicles) == 2)
    sources = [(moving.Sub.START, 1), (moving.Sub.END, 1)] if edition == "2019" else [None, None]
    kinds = (moving.Sub.START_ANSWER, moving.Sub.END_ANSWER)
    assert superior.vehicles == [
        moving.Vehicle("浙A7", 2, moving.Plain(kind, source=source))
        for kind, source in zip(kinds, sources, strict=True)
    ]


@scene
async def test_what_a_person_must_answer_is_logged_and_the_links_stay(fleet, caplog):
    async with Superior() as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open)
        superior.sub.write(superior.frame(0x9300, b"whatever"))
        superior.sub.write(b"garbage\x5d")
        superior.sub.write(superior.frame(link.Id.DOWN_VEHICLE, b"short"))
        superior.say(superior.main, link.Code(link.Id.SUB_BROKEN, 1))
        superior.say(superior.sub, link.Empty(link.Id.SUB_KEEP_ALIVE))
        await until(lambda: link.Empty(link.Id.SUB_KEEP_ALIVE_ANSWER) in superior.said)
        await until(lambda: "lost or cannot open the sub link (reason 1)" in caplog.text)
        assert client.logins == 1
    assert "message 9300 of the superior platform was not acted upon" in caplog.text
    assert "unreadable bytes" in caplog.text


@scene
async def test_superior_platform_that_is_away_is_tried_until_it_comes(fleet, caplog):
    superior = Superior()
    async with superior:
        pass
    async with fleet.client(superior) as client:
        await until(lambda: caplog.text.count("main link:") >= 2)
        assert client.logins == 0
        async with superior:
            await until(lambda: client.sub_link.is_open)
            await client.stop()
            await until(lambda: link.Logout(USER, PASSWORD) in superior.others)
    assert client.logins == 1


@scene
async def test_link_that_cannot_be_read_is_left(fleet, caplog):
    async with Superior() as superior, fleet.client(superior) as client:
        await until(lambda: client.sub_link.is_open)
        superior.sub.write(b"x\x5d" * 200)
        await until(lambda: not client.sub_link.is_open)
    assert "too much that cannot be read" in caplog.text
    assert caplog.text.count("unreadable bytes") == 100
