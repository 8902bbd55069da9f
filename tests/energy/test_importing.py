"""Files of fuel companies and charging operators: every form, every refusal, twice the same, nothing half."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from fleetapp.energy import importing, layout, queries, reading, service
from fleetapp.energy.models import EnergyEntry, EnergyImport
from fleetapp.energy.rules import EntryKind
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.serving import furnish

MANAGER = "fleet_manager.xihu"
HEAD = [
    "车牌号",
    "加油卡号",
    "交易时间",
    "油品名称",
    "数量(升)",
    "单价（元）",
    "金额(元)",
    "里程",
    "是否加满",
    "加油站名称",
]
ROWS = [
    ["浙A10001", "", "2026-11-10 10:30:00", "92号汽油", "40.00", "7.85", "314.00", "10000", "是", "文三路站"],
    ["浙A·10003", "", "2026/11/11 9:05", "92号汽油", "30", "7.85", "235.50", "", "否", "古墩路站"],
    ["浙A10001", "", "2026年11月12日 18:20", "92号汽油", "1,000", "7.85", "7,850.00", "10500", "是", "文三路站"],
]


def as_csv(rows, encoding="utf-8", head=HEAD, titles=(), delimiter=","):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([*titles, head, *rows])
    return out.getvalue().encode(encoding)


def as_xlsx(rows, head=HEAD):
    book = openpyxl.Workbook()
    for row in [head, *rows]:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.fixture
def cars(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        return {car.plate: car.id for car in session.scalars(select(Vehicle))}


@pytest.fixture
def take(database, now):
    def taken(username, function, **given):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    return taken


def count(database, table=EnergyEntry):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(func.count()).select_from(table))


def code_of(function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    return broken.value.code, broken.value.params.get("cell")


def counts(made):
    return made.fresh, made.known, made.rejected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("一月.csv", as_csv(ROWS)),
        ("一月.csv", as_csv(ROWS, "utf-8-sig")),
        ("一月.csv", as_csv(ROWS, "gb18030")),
        ("一月.csv", as_csv(ROWS, "gb18030", titles=[["某某石油公司对账单"], ["客户：市直机关", "2026-11"]])),
        ("一月.csv", as_csv(ROWS, delimiter="\t")),
        ("一月.xlsx", as_xlsx(ROWS)),
    ],
)
def test_every_form_goes_in_once_and_the_same_file_again_changes_nothing(database, cars, take, name, content):
    made = take(MANAGER, importing.check, name=name, content=content)
    assert (counts(made), count(database)) == ((3, 0, 0), 0)
    done = take(MANAGER, importing.put_in, import_id=made.id)
    assert (done.state, count(database)) == ("COMMITTED", 3)
    assert code_of(take, MANAGER, importing.put_in, import_id=made.id)[0] == "energy.file_done"
    again = take(MANAGER, importing.check, name=name, content=content)
    assert counts(again) == (0, 3, 0)
    assert code_of(take, MANAGER, importing.put_in, import_id=again.id)[0] == "energy.file_nothing"
    with database.transaction(SYSTEM) as session:
        big = session.scalars(select(EnergyEntry).order_by(EnergyEntry.at.desc())).first()
    assert (big.quantity, big.amount, big.odometer_m, big.full, big.kind) == (
        Decimal(1000),
        Decimal(7850),
        10_500_000,
        True,
        "fuel",
    )
    assert big.at == datetime(2026, 11, 12, 10, 20, tzinfo=UTC)


def test_the_same_rows_in_another_form_and_order_are_known(database, cars, take):
    first = take(MANAGER, importing.check, name="a.csv", content=as_csv(ROWS, "gb18030"))
    take(MANAGER, importing.put_in, import_id=first.id)
    typed = [["浙A10001", None, datetime(2026, 11, 10, 10, 30), "92号汽油", 40, 7.85, 314, 10000, "是", "文三路站"]]  # noqa: DTZ001 -- a cell
    assert counts(take(MANAGER, importing.check, name="b.xlsx", content=as_xlsx(typed))) == (0, 1, 0)


def test_a_void_row_does_not_come_back_with_the_next_file(database, cars, take):
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv(ROWS[:1]))
    take(MANAGER, importing.put_in, import_id=made.id)
    with database.transaction(SYSTEM) as session:
        entry_id = session.scalar(select(EnergyEntry.id))
    take(MANAGER, service.void, entry_id=entry_id, reason="油企冲正")
    assert counts(take(MANAGER, importing.check, name="a.csv", content=as_csv(ROWS[:1]))) == (0, 1, 0)


BAD = {
    "no such car": (["浙A77777", "", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""], "energy.row_vehicle"),
    "another district": (
        ["浙A10005", "", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""],
        "energy.row_vehicle",
    ),
    "petrol into electric": (
        ["浙AD00002", "", "2026-11-10 10:30", "92号汽油", "40", "7.85", "314", "", "", ""],
        "energy.kind_fits",
    ),
    "wrong amount": (["浙A10001", "", "2026-11-10 10:30", "92", "40", "7.85", "315", "", "", ""], "energy.amount"),
    "no time": (["浙A10001", "", "2026-11-10", "92", "40", "7.85", "314", "", "", ""], "energy.row_time"),
    "future": (["浙A10001", "", "2026-12-10 10:30", "92", "40", "7.85", "314", "", "", ""], "energy.future"),
    "no number": (["浙A10001", "", "2026-11-10 10:30", "92", "四十", "7.85", "314", "", "", ""], "energy.row_number"),
    "not a number": (["浙A10001", "", "2026-11-10 10:30", "92", "nan", "7.85", "314", "", "", ""], "energy.row_number"),
    "negative": (["浙A10001", "", "2026-11-10 10:30", "92", "-40", "7.85", "-314", "", "", ""], "energy.row_number"),
    "nothing": (["浙A10001", "", "2026-11-10 10:30", "92", "", "7.85", "", "", "", ""], "energy.row_number"),
    "maybe full": (["浙A10001", "", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "也许", ""], "energy.row_yes"),
    "unknown card": (
        ["浙A10001", "990000", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""],
        "energy.row_card",
    ),
    "no car at all": (["", "", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""], "energy.row_vehicle"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_returned_and_the_good_ones_go_in(database, cars, take, now, case):
    cells, code = BAD[case]
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv([cells, ROWS[1]]))
    assert counts(made) == (1, 0, 1)
    who = world.actor(database, MANAGER)
    with database.transaction(who) as session:
        judged = importing.judged_file(session, made, actor=who, now=now)
    assert [(row.line, row.problems[0].code) for row in judged.rejected] == [(2, code)]
    take(MANAGER, importing.put_in, import_id=made.id)
    assert count(database) == 1


def test_rows_of_a_card_find_its_car_and_another_cars_plate_is_refused(database, cars, take):
    take(MANAGER, service.add_card, vehicle_id=cars["浙A10001"], kind=EntryKind.FUEL, number="9030110001", issuer="石油公司",
         valid_from=date(2026, 1, 1))  # fmt: skip
    rows = [
        ["", "9030110001", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""],
        ["浙A10003", "9030110001", "2026-11-10 11:30", "92", "40", "7.85", "314", "", "", ""],
        ["", "9030110001", "2025-11-10 10:30", "92", "40", "7.85", "314", "", "", ""],
        ["浙A10001", "", "2026-11-10 10:30", "92", "40", "7.85", "314", "", "", ""],
    ]
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv(rows))
    assert counts(made) == (1, 0, 3)
    take(MANAGER, importing.put_in, import_id=made.id)
    with database.transaction(SYSTEM) as session:
        [entry] = session.scalars(select(EnergyEntry))
    assert (entry.vehicle_id, entry.card_id is not None) == (cars["浙A10001"], True)


def test_a_row_that_somebody_typed_in_is_refused(database, cars, take):
    typed = {
        "kind": EntryKind.FUEL,
        "quantity": Decimal(40),
        "unit_price": Decimal("7.85"),
        "amount": Decimal("314.00"),
    }
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv(ROWS))
    take(MANAGER, service.enter, vehicle_id=cars["浙A10001"], at=datetime(2026, 11, 10, 2, 30, tzinfo=UTC), **typed)
    assert counts(take(MANAGER, importing.check, name="a.csv", content=as_csv(ROWS))) == (2, 0, 1)
    assert counts(take(MANAGER, importing.put_in, import_id=made.id)) == (2, 0, 1)
    assert count(database) == 3


def test_of_two_people_with_the_same_file_at_the_same_moment_one_puts_it_in(live_database, now):
    furnish(live_database, now)
    who = world.actor(live_database, MANAGER)
    together = Barrier(2)
    with live_database.transaction(who) as session:
        ids = [importing.check(session, name="a.csv", content=as_csv(ROWS), actor=who, now=now).id for _ in range(2)]

    def put_in(import_id):
        together.wait()
        try:
            with live_database.transaction(who) as session:
                return importing.put_in(session, import_id=import_id, actor=who, now=now).fresh
        except (Conflict, RuleBroken) as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(put_in, ids))
    assert 3 in done
    assert set(done) - {3} <= {"energy.there", "energy.file_nothing"}
    assert len(set(done)) == 2
    assert count(live_database) == 3


def test_who_only_reads_sees_a_file_as_its_sender_does(cars, take, browse):
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv([ROWS[0], BAD["no number"][0]]))
    page = browse("auditor.city").get(f"/energy/imports/{made.id}").get_data(as_text=True)
    assert "E3 不是合理的数字" in page
    assert "不在管理范围内" not in page
    assert "确认入账" not in page


def test_the_template_is_a_file_that_is_read(cars, take, browse):
    answer = browse(MANAGER).get("/energy/imports/template.xlsx")
    assert answer.headers["Content-Disposition"].isascii()
    content = answer.get_data()
    assert code_of(take, MANAGER, importing.check, name="t.xlsx", content=content)[0] == "energy.file_empty"
    book = openpyxl.load_workbook(io.BytesIO(content))
    row = ["浙AD00002", "", "2026-11-10 10:30", "充电", "", 30, 1.2, 36, 10050, "否", 90, "黄龙充电站"]
    for column, value in enumerate(row, start=1):
        book.active.cell(2, column, value)
    out = io.BytesIO()
    book.save(out)
    assert counts(take(MANAGER, importing.check, name="t.xlsx", content=out.getvalue())) == (1, 0, 0)


def test_charging_files(database, cars, take):
    head = ["车牌", "充电结束时间", "充电量(kWh)", "充电费用(元)", "结束SOC", "充电站名称", "行驶里程(km)"]
    rows = [["浙AD00002", "2026-11-10 10:30:00", "30.5", "36.60", "90%", "黄龙充电站", "10050.5"]]
    made = take(MANAGER, importing.check, name="c.csv", content=as_csv(rows, "gb18030", head=head))
    take(MANAGER, importing.put_in, import_id=made.id)
    with database.transaction(SYSTEM) as session:
        [entry] = session.scalars(select(EnergyEntry))
    assert (entry.kind, entry.quantity, entry.unit_price, entry.soc_percent) == (
        "charge",
        Decimal("30.5"),
        Decimal("1.2"),
        90,
    )
    assert entry.odometer_m == 10_050_500


FORMULA = [ROWS[0], ["浙A10001", "", "2026-11-12 10:30", "92", "40", "7.85", "=E3*F3", "", "", ""]]
SHIFTED = [ROWS[0], [*ROWS[1], "多出来的"]]
ALL_SHIFTED = [["", *row[:-1]] for row in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "code", "cell"),
    [
        ("a.csv", as_csv(FORMULA), "energy.file_formula", "G3"),
        ("a.xlsx", as_xlsx(FORMULA), "energy.file_formula", "G3"),
        ("a.csv", as_csv([[*ROWS[0][:9], "@SUM(1)"]]), "energy.file_formula", "J2"),
        ("a.csv", as_csv(SHIFTED), "energy.file_shifted", "K3"),
        ("a.xlsx", as_xlsx(SHIFTED), "energy.file_shifted", "K3"),
        ("a.csv", as_csv(ALL_SHIFTED), "energy.file_shifted", "C2"),
        ("a.csv", as_csv(ROWS, head=[*HEAD[:9], "金额"]), "energy.file_twice", "J1"),
        ("a.csv", as_csv(ROWS, head=["一", *HEAD[1:5], "单价", "三", "四", "五", "六"]), "energy.file_head", None),
        ("a.csv", as_csv([]), "energy.file_empty", None),
        ("a.csv", b"\xff\xfe\xff", "energy.file_unreadable", None),
        ("a.csv", '"车牌'.encode(), "energy.file_unreadable", None),
        ("a.xlsx", b"PK\x03\x04 broken", "attachments.disguised", None),
        ("a.xlsx", as_csv(ROWS), "attachments.disguised", None),
        ("a.exe", b"MZ", "attachments.kind", None),
        ("a.csv", b"", "attachments.empty", None),
        ("a.csv", b"1" * (15 * 1024 * 1024 + 1), "attachments.too_large", None),
        ("a.csv", as_csv(ROWS[:1] * 100_000), "energy.file_long", None),
    ],
)
def test_a_file_is_refused_as_a_whole_and_nothing_of_it_stays(database, cars, take, name, content, code, cell):
    assert code_of(take, MANAGER, importing.check, name=name, content=content) == (code, cell)
    assert (count(database), count(database, EnergyImport)) == (0, 0)


def test_a_workbook_is_not_read_beyond_its_most_rows(monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 500)
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for line, row in enumerate([HEAD, *ROWS[:1] * (reading.MOST_ROWS + 20)]):
            sheet.write_row(line, 0, row)
    with pytest.raises(RuleBroken) as broken:
        reading.read("a.xlsx", out.getvalue())
    assert broken.value.code == "energy.file_long"


def test_a_bomb_of_zeros_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(reading, "MOST_UNPACKED_BYTES", 1000)
    with pytest.raises(RuleBroken) as broken:
        reading.read("a.xlsx", as_xlsx(ROWS))
    assert broken.value.code == "energy.file_long"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fall_over(content):
    for name in ("a.csv", "a.xlsx"):
        with suppress(RuleBroken):
            assert reading.read(name, content).head.columns


@given(st.integers(1, 99_999), st.integers(0, 16_000))
def test_cells_are_named_as_spreadsheets_name_them(line, column):
    found = layout.cell_name(line, column)
    assert found == openpyxl.utils.get_column_letter(column + 1) + str(line)


def test_who_imports_and_who_only_reads(cars, take):
    content = as_csv(ROWS)
    for username in ("auditor.city", "vehicle_office.city", "leader.city", "driver.xhedu"):
        assert code_of(take, username, importing.check, name="a.csv", content=content)[0] == "kit.not_allowed"
    made = take("finance.city", importing.check, name="a.csv", content=content)
    assert counts(made) == (3, 0, 0)
    assert code_of(take, "auditor.city", importing.put_in, import_id=made.id)[0] == "kit.not_allowed"


def test_five_thousand_rows_go_in(database, cars, take):
    rows = [["浙A10001", "", f"2026-{1 + n // 2000:02d}-{1 + n % 28:02d} {n // 28 % 24:02d}:{n // 672 % 60:02d}:00", "92", "1", "7.85", f"{Decimal('7.80') + Decimal(n % 11) / 100}",
             "", "", str(n)] for n in range(5_000)]  # fmt: skip
    made = take(MANAGER, importing.check, name="a.csv", content=as_csv(rows))
    assert made.fresh + made.rejected == 5_000
    take(MANAGER, importing.put_in, import_id=made.id)
    assert count(database) == made.fresh > 2_500


def test_through_the_pages_and_the_api(database, cars, browse, api):
    manager = browse(MANAGER)
    rows = [ROWS[0], BAD["no number"][0]]

    def send(client, name, content):
        return client.post("/energy/imports", data={"csrf_token": client.csrf, "file": (io.BytesIO(content), name)})

    assert "G3" in send(manager, "a.csv", as_csv(FORMULA)).get_data(as_text=True)
    assert manager.submit("/energy/imports").status_code == 422
    for name, content in (("a.csv", as_csv(rows, "gb18030")), ("a.xlsx", as_xlsx(rows))):
        path = send(manager, name, content).headers["Location"]
        page = manager.get(path).get_data(as_text=True)
        assert "E3 不是合理的数字" in page
        answer = manager.get(f"{path}/file")
        sheet = reading.read(name, answer.get_data())
        assert [len(line) for line in sheet.lines] == [11, len(sheet.lines[1]), 11]
        assert (sheet.lines[0][10], sheet.lines[2][10]) == ("错误说明", "E3 不是合理的数字")
        assert not any(sheet.lines[1][10:])
        # the returned file, corrected, goes in; its column of errors is replaced
        fixed = answer.get_data().replace("四十".encode("gb18030"), b"40") if name == "a.csv" else None
        if fixed:
            assert "错误说明" in manager.get(f"{path}/file").get_data().decode("gb18030")
            corrected = send(manager, "b.csv", fixed).headers["Location"]
            assert "确认入账 1 笔" in manager.get(corrected).get_data(as_text=True)
            again = manager.get(f"{corrected}/file").get_data().decode("gb18030")
            assert again.splitlines()[0].count("错误说明") == 1
    assert manager.submit(path).status_code == 302
    assert manager.submit(path).status_code == 422
    assert "已入账" in manager.get("/energy/imports").get_data(as_text=True)
    call = api(MANAGER)
    made = call("POST", "/energy/imports", data={"file": (io.BytesIO(as_csv(ROWS)), "c.csv")})
    assert (made.status_code, made.json["fresh"], made.json["known"]) == (201, 2, 1)
    assert call("POST", f"/energy/imports/{made.json['id']}/commit").json["state"] == "COMMITTED"
    returned = call("GET", f"/energy/imports/{made.json['id']}/file")
    assert (returned.status_code, returned.headers["Content-Disposition"].isascii()) == (200, True)
    assert browse("driver.xhedu").get(path).status_code == 403
    assert api("auditor.binjiang")("GET", f"/energy/imports/{made.json['id']}/file").status_code == 404
    with database.transaction(SYSTEM) as session:
        assert len(session.scalars(queries.visible_to(SYSTEM)).all()) == 3
