"""Lists that count to a thousand and find a text by the index, under row-level security."""

from datetime import timedelta

import pytest

from fleetapp.orders import lists, queries, service
from fleetapp.orders.rules import OrderKind, Purpose


@pytest.fixture
def found(database, acting):
    """Return the ids that a text finds for a username."""

    def run(q, username="dispatcher.xihu", **more):
        actor = acting(username)
        with database.transaction(actor) as session:
            rows = lists.with_text(session, queries.visible_to(actor), q=q, **more)
            return {order.id for order in session.scalars(rows)}

    return run


def test_a_text_is_found_wherever_lists_look_for_it(submit, step, dispatched, found, now):
    mine = submit(reason="赴三墩调研 Alpha", passengers="教研员甲")
    sent = submit(reason="参加会议", start_at=now + timedelta(hours=8), end_at=now + timedelta(hours=9))
    step(service.approve, "approver.xhedu", sent)
    dispatched(sent)
    other = submit("applicant.bjwater", reason="赴三墩调研")
    assert found("三墩") == found("ALPHA") == found("调研 al") == {mine}
    assert found("yc2026") == found("Applicant.xhedu") == {mine, sent}
    assert found("a10001") == {sent}
    assert found("墩") == {mine}, "one letter alone"
    assert found("墩三") == found("%%") == found("') OR true --") == set()
    assert found("三墩", "dispatcher.city") == {mine, other}
    assert found("三墩", "applicant.xhhealth") == set()
    assert found("三墩", start=now + timedelta(hours=5)) == found("三墩", end=now) == set()


def test_a_confidential_text_is_found_by_the_few(submit, found):
    secret = submit(kind=OrderKind.CONFIDENTIAL, purpose=Purpose.DOCUMENTS, reason="机要文件")
    assert found("机要") == found("机要", "auditor.city") == {secret}
    assert found("机要", "fleet_manager.xihu") == found("机要", "leader.city") == set()


def test_tabs_count_to_the_most_and_a_page_says_that_there_is_more(submit, database, acting, now, monkeypatch):
    actor = acting("dispatcher.xihu")
    for hour in range(4):
        submit(start_at=now + timedelta(hours=4 + hour), end_at=now + timedelta(hours=5 + hour))
    with database.transaction(actor) as session:
        rows = queries.visible_to(actor)
        assert lists.counts(session, rows) == queries.count_by_group(session, rows)
        whole = lists.page(session, rows, number=2, size=3, total=4)
        assert (len(whole.items), whole.total, whole.pages, whole.capped) == (1, 4, 2, False)
        monkeypatch.setattr(lists, "MOST", 2)
        counts = lists.counts(session, rows)
        assert (counts["to_approve"], counts["all"], counts["over"]) == (3, 3, 0)
        page = lists.page(session, rows, number=1, size=2, total=counts["all"])
        assert (page.total, page.capped) == (2, True)
        starts = [order.start_at for order in page.items]
        assert starts == sorted(starts, reverse=True)
