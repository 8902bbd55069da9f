"""Positions to a superior platform: the client against a counterpart over TCP, with the real store."""

import asyncio
import logging
from datetime import timedelta

import psycopg
import pytest

from telematics import store
from telematics.gcj02 import wgs84_to_gcj02
from telematics.protocols import jt809_body as link
from telematics.protocols import jt809_vehicle as moving
from telematics.protocols.jt808_body import parse_location
from telematics.protocols.jt809 import Cipher
from tests.telematics.running import NOW, fix, scene, until
from tests.telematics.superior import CENTRE, PASSWORD, Superior

CIPHER = Cipher(30_000_000, 20_000_000, 20_000_000)
SINCE = NOW - timedelta(seconds=60)


def recent(second=0, **changes):
    return fix(second, at=SINCE + timedelta(seconds=second), **changes)


def times(superior, plate="浙A00001"):
    """Seconds of the positions of a vehicle as the superior platform got them, in its order."""
    at = (lambda p: p.at) if superior.edition == "2011" else (lambda p: parse_location(p.location).at)
    return [round((at(position) - SINCE).total_seconds()) for name, _, position in superior.positions if name == plate]


@pytest.mark.parametrize("cipher", [None, CIPHER], ids=["plain", "enciphered"])
@scene
async def test_live_position_of_2011_arrives_with_its_values(fleet, cipher):
    terminal = fleet.add("浙A12345", 5)
    async with Superior("2011", cipher) as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        fleet.save(
            terminal,
            recent(
                1, lat=30.123456, lon=120.654321, speed_kmh=36.6, direction_deg=271, altitude_m=-3, odometer_m=123_999,
                status=3, alarm=1, items={"recorder_speed_kmh": 35.0},
            ),
        )  # fmt: skip
        await until(lambda: superior.positions)
    assert superior.positions == [("浙A12345", 0x1202, moving.Position2011(
        encrypted=False, at=recent(1).at, lon_e6=120_654_321, lat_e6=30_123_456, speed_kmh=37, recorder_kmh=35,
        odometer_km=123, direction_deg=271, altitude_m=-3, state=3, alarm=1,
    ))]  # fmt: skip
    assert {vehicle.colour for vehicle in superior.vehicles} == {9}  # 2011 knows no green
    assert isinstance(superior.vehicles[0].content, moving.Register)
    assert all((frame.key is not None) == (cipher is not None) for frame in superior.frames)


@pytest.mark.parametrize("cipher", [None, CIPHER], ids=["plain", "enciphered"])
@scene
async def test_live_position_of_2019_arrives_with_its_values(fleet, cipher):
    terminal = fleet.add("浙A12345", 5)
    sent = recent(1, lat=30.123456, lon=120.654321, speed_kmh=36.6, direction_deg=271, odometer_m=123_900, alarm=2)
    async with Superior("2019", cipher) as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        fleet.save(terminal, sent)
        await until(lambda: superior.positions)
    [(plate, sub_type, position)] = superior.positions
    read = parse_location(position.location)
    assert (plate, sub_type, position.encrypted) == ("浙A12345", 0x1202, False)
    assert (read.at, read.lat, read.lon, read.speed_kmh) == (sent.at, sent.lat, sent.lon, sent.speed_kmh)
    assert (read.direction_deg, read.odometer_m, read.alarm) == (271, 123_900, 2)
    assert position.platforms == ((str(CENTRE), 2), ("", 0), ("", 0))
    assert {vehicle.colour for vehicle in superior.vehicles} == {5}
    assert all(frame.at == NOW for frame in superior.frames)


@scene
async def test_offset_coordinates_are_flagged(fleet):
    terminal = fleet.add()
    async with Superior() as superior, fleet.client(superior, gcj02=True):
        await until(lambda: superior.logins)
        fleet.save(terminal, recent(1))
        await until(lambda: superior.positions)
    position = superior.positions[0][2]
    lat, lon = wgs84_to_gcj02(recent(1).lat, recent(1).lon)
    assert position.encrypted
    assert (position.lat_e6, position.lon_e6) == (round(lat * 1e6), round(lon * 1e6))


