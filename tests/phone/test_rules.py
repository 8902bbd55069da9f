"""The phone's clock, codes, walk-round, hours, and where map apps are sent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.phone import codes, rules
from fleetapp.phone.look import map_links
from fleetapp.phone.rules import Part
from fleetapp.planning import signing
from telematics.gcj02 import bd09_to_gcj02, gcj02_to_bd09
from telematics.geo import haversine_m

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
KEYS = signing.derived("only for tests")
MINUTES = st.integers(-100_000, 100_000)


@given(ahead=MINUTES, waited=st.integers(0, 5000))
def test_whatever_the_phones_clock_says_the_time_of_the_tap_is_found(ahead, waited):
    sent = NOW + timedelta(minutes=ahead)
    found = rules.believed(tapped_at=sent - timedelta(minutes=waited), sent_at=sent, now=NOW)
    assert found.at == NOW - timedelta(minutes=waited)
    assert found.skew_s == ahead * 60
    assert ("clock_skew" in found.remarks) == (abs(ahead) > 2)


def test_a_tap_after_its_own_sending_counts_from_arrival():
    found = rules.believed(tapped_at=NOW + timedelta(seconds=1), sent_at=NOW, now=NOW)
    assert (found.at, found.remarks) == (NOW, ("clock_moved",))


@given(plate=st.text(min_size=1, max_size=10).filter(str.strip), serial=st.integers(1, 10**6))
def test_a_code_says_what_was_signed_and_no_letter_of_it_may_change(plate, serial):
    text = codes.sign(codes.VehicleSign(plate, serial), KEYS, NOW)
    assert codes.read(text, KEYS.public) == codes.Read("good", codes.VehicleSign(plate, serial))
    parts = text.split("~")
    assert codes.read("~".join([*parts[:3], str(serial + 1), *parts[4:]]), KEYS.public).state == "forged"
    assert codes.read(text, signing.derived("another").public).state == "unknown_key"
    assert len(codes.manual(text)) == codes.MANUAL


def test_a_slips_code_is_no_vehicles_code_nor_the_other_way_round():
    slip = signing.sign(signing.SlipCode("330106-1", "浙A10001", NOW, NOW), KEYS, NOW)
    assert codes.read(slip, KEYS.public).state == "forged"
    assert signing.read(codes.sign(codes.VehicleSign("浙A10001", 1), KEYS, NOW), KEYS.public).state == "forged"


def test_a_key_given_up_does_not_vouch_for_later_codes():
    gone = signing.Keys(KEYS.seed, (signing.PublicKey(KEYS.public[0].key_id, KEYS.public[0].public, NOW, NOW),))
    assert codes.read(codes.sign(codes.VehicleSign("浙A10001", 1), gone, NOW), gone.public).state == "old_key"


@pytest.mark.parametrize("text", ["", "~", "V1~a~b~c~d~e", "V1~" + "x" * 500, "https://example.com/?code=1~2~3"])
def test_anything_else_is_no_code(text):
    assert codes.read(text, KEYS.public).state in {"forged", "unknown_key"}


def test_a_walk_round_covers_every_part_once():
    rules.check_walk([part for part in Part if part is not Part.TYRES], [Part.TYRES])
    for good, bad in (([], []), (list(Part), [Part.TYRES]), (list(Part)[1:], [])):
        with pytest.raises(RuleBroken, match="walk_incomplete"):
            rules.check_walk(good, bad)


def test_the_window_of_a_scan_is_half_open():
    window = {"start_at": NOW, "end_at": NOW + timedelta(hours=2), "early": timedelta(hours=1)}
    rules.check_window(NOW - timedelta(hours=1), **window)
    with pytest.raises(RuleBroken, match="scan_early") as refused:
        rules.check_window(NOW - timedelta(hours=1, seconds=1), **window)
    assert refused.value.params == {"at": "11-18 08:00"}
    with pytest.raises(RuleBroken, match="scan_late"):
        rules.check_window(NOW + timedelta(hours=2), **window)


def spans(*minutes):
    return [(NOW + timedelta(minutes=out), NOW + timedelta(minutes=back)) for out, back in minutes]


@pytest.mark.parametrize(
    ("driven", "now_min", "stretch_min", "due"),
    [
        (spans((0, 120), (130, 250)), 250, 240, True),  # ten minutes are no rest
        (spans((0, 120), (140, 250)), 250, 110, False),  # twenty are
        (spans((0, 240)), 259, 240, True),
        (spans((0, 240)), 260, 0, False),
        ([], 0, 0, False),
    ],
)
def test_four_hours_without_twenty_minutes_call_for_rest(driven, now_min, stretch_min, due):
    found = rules.hours(
        driven, now=NOW + timedelta(minutes=now_min), most=timedelta(hours=4), rest=timedelta(minutes=20)
    )
    assert (found.stretch_s, found.rest_due) == (stretch_min * 60, due)
    assert found.driven_s == sum((back - out).total_seconds() for out, back in driven)


def test_map_apps_get_the_point_in_their_own_datum():
    links = map_links("杭州东站 & 西", 30.293549, 120.208203)
    gcj = [float(part) for part in links["tencent"].partition("tocoord=")[2].partition("&")[0].split(",")]
    bd = [float(part) for part in links["baidu"].partition("latlng:")[2].partition("%7C")[0].split(",")]
    assert 300 < haversine_m(*gcj, 30.293549, 120.208203) < 800
    assert haversine_m(*bd09_to_gcj02(*bd), *gcj) < 2
    assert f"{gcj[1]},{gcj[0]}" in links["amap"]
    assert links["geo"].startswith("geo:30.293549,120.208203?")
    assert all("&%20" not in link and " & " not in link for link in links.values())


@given(st.floats(18, 53), st.floats(74, 134))
def test_bd09_comes_back_within_two_metres(lat, lon):
    assert haversine_m(*bd09_to_gcj02(*gcj02_to_bd09(lat, lon)), lat, lon) < 2
