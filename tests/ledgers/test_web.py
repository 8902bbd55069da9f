"""Ledgers through the pages and the API, and who may do what."""

import io

import openpyxl
import pytest

from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from tests.ledgers.conftest import XLSX, car, column, rows_of, said, workbook

MANAGER, UNIT = "fleet_manager.xihu", "unit_admin.xhedu"


def send(client, content, name=XLSX, kind="vehicles"):
    return client.post(f"/ledgers/{kind}/upload", data={"csrf_token": client.csrf, "file": (io.BytesIO(content), name)},
                       content_type="multipart/form-data")  # fmt: skip


def test_from_the_template_to_the_registry_through_the_pages(ledgers, browse):
    client = browse(MANAGER)
    template = client.get("/ledgers/vehicles/template.xlsx")
    assert template.status_code == 200
    book = openpyxl.load_workbook(io.BytesIO(template.data))
    sheet = book.worksheets[0]
    assert [one.title for one in book.worksheets] == ["车辆台账", "填写说明", "单位代码"]
    assert (sheet.cell(3, 10).value, sheet.cell(3, 10).comment.text) == (
        "排气量（毫升）",
        "按行驶证填毫升整数，如 1598；不要填 1.6 升。",
    )
    lists = {str(one.sqref).split("4")[0]: one.formula1 for one in sheet.data_validations.dataValidation}
    assert lists["E"] == '"机要通信用车,应急保障用车,执法执勤用车,特种专业技术用车,其他公务用车"'
    assert lists["A"] == "'单位代码'!$A$2:$A$4"
    assert [row[0] for row in rows_of(template.data, 2)] == ["单位代码", "330106", "330106-EDU", "330106-HEALTH"]
    for key, value in car(1).items():
        sheet.cell(4, column(key) + 1).value = value
    file = io.BytesIO()
    book.save(file)
    answer = send(client, file.getvalue())
    assert answer.status_code == 302
    path = answer.location
    page = client.get(path).get_data(as_text=True)
    assert "等待核对" in page
    assert 'hx-trigger="every 1s"' in page
    waiting = client.get(f"{path}/progress")
    assert "HX-Refresh" not in waiting.headers
    ledgers.work()
    assert client.get(f"{path}/progress").headers["HX-Refresh"] == "true"
    page = client.get(path).get_data(as_text=True)
    assert "已核对，待入库" in page
    assert "确认入库（1 行）" in page
    assert client.submit(f"{path}/commit").status_code == 302
    ledgers.work()
    page = client.get(path).get_data(as_text=True)
    assert "fleet_manager 西湖区 于 2026-" in page
    assert "浙A20001" in client.get("/vehicles?q=浙A20001").get_data(as_text=True)
    assert XLSX in client.get("/ledgers").get_data(as_text=True)


def test_faults_stand_on_the_page_and_in_the_returned_file_which_can_be_corrected_and_sent_again(ledgers, browse):
    client = browse(MANAGER)
    path = send(client, workbook([car(1), car(2, seats=12, price_ex_tax=180000.01)])).location
    ledgers.work()
    page = client.get(path).get_data(as_text=True)
    for wanted in ("H5", "L5", "该车型核定载客应为 2 至 9 人", "180,000.01", "第七条", "只入库正确的 1 行"):
        assert wanted in page
    refused = client.submit(f"{path}/commit")
    assert (refused.status_code, "有 1 行有误" in refused.get_data(as_text=True)) == (422, True)
    returned = client.get(f"{path}/returned.xlsx").data
    rows = rows_of(returned)
    assert rows[2][-1] == "错误说明"
    assert rows[3][-1] in {"", None}
    assert rows[4][-1].startswith("H5 核定载客（人）：该车型核定载客应为 2 至 9 人")
    book = openpyxl.load_workbook(io.BytesIO(returned))
    sheet = book.worksheets[0]
    assert sheet.cell(5, column("seats") + 1).fill.fgColor.rgb == "FFFBD5D5"
    sheet.cell(5, column("seats") + 1).value, sheet.cell(5, column("price_ex_tax") + 1).value = 5, 180000
    file = io.BytesIO()
    book.save(file)
    again = send(client, file.getvalue()).location
    ledgers.work()
    assert "确认入库（2 行）" in client.get(again).get_data(as_text=True)
    assert client.submit(f"{path}/discard").status_code == 302
    assert "已放弃" in client.get(path).get_data(as_text=True)
    assert client.submit(f"{path}/commit").status_code == 422


def test_templates_of_both_ledgers_are_there_in_english_too(ledgers, browse):
    client = browse("vehicle_office.city")
    client.set_cookie("lang", "en")
    for kind, title, first in (
        ("vehicles", "Ledger of official vehicles", "Vehicles"),
        ("quotas", "Ledger of vehicle quotas", "Quotas"),
    ):
        answer = client.get(f"/ledgers/{kind}/template.xlsx")
        book = openpyxl.load_workbook(io.BytesIO(answer.data))
        assert (book.worksheets[0].title, book.worksheets[0].cell(1, 1).value) == (first, title)
        assert [one.title for one in book.worksheets[1:]] == ["How to fill in", "Units"]
        guide = rows_of(answer.data, 1)
        assert len([row for row in guide if row[0] and len(str(row[0])) <= 2]) == len(rows_of(answer.data)[2])


