"""Pages of applicants and approvers."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from fleetapp.kit import clock
from fleetapp.orders import service


@pytest.fixture
def today(submit):
    """An order made now, because pages live in the present."""
    at = clock.now()
    return submit(at=at, start_at=at + timedelta(hours=4), end_at=at + timedelta(hours=6))


def read(answer, status=200):
    page = answer.get_data(as_text=True)
    assert answer.status_code == status, page
    return page


def test_the_approver_decides_in_the_inbox(browse, today, database):
    client = browse("approver.xhedu")
    page = read(client.get("/orders/inbox"))
    assert "参加全市教育工作会议" in page
    answer = client.submit(f"/orders/{today}/approve", **{"from": "inbox"})
    assert answer.location == "/orders/inbox"
    page = read(client.get("/orders/inbox"))
    assert "转调度派车" in page
    assert "没有待审批的申请" in page


def test_a_refusal_without_a_reason_says_so_on_the_page(browse, today):
    client = browse("approver.xhedu")
    assert "请填写原因" in read(client.submit(f"/orders/{today}/reject", reason=" "), 422)
    client.submit(f"/orders/{today}/reject", reason="可乘坐地铁")
    assert "可乘坐地铁" in read(browse("applicant.xhedu").get(f"/orders/{today}"))


def test_the_approver_is_warned_when_among_the_passengers(browse, submit):
    at = clock.now()
    window = {"start_at": at + timedelta(hours=4), "end_at": at + timedelta(hours=6)}
    submit(at=at, passengers="教研员甲、approver 西湖区教育局", **window)
    assert "审批人姓名出现在乘车人中" in read(browse("approver.xhedu").get("/orders/inbox"))


def test_the_approver_who_comes_second_is_told(browse, today, step):
    step(service.approve, "approver.xhedu", today)
    page = read(browse("approver.xhedu").submit(f"/orders/{today}/reject", reason="x"), 409)
    assert "已由其他审批人办理" in page


@pytest.mark.parametrize(
    ("username", "path", "status"),
    [
        ("applicant.xhedu", "/orders/inbox", 403),
        ("system_admin.city", "/orders", 403),
        ("applicant.bjwater", "/orders/{id}", 404),
        ("applicant.xhedu", "/orders/{id}", 200),
        ("auditor.city", "/orders/{id}", 200),
    ],
)
def test_pages_open_to_their_roles_only(browse, today, username, path, status):
    read(browse(username).get(path.format(id=today)), status)


def test_an_onlooker_sees_the_order_without_buttons(browse, today):
    page = read(browse("auditor.city").get(f"/orders/{today}"))
    assert "当前没有需要您办理的事项" in page
    assert f"/orders/{today}/approve" not in page


def test_what_was_typed_is_shown_as_text_not_as_markup(browse, submit):
    at = clock.now()
    order_id = submit(
        at=at, reason="<script>x</script>", start_at=at + timedelta(hours=4), end_at=at + timedelta(hours=6)
    )
    page = read(browse("applicant.xhedu").get(f"/orders/{order_id}"))
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_tabs_search_and_an_empty_list(browse, today):
    client = browse("applicant.xhedu")
    assert "参加全市教育工作会议" in read(client.get("/orders?group=to_approve&q=教育&start_on=&end_on="))
    assert "没有符合条件的用车单" in read(client.get("/orders?group=over"))
    assert "还没有用车申请" in read(browse("applicant.bjwater").get("/orders"))
    read(client.get("/orders?start_on=someday"), 422)


def test_pages_in_english(browse, today):
    client = browse("approver.xhedu")
    client.submit("/language", lang="en", next="/")
    for path in ("/orders", "/orders/inbox", f"/orders/{today}"):
        assert "Meeting" in read(client.get(path))


def test_a_longer_list_takes_no_more_queries(browse, submit, database):
    """A page of many orders asks the database as often as a page of one."""
    at, counted = clock.now(), []
    client = browse("dispatcher.xihu")

    def listen(*_):
        counted[-1] += 1

    event.listen(database.engine, "before_cursor_execute", listen)
    try:
        for more in (1, 9):
            for _ in range(more):
                counted.append(0)
                submit(at=at, start_at=at + timedelta(hours=4), end_at=at + timedelta(hours=6))
            counted.append(0)
            read(client.get("/orders"))
            if more == 1:
                alone = counted[-1]
    finally:
        event.remove(database.engine, "before_cursor_execute", listen)
    assert counted[-1] == alone
