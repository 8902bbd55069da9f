"""The pages and the API: from an opened report to its file and back, the rows behind a figure, who is let in."""

import io
import re

import openpyxl
import pytest

from fleetapp.factory import create_app
from fleetapp.settings import Settings
from tests.conftest import app_on
from tests.statistics.test_reports import CLERK, full, opened, submitted


@pytest.fixture
def app(database_url, changing):
    """The application on the small city."""
    return app_on(changing.database, Settings(database_url=database_url, secret_key="only for tests"))


def said(answer, status=200):
    assert answer.status_code == status, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def test_a_clerk_opens_fills_checks_and_submits(changing, browse):
    full(changing)
    clerk = browse(CLERK)
    page = said(clerk.get("/statistics"))
    assert "2026 年 6 月" in page
    org = changing.org("330106-EDU")
    there = clerk.submit("/statistics", org_id=org.id, period="2026-06").headers["Location"]
    key = "t07|norm|org=330106-EDU"
    assert "请填不小于 0 的数字" in said(clerk.submit(f"{there}?table=t07", **{key: "many"}), 422)
    said(clerk.submit(f"{there}?table=t07", **{key: "900"}), 302)
    page = said(clerk.get(f"{there}?table=t07"))
    assert 'value="900"' in page
    assert "填报" in page
    assert "−170.00" in page  # 730 spent of a norm of 900
    said(clerk.submit(f"{there}/check"), 302)
    said(clerk.submit(f"{there}/submit"), 302)
    assert "已报送第 1 版" in said(clerk.get(there))
    assert "与报送版本一致" in said(clerk.get(f"{there}/changes"))
    changing.force("UPDATE cost_entry SET void_at = now(), void_reason = '重复' WHERE kind = 'wash'")
    page = said(clerk.get(f"{there}/changes"))
    assert re.search(r"洗车</td>\s*<td[^>]*>50</td>", page)
    assert "已更正" in said(
        clerk.post(
            f"{there}/corrections", data={"csrf_token": clerk.csrf, "reason": "洗车费重复登记"}, follow_redirects=True
        )
    )
    assert "TJ-330106-EDU-2026-06-C1" in said(clerk.get(f"{there}/changes"))


def test_what_blocks_is_listed_with_its_rows_and_may_be_explained(changing, browse):
    report = opened(changing)
    clerk = browse(CLERK)
    assert "不能报送" in said(clerk.submit(f"/statistics/reports/{report.id}/check"), 422)
    changing.force("UPDATE quota_entry SET delta = 3 WHERE delta = 4")
    there = f"/statistics/reports/{report.id}/reconciliation"
    page = said(clerk.get(there))
    assert "实有超过编制" in page
    assert "必填项未填" in page
    said(clerk.submit(there, subject="quota:330106-EDU:YJBZ:4", text="年内处置一辆"), 302)
    assert "年内处置一辆" in said(clerk.get(there))
    assert "不能用说明代替" in said(clerk.submit(there, subject="files", text="以后再补"), 422)


def test_a_figure_opens_to_its_rows(changing, browse):
    clerk = browse(CLERK)
    page = said(clerk.get("/statistics/tables?period=2026-06&table=t07"))
    link = re.search(
        r'href="(/statistics/rows\?[^"]*column=running[^"]*row=%2A|/statistics/rows\?[^"]*column=running[^"]*)"[^>]*>730.00',
        page,
    )
    rows = said(clerk.get(link[1].replace("&amp;", "&")))
    assert "4 条记录，合计 730" in rows
    assert "浙A10001" in rows
    page = said(clerk.get("/statistics/indicators?period=2026-06"))
    assert "期末实有 ÷ 编制数" in page
    link = re.search(r'href="(/statistics/rows\?indicator=I22&amp;part=up[^"]*)"', page)
    assert "1 条记录，合计 20" in said(clerk.get(link[1].replace("&amp;", "&")))
    assert clerk.get("/statistics/rows?period=2026-06&table=t07&column=norm").status_code == 404
    assert clerk.get("/statistics/tables?period=nonsense").status_code in {400, 404, 409, 422}