@scene
async def test_wrong_password_is_refused_and_tried_again_without_a_position(fleet, caplog):
    fleet_terminal = fleet.add()
    await fleet.open()
    fleet.save(fleet_terminal, recent(1))
    async with Superior(password="other") as superior, fleet.client(superior) as client:
        await until(lambda: superior.refused >= 2)
        assert client.logins == 0
        superior.password = PASSWORD  # they corrected it
        await until(lambda: superior.positions)
    assert "refused the login: wrong password" in caplog.text
    assert PASSWORD not in caplog.text
    assert times(superior) == [1]


@pytest.mark.parametrize("edition", ["2011", "2019"])
@scene
async def test_links_cut_in_the_middle_of_a_frame_lose_nothing(fleet, edition):
    terminal = fleet.add()
    async with Superior(edition) as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        superior.cuts = [1000, 300, 777, 451]  # bytes of the next links; a login takes 72, a position 90
        superior.main.transport.abort()
        await until(lambda: superior.logins == 2)
        for second in range(40):
            fleet.save(terminal, recent(second))
        await until(lambda: superior.logins == 6 and set(times(superior)) == set(range(40)))
        await until(lambda: not fleet.queued())
    kinds = [sub_type for _, sub_type, _ in superior.positions]
    assert {0x1202, 0x1203} == set(kinds)
    firsts = list(dict.fromkeys(times(superior)))
    assert firsts == sorted(firsts)
    assert link.Code(link.Id.MAIN_BROKEN, 0) in superior.said


@scene
async def test_database_that_breaks_meanwhile_costs_nothing_and_doubles_nothing(fleet, caplog):
    terminal = fleet.add()
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        fleet.save(terminal, recent(0))
        await until(lambda: superior.positions)  # a link that has just been logged in begins anew without a database
        for second in range(1, 20):
            fleet.save(terminal, recent(second))
            with psycopg.connect(fleet.dsn) as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fleet-gateway' AND datname = current_database()"
                )
            await asyncio.sleep(0.02)
        await until(lambda: len(superior.positions) >= 20 and not fleet.queued())
        assert superior.logins == 1
    assert times(superior) == list(range(20))


@scene
async def test_what_waited_for_the_superior_platform_comes_as_history_in_order(fleet):
    first, second = fleet.add(), fleet.add("浙A00002")
    await fleet.open()
    for start in (10, 0):  # saved out of order
        fleet.save(first, *(recent(start + i) for i in range(7)), received_at=NOW - timedelta(seconds=1))
    fleet.save(second, recent(3), received_at=NOW - timedelta(seconds=1))
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: len(superior.positions) == 15)
    assert times(superior) == [*range(7), *range(10, 17)]
    assert {sub_type for _, sub_type, _ in superior.positions} == {0x1203}
    sizes = [len(v.content.positions) for v in superior.vehicles if isinstance(v.content, moving.CatchUp)]
    assert sizes == [5, 5, 4, 1]


@scene
async def test_old_and_buffered_positions_are_history_even_on_a_standing_link(fleet):
    terminal = fleet.add()
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        fleet.save(terminal, recent(-600), recent(1, blind=True), recent(2))
        await until(lambda: len(superior.positions) == 3)
    assert [sub_type for _, sub_type, _ in superior.positions] == [0x1203, 0x1203, 0x1202]
    assert times(superior) == [-600, 1, 2]


@scene
async def test_restart_after_a_logout_sends_nothing_twice(fleet):
    terminal = fleet.add()
    async with Superior() as superior:
        async with fleet.client(superior, timing={"keep_alive_s": 60}):
            await until(lambda: superior.logins)
            fleet.save(terminal, recent(1), recent(2))
            await until(lambda: len(superior.positions) == 2)
        assert not fleet.queued()  # the answered logout proves that they arrived
        fleet.save(terminal, recent(3), received_at=NOW - timedelta(seconds=1))
        async with fleet.client(superior):
            await until(lambda: len(superior.positions) == 3)
    assert times(superior) == [1, 2, 3]
    assert [sub_type for _, sub_type, _ in superior.positions] == [0x1202, 0x1202, 0x1203]