def test_what_is_wrong_with_a_file_or_reason_stands_at_its_input(ledgers, browse):
    client = browse(MANAGER)
    wrong = send(client, workbook([car(1)], heads=["单位代码", "车牌号", "使用单位", "能源类型"]))
    assert wrong.status_code == 422
    assert "B3 的表头应为“使用单位”，实为“车牌号”" in wrong.get_data(as_text=True)
    none = client.submit("/ledgers/vehicles/upload")
    assert none.status_code == 422
    unsaid = client.submit("/ledgers/vehicles/export", reason="x")
    assert (unsaid.status_code, "请填写导出事由" in unsaid.get_data(as_text=True)) == (422, True)
    content = workbook([car(1)])
    send(client, content)
    assert "同一文件已在导入" in send(client, content).get_data(as_text=True)


def test_an_export_through_the_page_carries_its_hash_and_stands_in_the_register(ledgers, browse):
    answer = browse("auditor.city").submit("/ledgers/vehicles/export", reason="专项检查")
    assert answer.status_code == 200
    assert answer.headers["X-Content-SHA256"] == ledgers.scalar("SELECT sha256 FROM export_record")
    assert len(rows_of(answer.data)) == 3 + 6
    answer.close()
    english = browse("auditor.city")
    english.set_cookie("lang", "en")
    answer = english.submit("/ledgers/quotas/export", reason="inspection of the year")
    assert rows_of(answer.data)[2][:3] == ["Unit code *", "Unit", "Class *"]
    answer.close()


# ---- who may ------------------------------------------------------------------------------------------------------------


def test_a_unit_fills_in_and_its_fleet_manager_commits(ledgers, browse):
    one = ledgers.check(workbook([car(1)]), username=UNIT)
    page = browse(UNIT).get(f"/ledgers/imports/{one.id}").get_data(as_text=True)
    assert "由车队管理员或车辆主管部门确认入库" in page
    with pytest.raises(NotAllowed):
        ledgers.confirm(one.id, username=UNIT)
    with pytest.raises(NotFound):
        ledgers.confirm(one.id, username="fleet_manager.binjiang")
    assert ledgers.commit(one.id, username=MANAGER).state == "DONE"
    assert (
        ledgers.scalar("SELECT actor_name FROM audit_entry WHERE action = 'vehicles.registered'")
        == "fleet_manager 西湖区"
    )


@pytest.mark.parametrize("username", ["auditor.city", "leader.city", "finance.city", "dispatcher.xihu", "driver.xhedu"])
def test_readers_do_not_import(ledgers, browse, username):
    with pytest.raises(NotAllowed):
        ledgers.upload(workbook([car(1)]), username=username)
    client = browse(username)
    assert send(client, workbook([car(1)])).status_code == 403
    assert client.get("/ledgers/vehicles/template.xlsx").status_code == 403
    allowed = username.split(".")[0] in {"auditor", "leader", "finance"}
    assert client.get("/ledgers").status_code == (200 if allowed else 403)


def test_steps_out_of_turn_are_refused(ledgers):
    one = ledgers.upload(workbook([car(1)]))
    with pytest.raises(RuleBroken, match=r"ledgers\.wrong_step"):
        ledgers.confirm(one)
    ledgers.work()
    ledgers.commit(one)
    with pytest.raises(RuleBroken, match=r"ledgers\.wrong_step"):
        ledgers.confirm(one)


# ---- API ----------------------------------------------------------------------------------------------------------------


def test_the_api_goes_the_same_way(ledgers, api):
    call = api(MANAGER)
    assert call("GET", "/ledgers/vehicles/template").status_code == 200
    sent = call(
        "POST",
        "/ledgers/vehicles/imports",
        data={"file": (io.BytesIO(workbook([car(1), car(2, vin="LSVBB11Z5N3000002")])), XLSX)},
    )
    assert (sent.status_code, sent.json["state"]) == (201, "UPLOADED")
    where = f"/ledgers/imports/{sent.json['id']}"
    ledgers.work()
    found = call("GET", where).json
    assert (found["state"], found["new_rows"], found["rejected_rows"], found["done_rows"]) == ("CHECKED", 1, 1, 2)
    assert call("GET", f"{where}/faults").json == [
        {"cell": "D5", "column": "vin", "code": "vehicles.vin_check", "message": said("vehicles.vin_check")}
    ]  # fmt: skip
    assert rows_of(call("GET", f"{where}/returned").data)[4][-1].startswith("D5")
    assert call("POST", f"{where}/commit", json={}).json["code"] == "ledgers.has_rejected"
    assert call("POST", f"{where}/check").status_code == 202
    ledgers.work()
    assert api("fleet_manager.binjiang")("POST", f"{where}/commit", json={"right_rows_only": True}).status_code == 404
    assert call("POST", f"{where}/commit", json={"right_rows_only": True}).json["state"] == "COMMITTING"
    ledgers.work()
    assert call("GET", where).json["state"] == "DONE"
    assert [row["id"] for row in call("GET", "/ledgers/imports?state=DONE").json] == [sent.json["id"]]
    assert call("POST", f"{where}/discard").status_code == 422
    assert api("auditor.city")("GET", "/ledgers/imports").status_code == 403
    exported = api("auditor.city")("POST", "/ledgers/vehicles/export", json={"reason": "专项检查", "language": "en"})
    assert rows_of(exported.data)[0][0] == "Ledger of official vehicles"
    exported.close()
    bad = call("POST", "/ledgers/vehicles/imports", data={"file": (io.BytesIO(b"x"), "a.xls")})
    assert (bad.status_code, bad.json["code"]) == (422, "ledgers.file_kind")
