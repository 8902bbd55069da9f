"""Ledgers filled in by hand and taken through the import as the scheduler would."""

import io
from datetime import date

import openpyxl
import pytest
from sqlalchemy import select, text

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import SYSTEM
from fleetapp.ledgers import queries, service, telling, writing
from fleetapp.ledgers.columns import COLUMNS
from fleetapp.ledgers.rules import LedgerKind
from tests import world
from tests.serving import furnish

XLSX = "车辆台账.xlsx"
MOST_ROWS = 20_000


def said(key, lang="zh"):
    return telling.words(key, lang)


def head_cells(kind="vehicles", lang="zh"):
    return [said(f"ledgers.col.{column.key}", lang) for column in COLUMNS[LedgerKind(kind)]]


def car(number=1, **given):
    """Return the values of a new vehicle by column, as a person would type them."""
    values = {
        "org_code": "330106-EDU", "plate": f"浙A2{number:04d}", "vin": world.with_check_digit(f"LSVBB11Z5N3{number:06d}"),
        "category": "应急保障用车", "body": "轿车", "energy": "汽油", "seats": 5, "model": "示例轿车", "displacement_ml": 1598,
        "price_ex_tax": 159800.00, "registered_on": date(2023, 3, 1), "domestic": "是",
    }  # fmt: skip
    return values | given


def quota(**given):
    return {
        "org_code": "330106-EDU",
        "category": "应急保障用车",
        "quota": 8,
        "document_no": "杭编办〔2026〕1号",
    } | given


def workbook(rows, kind="vehicles", *, heads=None, above=2, change=None):
    """Return an XLSX of rows (dicts by column); ``change`` may alter the sheet before it is saved."""
    book = openpyxl.Workbook()
    sheet = book.active
    for _ in range(above):
        sheet.append(["公务用车台账"])
    sheet.append(heads or head_cells(kind))
    for row in rows:
        sheet.append([row.get(column.key) for column in COLUMNS[LedgerKind(kind)]])
    if change:
        change(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def rows_of(content, sheet=0):
    """Return the cells of a sheet, row by row."""
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    return [list(row) for row in book.worksheets[sheet].iter_rows(values_only=True)]


def column(key, kind="vehicles"):
    return next(index for index, one in enumerate(COLUMNS[LedgerKind(kind)]) if one.key == key)


class Ledgers:
    """What a person does with a ledger, the scheduler included."""

    def __init__(self, database, now, acting):
        self.database, self.now, self.acting = database, now, acting

    def upload(self, content, *, name=XLSX, kind="vehicles", username="fleet_manager.xihu"):
        actor = self.acting(username)
        with self.database.transaction(actor) as session:
            return service.upload(
                session,
                kind=LedgerKind(kind),
                name=name,
                content=content,
                words=said,
                most_rows=MOST_ROWS,
                actor=actor,
                now=self.now,
            ).id

    def work(self):
        return service.work(self.database, words=said, most_rows=MOST_ROWS, now=self.now)

    def get(self, import_id):
        with self.database.transaction(SYSTEM) as session:
            return queries.get_import(session, import_id=import_id, actor=SYSTEM)

    def check(self, content, **given):
        import_id = self.upload(content, **given)
        self.work()
        return self.get(import_id)

    def confirm(self, import_id, *, username="fleet_manager.xihu", partial=False):
        actor = self.acting(username)
        with self.database.transaction(actor) as session:
            service.confirm(session, import_id=import_id, partial=partial, actor=actor, now=self.now)

    def commit(self, import_id, **given):
        self.confirm(import_id, **given)
        self.work()
        return self.get(import_id)

    def imported(self, content, **given):
        one = self.check(content, **given)
        username = given.get("username", "fleet_manager.xihu")
        return self.commit(one.id, username=username)

    def export(self, *, kind="vehicles", username="fleet_manager.xihu", lang="zh", reason="年度台账核对"):
        actor, file = self.acting(username), io.BytesIO()
        with self.database.transaction(actor) as session:
            record = service.export(
                session, kind=LedgerKind(kind), org_id=None, reason=reason, title="台账", file=file, actor=actor, now=self.now,
                write=lambda ledger, to: writing.write_ledger(ledger, [], to, words=said, lang=lang),
            )  # fmt: skip
        return file.getvalue(), record

    def scalar(self, sql, **given):
        with self.database.transaction(SYSTEM) as session:
            return session.scalar(text(sql), given)


def faults(one):
    """Return the faults of an import as {(row, column): code}."""
    return {(row["row"], fault["column"]): fault["code"] for row in one.faults for fault in row["faults"]}


def counts(one):
    return one.new_rows, one.changed_rows, one.unchanged_rows, one.rejected_rows


@pytest.fixture
def ledgers(database, now, acting):
    furnish(database, now)
    return Ledgers(database, now, acting)


@pytest.fixture
def authorised(ledgers):
    """The unit of the West Lake education bureau has five places for emergency cars, two of them taken."""
    from fleetapp.acquisitions import service as acquisitions
    from fleetapp.vehicles.rules import Category

    with ledgers.database.transaction(SYSTEM) as session:
        org = session.scalars(select(Organisation).where(Organisation.code == "330106-EDU")).one()
        acquisitions.change_quota(session, org_id=org.id, category=Category.YJBZ, delta=5, effective_on=date(2024, 1, 1),
                                  document_no="杭编办〔2024〕12号", actor=SYSTEM, now=ledgers.now)  # fmt: skip
    return ledgers