@scene
async def test_killed_client_repeats_only_what_nothing_confirmed(fleet):
    terminal = fleet.add()
    async with Superior() as superior:
        async with fleet.client(superior, kill=True):
            await until(lambda: superior.logins)
            fleet.save(terminal, recent(1))
            await until(lambda: superior.positions and not fleet.queued())
            superior.answers = False
            await asyncio.sleep(0.1)  # answers on their way
            fleet.save(terminal, recent(2))
            await until(lambda: len(superior.positions) == 2)
        superior.answers = True
        fleet.save(terminal, recent(3))
        async with fleet.client(superior):
            await until(lambda: len(superior.positions) == 4)
            await until(lambda: not fleet.queued())
    assert times(superior) == [1, 2, 2, 3]
    assert superior.positions[2][1] == 0x1203


@scene
async def test_vehicles_that_are_not_allowed_never_leave(fleet, caplog):
    caplog.set_level(logging.INFO)
    open_one, secret, later_secret = fleet.add(), fleet.add("浙A00009", allowed=False), fleet.add("浙A00008")
    await fleet.open()
    for terminal in (secret, later_secret, open_one):
        fleet.save(terminal, recent(1))
    fleet.forbid(later_secret)  # while its position waits
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.positions)
        fleet.save(secret, recent(2))
        fleet.save(open_one, recent(3))
        await until(lambda: len(superior.positions) == 2)
        await until(lambda: not fleet.queued())
    assert {vehicle.plate for vehicle in superior.vehicles} == {"浙A00001"}
    assert "2 positions of vehicles that are not forwarded were left out" in caplog.text


@scene
async def test_transaction_that_commits_late_is_forwarded_all_the_same(fleet):
    early, late = fleet.add(), fleet.add("浙A00002")
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        with psycopg.connect(fleet.dsn) as slow:
            store.save(slow, [(late, recent(1), None)], NOW)
            fleet.save(early, recent(2))
            await until(lambda: superior.positions)
        await until(lambda: len(superior.positions) == 2)
    assert (times(superior), times(superior, "浙A00002")) == ([2], [1])


@scene
async def test_value_that_fits_no_field_is_left_out_and_named(fleet, caplog):
    terminal, unnamed = fleet.add(), fleet.add("\N{OLD ITALIC LETTER A}")
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins)
        fleet.save(unnamed, recent(1))
        fleet.save(terminal, recent(1, speed_kmh=-5.0), recent(2))
        await until(lambda: superior.positions)
        await until(lambda: not fleet.queued())
    assert times(superior) == [2]
    assert "a position cannot be forwarded: 浙A00001" in caplog.text
    assert superior.logins == 1


@scene
async def test_counts_that_agree_are_no_gap_and_others_are_kept(fleet, caplog):
    terminal = fleet.add()
    start, end = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins and superior.said)
        fleet.save(terminal, *(recent(i) for i in range(4)))
        await until(lambda: not fleet.queued() and len(superior.positions) == 4)
        superior.say(superior.sub, link.Received(4, start, end))
        superior.say(superior.sub, link.Received(0, start - timedelta(days=1), start))
        superior.say(superior.main, link.Received(0, end, end + timedelta(days=1)))  # the other link may carry it too
        superior.say(superior.sub, link.Received(3, start, end))
        await until(fleet.gaps)
    assert fleet.gaps() == [(3, 4, 4)]
    assert "received 3 positions" in caplog.text


@scene
async def test_edge_of_a_counted_period_is_not_sharp(fleet):
    terminal = fleet.add()
    async with Superior() as superior, fleet.client(superior):
        await until(lambda: superior.logins and superior.said)
        fleet.save(terminal, recent(1))
        await until(lambda: not fleet.queued() and superior.positions)
        superior.say(superior.sub, link.Received(0, NOW + timedelta(seconds=3), NOW + timedelta(minutes=1)))
        superior.say(superior.sub, link.Received(1, NOW + timedelta(seconds=3), NOW + timedelta(minutes=1)))
        superior.say(superior.sub, link.Received(2, NOW + timedelta(seconds=3), NOW + timedelta(minutes=1)))
        await until(fleet.gaps)
    assert fleet.gaps() == [(2, 0, 1)]