@pytest.mark.parametrize("table", [f"t{number:02}" for number in range(1, 16)])
def test_every_table_has_its_page_in_both_languages(city_app, table):
    client = city_app
    for language in ("zh", "en"):
        client.set_cookie("lang", language)
        assert f"T{int(table[1:])} " in said(client.get(f"/statistics/tables?period=2026-06&table={table}"))


@pytest.fixture(scope="module")
def city_app(city, database_url):
    """An auditor of the city, signed in once."""
    from tests import world
    from tests.conftest import SignedIn

    app = create_app(Settings(database_url=database_url, secret_key="only for tests"), city.database)
    app.testing = True
    app.test_client_class = SignedIn
    client = app.test_client()
    client.csrf = client.get("/sign-in").get_data(as_text=True).split('name="csrf-token" content="')[1].split('"')[0]
    assert client.submit("/sign-in", username="auditor.city", password=world.PASSWORD).status_code == 302
    return client


def test_the_file_goes_out_with_a_reason_and_comes_back_the_same(changing, browse):
    report = opened(changing)
    clerk = browse(CLERK)
    there = f"/statistics/reports/{report.id}"
    assert clerk.submit(f"{there}/export", reason="短").status_code == 422
    answer = clerk.submit(f"{there}/export", reason="年度上报")
    assert answer.status_code == 200
    content = answer.data
    answer.close()

    def upload(data, name="报表.xlsx"):
        return clerk.post(f"{there}/upload", data={"csrf_token": clerk.csrf, "file": (io.BytesIO(data), name)})

    assert "已保存 0 项" in said(clerk.get(said_location(upload(content))))
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert [sheet.title for sheet in book] == [f"T{number:02}" for number in range(1, 16)]
    sheet = book["T01"]
    keys = {cell.value: cell.column for cell in sheet[1]}
    at = next(row for row in range(6, 12) if sheet.cell(row, 1).value == "org=330106-EDU")
    sheet.cell(at, keys["nature"]).value = "机关"
    sheet.cell(at, keys["staff"]).value = 40
    out = io.BytesIO()
    book.save(out)
    assert "已保存 2 项" in said(clerk.get(said_location(upload(out.getvalue()))))
    sheet.cell(at, keys["quota"]).value = 99
    out = io.BytesIO()
    book.save(out)
    answer = upload(out.getvalue())
    assert answer.status_code == 422
    assert openpyxl.load_workbook(io.BytesIO(answer.data))["T01"].cell(at, keys["quota"]).comment is not None
    answer.close()
    said(upload(b"nothing"), 422)


def said_location(answer):
    assert answer.status_code == 302, answer.get_data(as_text=True)[:1000]
    return answer.headers["Location"]


def test_readers_read_and_others_are_kept_out(changing, browse, api):
    report = submitted(changing)
    leader = browse("leader.city")
    page = said(leader.get(f"/statistics/reports/{report.id}"))
    assert "export_reason" not in page
    assert leader.submit(f"/statistics/reports/{report.id}/corrections", reason="无权更正").status_code == 403
    assert leader.submit(f"/statistics/reports/{report.id}/export", reason="无权下载").status_code == 403
    assert browse("unit_admin.xhhealth").get(f"/statistics/reports/{report.id}").status_code == 404
    assert browse("applicant.xhedu").get("/statistics").status_code == 403
    call = api("auditor.city")
    got = {
        one["code"]: one
        for one in call(
            "GET", "/indicators?period=2026-06&codes=I01,I02".replace("/indicators", "/statistics/indicators")
        ).json
    }
    assert (got["I01"]["numerator"], got["I01"]["value"], got["I02"]["unit"]) == ("6", "75.0000", "percent")
    assert call("GET", "/statistics/indicators?codes=I99").status_code == 404
    assert [one["number"] for one in call("GET", "/statistics/reports?period=2026-06").json] == [report.number]
    assert call("GET", f"/statistics/reports/{report.id}/versions").json[0]["edition"] == 1
