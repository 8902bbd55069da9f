import asyncio
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from telematics.commands.replay import groups
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import FrameSplitter, encode_frame
from tests.telematics.running import add_terminal, fix, new_phone, quarantined, run_command, serving, stored


@pytest.fixture(scope="module")
def process(gps_dsn):
    with serving(gps_dsn) as found:
        yield found


@pytest.fixture
def track(tmp_path):
    path = tmp_path / "track.jsonl"
    rows = [
        {
            "at": fix(second).at.isoformat(),
            "lat": fix(second).lat,
            "lon": 120.15,
            "speed_kmh": 36.0,
            "odometer_km": second / 10,
        }
        for second in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("options", [[], ["--batch"], ["--header", "2019"], ["--header", "2019", "--batch"]])
def test_every_position_of_the_file_is_acknowledged_and_stored(gps_dsn, process, track, options):
    terminal, phone = add_terminal(gps_dsn)
    status, summary, errors = run_command("replay", track, "--terminal", phone, "--port", str(process.port), *options)
    assert (status, summary, errors) == (0, {"sent": 60, "acknowledged": 60, "resent": 0}, "")
    found = stored(gps_dsn, terminal)
    assert [one.at for one in found] == [fix(second).at for second in range(60)]
    assert [one.odometer_m for one in found[:3]] == [0, 100, 200]


def test_a_second_replay_changes_nothing(gps_dsn, process, track):
    terminal, phone = add_terminal(gps_dsn)
    results = [run_command("replay", track, "--terminal", phone, "--port", str(process.port))[:2] for _ in range(2)]
    assert results == [(0, {"sent": 60, "acknowledged": 60, "resent": 0})] * 2
    assert len(stored(gps_dsn, terminal)) == 60


def test_times_can_be_moved_and_paced(gps_dsn, process, track):
    terminal, phone = add_terminal(gps_dsn)
    with psycopg.connect(gps_dsn) as conn:
        conn.execute("UPDATE gps_terminal SET auth_code = 'known' WHERE id = %s", [terminal])
    began = datetime.now(UTC)
    options = ["--auth", "known", "--speed", "60", "--shift-to", "2024-05-21T08:00:00+08:00"]
    status, _, errors = run_command("replay", track, "--terminal", phone, "--port", str(process.port), *options)
    assert (status, errors) == (0, "")
    assert datetime.now(UTC) - began > timedelta(seconds=59 / 60)
    assert stored(gps_dsn, terminal)[0].at == datetime(2024, 5, 21, tzinfo=UTC)


def test_an_unknown_terminal_delivers_nothing_and_fails(gps_dsn, process, track):
    phone = new_phone()
    status, summary, errors = run_command("replay", track, "--terminal", phone, "--port", str(process.port))
    assert (status, summary) == (1, {"sent": 0, "acknowledged": 0, "resent": 0})
    assert errors == "Not everything was delivered: the gateway refused the registration with result 4.\n"
    assert len(quarantined(gps_dsn, phone)) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent.gpx", "--terminal", "1"], "absent.gpx"),
        (["{track}", "--terminal", "car"], "decimal digits"),
        (["{track}", "--terminal", "1", "--shift-to", "2024-05-21T08:00"], "time zone"),
    ],
)
def test_what_cannot_be_replayed_is_said_plainly(track, arguments, complaint):
    status, _, errors = run_command("replay", *(argument.format(track=track) for argument in arguments))
    assert status == 2
    assert complaint in errors
    assert "Traceback" not in errors


def test_a_lost_answer_and_a_lost_connection_are_made_good(track):
    """A gateway that swallows the 5th position once and hangs up at the 10th."""
    received = []
    lines = []

    async def serve(reader, writer):
        lines.append(writer)
        splitter = FrameSplitter()
        while data := await reader.read(4096):
            for message in splitter.feed(data):
                if message.msg_id == body.LOCATION:
                    received.append(body.parse_location(message.body).at)
                    if len(received) == 5:
                        continue
                    if len(received) == 10:
                        writer.close()
                        return
                if message.msg_id == body.REGISTER:
                    answer = body.encode_registration_answer(serial=message.serial, result=0, code="c")
                    writer.write(encode_frame(body.REGISTER_ANSWER, answer, like=message, serial=0))
                else:
                    answer = body.encode_answer(serial=message.serial, msg_id=message.msg_id, result=0)
                    writer.write(encode_frame(body.PLATFORM_ANSWER, answer, like=message, serial=0))
        writer.close()

    async def scene():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = str(server.sockets[0].getsockname()[1])
        try:
            return await asyncio.to_thread(
                run_command, "replay", track, "--terminal", "1", "--port", port, "--timeout", "0.3"
            )
        finally:
            server.close()

    status, summary, _ = asyncio.run(scene())
    assert (status, summary) == (0, {"sent": 60, "acknowledged": 60, "resent": 2})
    assert len(lines) == 2
    assert len(received) == 62
    assert sorted(set(received)) == [fix(second).at for second in range(60)]


def test_a_batch_fits_one_frame():
    fixes = [fix(second, items={"raw": [{"id": "e1", "hex": "00" * 40}]}) for second in range(50)]
    found = list(groups(fixes, batch=True))
    assert [one for group in found for one in group] == fixes
    assert all(len(body.encode_batch(group)) <= 1023 for group in found)
    assert len(found) < 50
