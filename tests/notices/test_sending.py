"""The way out against real providers on this machine: answers, failures, hangs, duplicates, a killed sender."""

import email
import email.policy
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.kit.actor import SYSTEM
from fleetapp.notices import channels, outbox, rules, service
from fleetapp.notices.channels import Mail, Message, SmsGateway, Unsent, WorkChat
from fleetapp.notices.rules import ChannelName
from fleetapp.settings import Settings, SettingsError, load
from tests import world
from tests.notices.conftest import DRIVER, OTHER
from tests.notices.providers import Provider, http, smtp
from tests.serving import environment

SOON, LATER = timedelta(seconds=61), timedelta(hours=2)


def sms(url, timeout_s=2.0):
    return SmsGateway(url, "secret", timeout_s)


def states(desk):
    return [(row.state, row.attempts) for row in desk.rows()]


def test_what_was_committed_goes_out_once_and_what_was_not_never(desk):
    provider = Provider()
    with http(provider) as url:
        desk.tell(), desk.tell()  # the same matter told twice
        applicant = world.actor(desk.database, "applicant.xhedu")

        def undone():
            with desk.database.transaction(applicant) as session:
                service.notify(session, to=[world.user_id(desk.database, OTHER)], code="orders.notice.dispatched", params={}, link="/",
                               key="lost", now=desk.now)  # fmt: skip
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            undone()
        assert desk.send(sms(url)) == {"routed": 1, "SENT": 1}
        assert desk.send(sms(url)) == {"routed": 0}
    [message] = provider.got
    assert message["to"].startswith("138")
    assert message["token"] == "Bearer secret"
    assert message["text"] == "【公务用车】用车单 YC-1（11-18 13:00 去 西湖国宾馆）已派车：–"
    [row] = desk.rows()
    assert (row.state, row.provider_id, row.attempts) == ("SENT", "P1", 1)


