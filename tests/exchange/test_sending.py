"""Sending to a platform that misbehaves in every way: nothing is lost, nothing is registered twice."""

from datetime import timedelta

import pytest

from fleetapp.exchange import jobs, rules
from fleetapp.exchange.adapter import HttpsJson
from fleetapp.exchange.models import ExchangeReceipt
from fleetapp.exchange.rules import Outcome, RecordState, Trouble

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def assert_all_there_once(desk):
    """Everything that was queued is registered above, once, and knows it."""
    keys = {row.key for row in desk.rows()}
    assert desk.states() == {RecordState.ACCEPTED}
    assert set(desk.platform.registered) == keys
    assert set(desk.platform.times_registered.values()) == {1}


def test_what_the_world_has_goes_up_in_the_order_of_the_table(desk):
    done = desk.run()
    assert done["collected"] == done["accepted"] == len(desk.rows())
    assert_all_there_once(desk)
    interfaces = [key.split(":")[0] for key in desk.platform.order]
    assert interfaces == sorted(interfaces, key=["units", "vehicles", "drivers"].index)
    assert len([one for one in interfaces if one == "vehicles"]) == 6
    receipt = desk.receipts(ExchangeReceipt.interface == "vehicles")[0]
    assert (receipt.outcome, receipt.mapping) == (Outcome.ACCEPTED, "DB32/T 3826-2020 2026-11")
    assert receipt.receipt_no.startswith("R-vehicles:main-")


def test_what_did_not_change_is_not_sent_again(desk):
    desk.run()
    before = len(desk.platform.requests)
    assert desk.run(HOUR) == {}
    assert len(desk.platform.requests) == before


def test_a_change_is_a_new_version_under_a_key_of_its_own(desk):
    desk.run()
    desk.sql("UPDATE vehicle SET colour = '黑色' WHERE plate = '浙A10001'")
    desk.run(HOUR)
    old, new = [row for row in desk.rows("vehicles") if row.label == "浙A10001"]
    assert (old.version, old.current, old.state) == (1, False, RecordState.ACCEPTED)
    assert (new.version, new.current, new.state) == (2, True, RecordState.ACCEPTED)
    assert desk.platform.registered[new.key]["colour"] == "黑色"
    assert desk.platform.registered[old.key].get("colour") is None


def test_what_is_made_void_is_told_only_to_a_platform_that_may_have_it(desk, now):
    desk.sql("UPDATE driver SET left_at = :at WHERE id = (SELECT min(id) FROM driver)", at=now)
    entry = desk.fill(now)
    desk.run()
    assert len(desk.rows("drivers")) == 3  # of four: the platform never had the one who left
    desk.sql("UPDATE energy_entry SET void_at = :at, void_reason = '录入重复' WHERE id = :id", at=now, id=entry)
    desk.run(HOUR)
    assert [one.values["record_status"] for one in desk.rows("energy")] == ["valid", "void"]
    assert_all_there_once(desk)


def test_a_day_without_the_platform_loses_nothing_and_catches_up_in_order(desk, now):
    desk.run()
    desk.platform.stop()
    for hours in range(2, 25, 2):
        desk.fill(now + hours * HOUR)
        desk.run(hours * HOUR)
    link = desk.link()
    assert (link.trouble, link.failures) == (Trouble.UNREACHABLE, 12)
    assert link.since == now + 2 * HOUR
    assert [one.outcome for one in desk.receipts(ExchangeReceipt.interface == "energy")] == [Outcome.FAILED] * 12
    assert len(desk.rows("energy", RecordState.QUEUED)) == 12
    desk.platform.free.clear()
    desk.platform.start()
    desk.run(24 * HOUR + 20 * MINUTE)
    assert_all_there_once(desk)
    sent = [key for key in desk.platform.order if key.startswith("energy")]
    assert sent == [row.key for row in desk.rows("energy")]
    assert [row.values["at"] for row in desk.rows("energy")] == sorted(row.values["at"] for row in desk.rows("energy"))
    assert (desk.link().trouble, desk.link().failures) == (None, 0)


def test_a_link_that_failed_is_left_alone_until_it_has_waited(desk):
    desk.platform.stop()
    desk.run(jitter=1.0)
    failed = desk.link()
    assert failed.next_at == desk.now + timedelta(seconds=30)
    assert desk.run(timedelta(seconds=29)) == {}
    assert desk.link().failures == 1
    desk.run(timedelta(seconds=30), jitter=0.0)
    assert desk.link().next_at == desk.now + timedelta(seconds=30) + timedelta(seconds=30)  # 60 s times a half
    desk.platform.free.clear()
    desk.platform.start()


