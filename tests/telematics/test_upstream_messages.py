"""Which messages queued fixes become: nothing lost, order kept, history in fives."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.protocols import jt809_vehicle as moving
from telematics.protocols.jt808_body import parse_location
from telematics.upstream.messages import Composer
from telematics.upstream.outbox import Queued
from tests.telematics.running import NOW, fix

LATE = timedelta(minutes=3)
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-600, 600), st.integers(-60, 60), st.booleans(), st.booleans()),
    max_size=40,
)


def queued(number, row):
    vehicle, second, received_s, again, blind = row
    one = fix(at=NOW + timedelta(seconds=second), blind=blind)
    received_at = NOW + timedelta(seconds=received_s)
    return Queued(number, vehicle, "13900000000", f"浙A0000{vehicle}", 5, one, received_at, again)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(["2011", "2019"]), st.booleans())
def test_every_fix_goes_out_once_and_a_vehicle_s_in_order(rows, edition, gcj02):
    batch = [queued(number, row) for number, row in enumerate(rows)]
    outgoing, unfit = Composer(edition, "1200", gcj02, LATE).compose(batch, live_from=NOW)
    assert not unfit
    times = {}
    for message in outgoing:
        vehicle = moving.parse_vehicle(message.body, edition)
        content = vehicle.content
        positions = (content.position,) if isinstance(content, moving.Live) else content.positions
        assert message.positions == len(positions)
        for position in positions:
            at = position.at if edition == "2011" else parse_location(position.location).at
            times.setdefault(vehicle.plate, []).append(at)
            live = {
                not (row.again or row.fix.blind or row.received_at < NOW or row.received_at - row.fix.at > LATE)
                for row in batch
                if (row.plate, row.fix.at) == (vehicle.plate, at)
            }
            assert isinstance(content, moving.Live) in live
            assert position.encrypted == gcj02
    for plate in {row.plate for row in batch}:
        assert times[plate] == sorted(row.fix.at for row in batch if row.plate == plate)


@settings(max_examples=60, deadline=None)
@given(st.text("0123456789abcXYZ", min_size=1, max_size=40), st.sampled_from(["2011", "2019"]))
def test_terminal_of_any_number_can_be_registered(phone, edition):
    row = Queued(1, 1, phone, "浙A00001", 1, fix(), NOW, again=False)
    message = Composer(edition, "1200", gcj02=False, late=LATE).register(row)
    content = moving.parse_vehicle(message.body, edition).content
    assert (content.platform, content.sim) == ("1200", phone[-12:].zfill(12))
    assert message.positions == 0