def test_two_senders_at_once_send_nothing_twice(desk):
    provider = Provider()
    for number in range(24):
        desk.tell(key=f"k{number}", urgent=True)
    with http(provider) as url:
        threads = [threading.Thread(target=desk.send, args=[sms(url)]) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert len(provider.keys) == len(set(provider.keys)) == 24
    assert {row.state for row in desk.rows()} == {"SENT"}


def test_failures_back_off_and_end_where_somebody_sees_them(desk, browse_live):
    provider = Provider(lambda _: "500")
    desk.tell()
    with http(provider) as url:
        desk.send(sms(url))
        [first] = desk.rows()
        assert (first.state, first.attempts, first.last_error) == ("QUEUED", 1, "HTTP 500")
        assert timedelta(seconds=15) <= first.next_at - desk.now <= timedelta(seconds=30)
        assert desk.send(sms(url)) == {"routed": 0}
        desk.send(sms(url), now=desk.now + SOON)
        desk.send(sms(url), now=desk.now + LATER)
        assert states(desk) == [("FAILED", 3)]
        assert len(set(provider.keys)) == 1
        page = browse_live("system_admin.xihu").get("/notices/deliveries?state=FAILED").get_data(as_text=True)
        assert "HTTP 500" in page
        assert "西湖国宾馆" not in page
        admin = world.actor(desk.database, "system_admin.xihu")
        with desk.database.transaction(admin) as session:
            service.retry(session, delivery_id=first.id, reason="网关已恢复", actor=admin, now=desk.now)
        provider.behave = lambda _: "ok"
        assert desk.send(sms(url), now=desk.now + LATER)["SENT"] == 1
    assert provider.keys[-1] == provider.keys[0]


def test_a_refusal_is_final_without_the_number_in_it_and_a_known_key_is_sent(desk):
    for how in ("400", "refuse", "409"):
        desk.tell(key=how)
        with http(Provider(lambda _, how=how: how)) as url:
            desk.send(sms(url))
    refused, in_words, known = desk.rows()
    assert (refused.state, refused.last_error) == ("FAILED", "HTTP 400")
    assert (in_words.state, known.state) == ("FAILED", "SENT")
    assert "****" in in_words.last_error
    assert "13800" not in in_words.last_error


def test_a_provider_that_hangs_keeps_neither_other_channels_nor_other_people_waiting(desk):
    desk.route("orders", ChannelName.CHAT)
    drivers = {name: world.actor(desk.database, name) for name in (DRIVER, OTHER)}
    for name, actor in drivers.items():
        with desk.database.transaction(actor) as session:
            service.choose(
                session, choices={}, addresses={ChannelName.CHAT: name.replace(".", "-")}, actor=actor, now=desk.now
            )
    stuck = f"138{drivers[DRIVER].user_id:08d}"
    slow, chat = Provider(lambda message: "hang" if message["to"] == stuck else "ok"), Provider()
    desk.tell(DRIVER), desk.tell(OTHER)
    with http(slow) as slow_url, http(chat) as chat_url:
        work = WorkChat(chat_url, "", 2.0)
        done = desk.send(sms(slow_url, 0.5), work)
        assert done["SENT"] >= 2
        assert sorted(message["receiverIds"] for message in chat.got) == ["driver-xhedu", "driver2-xhedu"]
        assert chat.got[0]["msg"]["action_card"]["single_url"] == "https://fleet.example/orders/1"
        desk.send(sms(slow_url, 0.5), work, now=desk.now + timedelta(seconds=6))
        by = {(row.user_id, row.channel): row for row in desk.rows()}
        assert by[drivers[OTHER].user_id, "sms"].state == "SENT"
        assert by[drivers[DRIVER].user_id, "sms"].state == "QUEUED"
        assert "timed out" in by[drivers[DRIVER].user_id, "sms"].last_error
    nobody = SmsGateway("http://127.0.0.1:1/", "", 0.5)
    with pytest.raises(Unsent) as refused:
        nobody.send(Message("1", "", "", "", "k"))
    assert (refused.value.again, refused.value.down) == (True, True)


CHILD = textwrap.dedent("""
    import sys
    from datetime import datetime
    from fleetapp import wiring
    from fleetapp.kit.db import Database, make_engine
    from fleetapp.notices import jobs
    from fleetapp.notices.channels import SmsGateway
    from tests.notices.conftest import LIMITS
    database = Database(make_engine(sys.argv[1]), wiring.CONSTRAINT_ERRORS)
    jobs.deliver(database, datetime.fromisoformat(sys.argv[3]), channels=[SmsGateway(sys.argv[2], "", 30.0)], limits_of=lambda *_: LIMITS)
""")


def test_a_sender_killed_between_sending_and_recording_is_followed_by_another_with_the_same_key(
    desk, live_database_url
):
    provider = Provider(lambda _: "hang")
    desk.tell()
    with http(provider) as url:
        child = subprocess.Popen([sys.executable, "-c", CHILD, live_database_url, url, desk.now.isoformat()],
                                 cwd=Path(__file__).parents[2], env=environment(live_database_url))  # fmt: skip
        assert provider.arrived.wait(30), "the child sent nothing"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert states(desk) == [("SENDING", 1)]
        provider.behave = lambda _: "ok"
        assert desk.send(sms(url), now=desk.now + timedelta(seconds=30)) == {"routed": 0}
        assert desk.send(sms(url), now=desk.now + rules.LEASE) == {"routed": 0, "SENT": 1}
    assert states(desk) == [("SENT", 2)]
    assert len(provider.keys) == 2
    assert len(set(provider.keys)) == 1


def test_a_sender_that_slept_through_its_lease_changes_nothing(still):
    desk = still
    desk.tell()
    with desk.database.transaction(SYSTEM) as session:
        outbox.route(session, channels=[ChannelName.SMS], limits=desk.limits, now=desk.now)
        [slow] = outbox.claim(session, channel=ChannelName.SMS, limits=desk.limits, now=desk.now)
    with desk.database.transaction(SYSTEM) as session:
        [quick] = outbox.claim(session, channel=ChannelName.SMS, limits=desk.limits, now=desk.now + rules.LEASE)
        assert (quick.key, quick.attempts) == (slow.key, 2)
        assert not outbox.sent(session, parcel=slow, provider_id="old", now=desk.now)
        assert outbox.sent(session, parcel=quick, provider_id="new", now=desk.now)
    [row] = desk.rows()
    assert row.provider_id == "new"


def test_senders_that_die_every_time_end_in_a_failure(still):
    desk = still
    desk.tell()
    at = desk.now
    with desk.database.transaction(SYSTEM) as session:
        outbox.route(session, channels=[ChannelName.SMS], limits=desk.limits, now=at)
    for _ in range(4):
        with desk.database.transaction(SYSTEM) as session:
            outbox.claim(session, channel=ChannelName.SMS, limits=desk.limits, now=at)
        at += rules.LEASE
    assert states(desk) == [("FAILED", 3)]


def test_in_quiet_hours_the_urgent_goes_out_and_the_rest_becomes_one_message_in_the_morning(desk):
    night = desk.now + timedelta(hours=14)  # 23:00
    for key in ("a", "b", "c"):
        desk.tell(key=key)
    desk.tell(key="flood", urgent=True)
    desk.tell(OTHER, key="a")
    provider = Provider()
    with http(provider) as url:
        desk.send(sms(url), now=night)
        assert len(provider.got) == 1
        provider.behave = lambda message: "500" if "3 条" in message["text"] else "ok"
        desk.tell(key="late", now=night)
        morning = night + timedelta(hours=8)
        provider.behave = lambda message: "500" if "条新消息" in message["text"] else "ok"
        desk.send(sms(url), now=morning)
        digest = provider.got[-1] if "条新消息" in provider.got[-1]["text"] else provider.got[-2]
        desk.tell(key="next day", now=morning)
        provider.behave = lambda _: "ok"
        desk.send(sms(url), now=morning + SOON)
    assert digest["text"].count("· ") in {3, 4}
    again = [message for message in provider.got if message["key"] == digest["key"]]
    assert [message["text"] for message in again] == [digest["text"]] * 2  # what came meanwhile is another message
    assert {row.state for row in desk.rows()} == {"SENT"}


def test_a_person_gets_no_more_an_hour_than_the_policy_says(desk):
    desk.limits = replace(desk.limits, per_hour=2, digest_from=99)
    for number in range(4):
        desk.tell(key=f"k{number}")
    provider = Provider()
    with http(provider) as url:
        desk.send(sms(url))
        assert len(provider.got) == 2
        desk.send(sms(url), now=desk.now + timedelta(minutes=59))
        assert len(provider.got) == 2
        desk.send(sms(url), now=desk.now + timedelta(minutes=61))
    assert len(provider.got) == 4


def test_confidential_content_stays_inside_and_choices_decide_where_the_rest_goes(desk):
    desk.route("orders", ChannelName.MAIL)
    driver = world.actor(desk.database, DRIVER)
    with desk.database.transaction(driver) as session:
        service.choose(session, choices={("orders", ChannelName.SMS): False}, addresses={ChannelName.MAIL: "driver@example.gov.cn"},
                       actor=driver, now=desk.now)  # fmt: skip
    desk.tell(key="open")
    desk.tell(key="secret", confidential=True)
    desk.tell(key="urgent", urgent=True)
    relay, text_messages = Provider(), Provider()
    with smtp(relay) as port, http(text_messages) as url:
        mail = Mail("127.0.0.1", port, "fleet@example.gov.cn", "", "", tls=False, timeout_s=2.0)
        desk.limits = replace(desk.limits, digest_from=9)
        desk.send(mail, sms(url))
        assert mail.send(Message("a@example.cn", "t", "x", "", "key")).provider_id == "key"
        for how, again in (("500", True), ("400", False)):
            relay.behave = lambda _, how=how: how
            with pytest.raises(Unsent) as refused:
                mail.send(Message("a@example.cn", "t", "x", "", "key"))
            assert refused.value.again is again
    assert len(text_messages.got) == 1  # the urgent one, as routed
    bodies = [
        email.message_from_bytes(message["text"].encode(), policy=email.policy.default).get_content()
        for message in relay.got[:3]
    ]
    assert sorted("西湖国宾馆" in body for body in bodies) == [False, True, True]
    assert any("请登录系统查看" in body and "/orders/1" not in body for body in bodies)


def test_without_an_address_a_delivery_is_kept_back_where_somebody_sees_it(desk):
    desk.route("orders", ChannelName.CHAT)
    with desk.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE user_account SET phone = NULL"))
    desk.tell()
    chat = Provider()
    with http(chat) as url:
        desk.send(sms(url), WorkChat(url, "", 1.0))
    assert sorted((row.channel, row.state, row.last_error) for row in desk.rows()) == [
        ("chat", "SUPPRESSED", "no address"), ("sms", "SUPPRESSED", "no address"),
    ]  # fmt: skip
    assert chat.got == []


INSERT = (
    "INSERT INTO notice_delivery (notice_id, user_id, code, channel, urgent, state, next_at, created_at)"
    " SELECT notice_id, user_id, code, {channel}, urgent, {state}, now(), now() FROM notice_delivery"
)
TAMPERING = [
    "UPDATE notice SET params = '{}'", "UPDATE notice SET user_id = user_id + 1", "DELETE FROM notice", "DELETE FROM notice_delivery",
    "UPDATE notice_delivery SET state = 'QUEUED', sent_at = NULL", "UPDATE notice SET routed_at = NULL",
    "UPDATE notice_delivery SET bundle = 0", "TRUNCATE notice_delivery", INSERT.format(channel="channel", state="'QUEUED'"),
    INSERT.format(channel="'chat'", state="'SENT'"),
]  # fmt: skip


def test_raw_sql_changes_neither_what_was_told_nor_what_went_out(desk):
    desk.tell()
    with http(Provider()) as url:
        desk.send(sms(url))
    for statement in TAMPERING:
        with pytest.raises(DBAPIError), desk.database.transaction(SYSTEM) as session:
            session.execute(text(statement))
    assert states(desk) == [("SENT", 1)]


def test_channels_are_off_until_the_settings_name_them():
    assert channels.configured(Settings()) == ()
    on = Settings(
        sms_url="http://sms.example", mail_host="relay", mail_from="a@example.cn", chat_url="http://chat.example"
    )
    assert [channel.name for channel in channels.configured(on)] == [
        ChannelName.SMS,
        ChannelName.MAIL,
        ChannelName.CHAT,
    ]
    base = {"FLEET_DATABASE_URL": "x", "FLEET_SECRET_KEY": "x"}
    for wrong in ({"FLEET_SMS_URL": "file:///etc/passwd"}, {"FLEET_MAIL_HOST": "relay"}):
        with pytest.raises(SettingsError):
            load(base | wrong)