@pytest.mark.parametrize(
    ("how", "trouble"),
    [("500", Trouble.SERVER), ("503", Trouble.SERVER), ("429", Trouble.SERVER), ("404", Trouble.UNCLEAR), ("nonsense", Trouble.UNCLEAR),
     ("empty", Trouble.UNCLEAR), ("strangers", Trouble.UNCLEAR), ("half", Trouble.UNCLEAR)],
)  # fmt: skip
def test_an_answer_that_says_nothing_leaves_everything_in_the_queue(desk, how, trouble):
    desk.platform.behave = lambda path, records: how if path == "/vehicles" else "ok"
    desk.run()
    assert desk.states("vehicles") == {RecordState.QUEUED}
    if trouble in rules.OF_LINK:
        assert desk.link().trouble == trouble
    else:
        row = desk.interface("vehicles")
        assert (row.trouble, row.failures) == (trouble, 1)
        assert desk.states("drivers") == {RecordState.ACCEPTED}  # the others go on
    [failed] = desk.receipts(ExchangeReceipt.outcome == Outcome.FAILED)
    assert (failed.records, failed.outbox_id) == (6, None)
    desk.platform.behave = lambda path, records: "ok"
    desk.run(MINUTE)
    assert_all_there_once(desk)


@pytest.mark.parametrize("how", ["close", "half", "drip", "strangers"])
def test_what_was_taken_without_a_word_is_asked_again_and_registered_once(desk, how):
    desk.adapter = HttpsJson(desk.platform.url, "hangzhou", "secret", desk.platform.mapped, timeout_s=0.4)
    desk.platform.behave = lambda path, records: how if path == "/units" else "ok"
    desk.run()
    assert desk.states("units") == {RecordState.QUEUED}
    assert len([key for key in desk.platform.registered if key.startswith("units")]) == 8
    desk.platform.behave = lambda path, records: "ok"
    desk.adapter.timeout_s = 5.0
    desk.run(MINUTE)
    assert_all_there_once(desk)
    assert {
        one.outcome
        for one in desk.receipts(ExchangeReceipt.interface == "units", ExchangeReceipt.outbox_id.is_not(None))
    } == {Outcome.DUPLICATE}


def test_a_platform_that_does_not_answer_in_time_is_unreachable(desk):
    desk.adapter = HttpsJson(desk.platform.url, "hangzhou", "secret", desk.platform.mapped, timeout_s=0.3)
    desk.platform.behave = lambda path, records: "slow"
    desk.run()
    assert desk.link().trouble == Trouble.UNREACHABLE
    assert "within 0.3 s" in desk.link().message
    assert desk.platform.requests == ["/units"]  # nobody else waits for it


def test_a_part_of_a_batch_taken_the_rest_goes_in_the_next(desk):
    desk.platform.behave = lambda path, records: "part"
    desk.run()
    assert_all_there_once(desk)
    assert desk.platform.requests.count("/units") == 4  # of 8: 4, 2, 1, 1


def test_every_answer_twice_makes_one_receipt(desk):
    desk.platform.behave = lambda path, records: "twice"
    desk.run()
    assert_all_there_once(desk)
    assert len(desk.receipts()) == len(desk.rows())


def test_a_token_that_ran_out_is_renewed_once(desk):
    expire = iter(["ok", "expired"])
    desk.platform.behave = lambda path, records: next(expire, "ok")
    desk.run()
    assert desk.platform.logins == 2
    assert_all_there_once(desk)


def test_a_platform_that_takes_no_token_is_a_refused_login(desk):
    desk.platform.behave = lambda path, records: "expired"
    desk.run()
    assert (desk.link().trouble, desk.platform.logins) == (Trouble.LOGIN_REFUSED, 2)


def test_a_wrong_password_is_said_and_never_kept(desk):
    desk.platform.password = "another"
    desk.run()
    assert (desk.link().trouble, desk.platform.requests) == (Trouble.LOGIN_REFUSED, [])
    assert "secret" not in repr(desk.adapter) + desk.link().message


def test_a_refused_record_waits_to_be_mended_and_goes_again_by_itself(desk):
    desk.platform.refuse = lambda values: [("engine_no", "发动机号重复")] if values.get("engine_no") == "E1" else None
    desk.sql("UPDATE vehicle SET engine_no = 'E1' WHERE plate = '浙A10001'")
    desk.run()
    [refused] = desk.rows("vehicles", RecordState.REJECTED)
    assert refused.faults == [{"field": "engine_no", "rule": "platform", "message": "发动机号重复"}]
    assert desk.run(HOUR) == {}  # nothing is asked twice
    desk.sql("UPDATE vehicle SET engine_no = 'E2' WHERE plate = '浙A10001'")
    desk.run(2 * HOUR)
    old, new = [row for row in desk.rows("vehicles") if row.label == "浙A10001"]
    assert (old.state, new.state, new.version) == (RecordState.SUPERSEDED, RecordState.ACCEPTED, 2)


def test_a_batch_refused_for_one_bad_record_ends_with_that_one_alone(desk):
    desk.platform.behave = lambda path, records: (
        "400" if path == "/vehicles" and any(one["data"]["plate"] == "浙A10003" for one in records) else "ok"
    )
    for minutes in range(3):
        desk.run(minutes * MINUTE)
    assert [row.label for row in desk.rows("vehicles", RecordState.REJECTED)] == ["浙A10003"]
    assert len(desk.rows("vehicles", RecordState.ACCEPTED)) == 5


def test_below_its_share_of_mandatory_fields_an_interface_sends_nothing(desk):
    desk.sql("UPDATE vehicle SET price_ex_tax = NULL WHERE plate <> '浙A10001'")
    desk.run()
    assert sorted(row.state for row in desk.rows("vehicles")) == [RecordState.INVALID] * 5 + [RecordState.QUEUED]
    assert not any(path == "/vehicles" for path in desk.platform.requests)
    # 12 mandatory fields of 6 vehicles: 3 without a price are 69 of 72, which is enough for the other three
    desk.sql("UPDATE vehicle SET price_ex_tax = 120000 WHERE plate IN ('浙A10001', '浙AD00002', '浙A10003')")
    desk.run(HOUR)
    assert len(desk.rows("vehicles", RecordState.ACCEPTED)) == 3
    assert {row.faults[0]["rule"] for row in desk.rows("vehicles", RecordState.INVALID)} == {"required"}


def test_a_sender_that_died_is_followed_by_one_that_sends_the_same(desk):
    desk.run()
    desk.fill(desk.now)

    class Dies(HttpsJson):
        def send(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.run(MINUTE, Dies(desk.platform.url, "hangzhou", "secret", desk.platform.mapped))
    assert desk.states("energy") == {RecordState.SENDING}
    desk.run(2 * MINUTE)  # the lease has not ended: perhaps somebody still sends it
    assert desk.states("energy") == {RecordState.SENDING}
    desk.run(2 * MINUTE + rules.LEASE)
    assert_all_there_once(desk)


def test_a_sender_that_slept_through_its_lease_changes_nothing(desk):
    desk.run()
    desk.fill(desk.now)
    late = timedelta(minutes=10)

    class Sleeps(HttpsJson):
        def send(self, interface, batch, sendings):
            if interface == "energy" and not self.certificate_until:
                self.certificate_until = desk.now
                desk.run(late)  # another one takes over meanwhile
            return super().send(interface, batch, sendings)

    desk.run(MINUTE, Sleeps(desk.platform.url, "hangzhou", "secret", desk.platform.mapped))
    assert_all_there_once(desk)
    assert len(desk.receipts(ExchangeReceipt.interface == "energy")) == 1


def test_runs_are_bounded_and_go_on_where_they_stopped(desk, monkeypatch):
    monkeypatch.setattr(rules, "BATCH", 3)
    monkeypatch.setattr(rules, "MOST_BATCHES", 2)
    desk.run()
    assert len(desk.platform.requests) == 2
    for minutes in range(1, 4):
        desk.run(minutes * MINUTE)
    assert_all_there_once(desk)


def test_many_rows_are_collected_piece_by_piece_and_late_ones_found(desk, now, monkeypatch):
    monkeypatch.setattr(rules, "COLLECT", 4)
    first = [desk.fill(now + n * HOUR) for n in range(10)]
    for minutes in range(3):
        desk.run(minutes * MINUTE)
    assert len(desk.rows("energy", RecordState.ACCEPTED)) == 10
    desk.sql("UPDATE energy_entry SET void_at = :at, void_reason = '录入重复' WHERE id = :id", at=now, id=first[6])
    for minutes in range(10, 13):  # three turns look at them all again
        desk.run(minutes * MINUTE)
    assert [row.source_id for row in desk.rows("energy") if row.version == 2] == [first[6]]


def test_without_a_platform_the_job_does_nothing(desk):
    assert jobs.run(desk.database, desk.now, adapter=None) == {}
    assert desk.rows() == []
