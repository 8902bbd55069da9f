"""Fees add up and split to the fen; a published price never changes, whoever tries; the version of the day counts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError, IntegrityError

from fleetapp.accounts.queries import get_org_by_code
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.pricing import preview, queries, rules, service
from fleetapp.pricing.models import PriceBook
from fleetapp.pricing.rules import Item, Rate, Share, Terms, Use
from fleetapp.vehicles.rules import Body

RATE = Rate(
    Decimal(220),
    50,
    Decimal(380),
    100,
    Decimal("2.20"),
    Decimal(20),
    120,
    Decimal(80),
    Decimal(150),
    Decimal(220),
    Decimal(650),
)
NINE = clock.start_of(date(2026, 11, 18)) + timedelta(hours=9)
FINANCE, OFFICE, UNIT = "finance.city", "vehicle_office.city", "unit_admin.xhedu"
MONEY = st.decimals(0, 2000, places=2)
USES = st.builds(
    lambda start_min, span_min, **rest: Use(NINE + timedelta(minutes=start_min), NINE + timedelta(minutes=start_min + span_min), **rest),
    start_min=st.integers(0, 3000), span_min=st.integers(1, 9000), distance_m=st.integers(0, 900_000), wait_min=st.integers(0, 900),
    toll=MONEY, parking=MONEY, cross_level=st.booleans(),
)  # fmt: skip
RATES = st.builds(
    Rate,
    MONEY,
    st.integers(0, 80),
    MONEY,
    st.integers(0, 200),
    MONEY,
    MONEY,
    st.integers(0, 200),
    MONEY,
    MONEY,
    MONEY,
    MONEY,
)
TERMS = st.builds(Terms, rounding=st.sampled_from(rules.ROUNDINGS), cap_share=st.decimals("0.1", 1, places=2))


def amounts(**given):
    use = Use(**{"start_at": NINE, "end_at": NINE + timedelta(hours=9), "distance_m": 130_000, **given})
    return {line.item: line.amount for line in rules.fee(use, RATE, Terms(), holidays={date(2026, 11, 19)}).lines}


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, {Item.BASE_FULL: 380, Item.KM: 66}),
        ({"end_at": NINE + timedelta(hours=4), "distance_m": 49_000}, {Item.BASE_HALF: 220}),
        ({"end_at": NINE + timedelta(hours=28)}, {Item.BASE_FULL: 380, Item.BASE_HALF: 220, Item.NIGHT: 80, Item.HOLIDAY: 150}),
        ({"end_at": NINE + timedelta(hours=13)}, {Item.BASE_FULL: 380, Item.KM: 66}),
        ({"end_at": NINE + timedelta(hours=13, minutes=1)}, {Item.BASE_FULL: 380, Item.KM: 66, Item.NIGHT: 80}),
        ({"wait_min": 180, "toll": Decimal("17.5")}, {Item.BASE_FULL: 380, Item.KM: 66, Item.WAITING: 20, Item.TOLL: Decimal("17.50")}),
        ({"distance_m": 101_100}, {Item.BASE_FULL: 380, Item.KM: Decimal("2.42"), Item.ROUNDING: Decimal("-0.42")}),
        ({"cross_level": True}, {Item.BASE_FULL: 380, Item.KM: 66, Item.CAP: Decimal("-23.50"), Item.ROUNDING: Decimal("-0.50")}),
    ],
)  # fmt: skip
def test_the_lines_of_a_fee(given, lines):
    assert amounts(**given) == lines


@given(USES, RATES, TERMS)
def test_lines_add_up_across_levels_the_cap_holds_and_nothing_is_charged_below_the_least_fee(use, rate, terms):
    made = rules.fee(use, rate, terms)
    assert made.total == sum(line.amount for line in made.lines)
    assert all(line.amount == rules.to_fen(line.quantity * line.price) for line in made.lines)
    service_part = made.total - made.of(*rules.PASSED_ON)
    assert service_part % terms.rounding == 0
    assert made.of(*rules.PASSED_ON) == use.toll + use.parking
    full, half = rules.days(use.start_at, use.end_at, terms.half_day_h)
    if use.cross_level:
        assert service_part <= rate.market_day * (full + half * rules.HALF) * terms.cap_share + Decimal("0.005")
    else:
        assert service_part >= rate.minimum - terms.rounding / 2


@given(USES, RATES, st.lists(st.builds(Share, st.integers(0, 200_000), st.integers(0, 50)), min_size=1, max_size=6))
def test_a_split_fee_is_the_whole_to_the_fen_line_by_line(use, rate, shares):
    whole = rules.fee(use, rate, Terms())
    parts = rules.split(whole, shares)
    assert sum(part.total for part in parts) == whole.total
    for row, line in enumerate(whole.lines):
        assert sum(part.lines[row].amount for part in parts) == line.amount
    total = sum(share.weight for share in shares)
    for share, part in zip(shares, parts, strict=True):
        exact = whole.total * (Decimal(share.weight) / total if total else Decimal(1) / len(shares))
        assert abs(part.total - exact) < Decimal("0.01")


def test_a_fen_too_many_goes_to_the_largest_remainder_and_nothing_can_be_split_by_nothing():
    assert rules.divided(Decimal("10.00"), [1, 1, 1]) == [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")]
    assert rules.divided(Decimal("-0.05"), [1, 2]) == [Decimal("-0.02"), Decimal("-0.03")]
    with pytest.raises(ValueError, match="weights"):
        rules.divided(Decimal(1), [0, 0])


def test_a_use_across_levels_without_the_market_price_has_no_fee():
    bare = Rate(*(getattr(RATE, name) for name in list(Rate.__dataclass_fields__)[:-1]))
    with pytest.raises(RuleBroken, match="no_market"):
        rules.fee(Use(NINE, NINE + timedelta(hours=1), 1000, cross_level=True), bare, Terms())


# ---- books ------------------------------------------------------------------------------------------------------------


def org(session, code):
    return get_org_by_code(session, code=code)


def version(session, acting, now, *, code="330100", days=1, half=300, author=FINANCE):
    return service.draft(
        session, org_id=org(session, code).id, title="新价目表", source="测试文件〔2026〕1号", valid_from=clock.local_date(now) + timedelta(days=days),
        terms=Terms(), rates={Body.SEDAN: Rate(Decimal(half), 50, Decimal(500), 100, *(getattr(RATE, name) for name in list(Rate.__dataclass_fields__)[4:]))},
        actor=acting(author), now=now,
    )  # fmt: skip


def estimate(session, on, *, org_path=None, body="sedan"):
    window = {"start_at": NINE, "end_at": NINE + timedelta(hours=3)}
    return queries.estimate(session, body=body, **window, route_m=20_000, on=on, org_path=org_path)


def test_a_new_version_counts_from_its_first_day_and_a_districts_book_before_the_citys(
    database, session_as, acting, now
):
    today = clock.local_date(now)
    with session_as(FINANCE) as s:
        city, district = version(s, acting, now), version(s, acting, now, code="330106", half=111)
        with pytest.raises(NotAllowed):
            service.publish(s, book_id=city.id, actor=acting(FINANCE), now=now)
    with session_as(OFFICE) as s:
        for book_id in (city.id, district.id):
            service.publish(s, book_id=book_id, actor=acting(OFFICE), now=now)
        below, tomorrow = org(s, "330106-EDU").path, today + timedelta(days=1)
        assert estimate(s, today).total == 220
        assert estimate(s, tomorrow).total == 300
        assert estimate(s, tomorrow, org_path=below).total == 220  # the district's least fee is higher than its base
        assert estimate(s, tomorrow, org_path=org(s, "330108-WATER").path).total == 300
        assert estimate(s, tomorrow, org_path=below, body="mpv") is None
        assert queries.gap(s, body="mpv", on=tomorrow, org_path=below).code == "pricing.gap.no_rate"
        assert estimate(s, date(2022, 12, 31)) is None
        assert queries.gap(s, body="sedan", on=date(2022, 12, 31)).code == "pricing.gap.no_book"


def test_publishing_is_refused_for_today_for_an_empty_book_and_for_a_day_taken(session_as, acting, now):
    with session_as(FINANCE) as s:
        late, first, second = (version(s, acting, now, days=days) for days in (0, 1, 1))
        empty = service.copy(s, book_id=first.id, actor=acting(FINANCE), now=now)
        service.edit(s, book_id=empty.id, title="空表", source="无任何价格", valid_from=first.valid_from, terms=Terms(), rates={},
                     actor=acting(FINANCE), now=now)  # fmt: skip
    with session_as(OFFICE) as s:
        service.publish(s, book_id=first.id, actor=acting(OFFICE), now=now)
        for book, code in ((late, "pricing.too_late"), (empty, "pricing.empty"), (first, "pricing.frozen")):
            with pytest.raises(RuleBroken, match=code):
                service.publish(s, book_id=book.id, actor=acting(OFFICE), now=now)
        service.discard(s, book_id=empty.id, actor=acting(OFFICE), now=now)
    with pytest.raises(Conflict, match="same_day"), session_as(OFFICE) as s:
        service.publish(s, book_id=second.id, actor=acting(OFFICE), now=now)


def test_only_finance_and_the_vehicle_office_write_and_others_see_no_draft(session_as, acting, now):
    with session_as(FINANCE) as s:
        made = version(s, acting, now)
    with session_as(UNIT) as s:
        with pytest.raises(NotAllowed):
            version(s, acting, now, author=UNIT)
        with pytest.raises(NotFound):
            queries.get_book(s, book_id=made.id, actor=acting(UNIT))
        assert [book.version_no for book in s.scalars(queries.visible_to(acting(UNIT)))] == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE price_rate SET half_day = 1 WHERE book_id = :book",
        "DELETE FROM price_rate WHERE book_id = :book",
        "INSERT INTO price_rate SELECT 0, :book, 'special', half_day, 1, full_day, 1, 1, 1, 1, 1, 1, 1, 1 FROM price_rate LIMIT 1",
        "UPDATE price_book SET valid_from = '2020-01-01' WHERE id = :book",
        "UPDATE price_book SET state = 'DRAFT', published_at = NULL WHERE id = :book",
        "DELETE FROM price_book WHERE id = :book",
        "UPDATE price_rate SET book_id = :book WHERE book_id = :draft",
        "UPDATE price_book SET state = 'PUBLISHED', published_at = now() WHERE id = :draft",
        "UPDATE price_book SET state = 'PUBLISHED', published_at = now() + interval '9 days', published_by = created_by + 1 WHERE id = :draft",
    ],
)
def test_the_database_keeps_what_is_published(database, session_as, acting, now, statement):
    with session_as(FINANCE) as s:
        draft_id = version(s, acting, now).id
        book_id = s.scalar(select(PriceBook.id).where(PriceBook.version_no == 1))
    with pytest.raises((DatabaseError, IntegrityError, Conflict, RuleBroken)), database.transaction(SYSTEM) as s:
        s.execute(text(statement), {"book": book_id, "draft": draft_id})


def test_through_the_api_and_the_pages(api, browse, now, database):
    finance, office, unit = api(FINANCE), api(OFFICE), api(UNIT)
    first = finance("GET", "/price-books").json[0]
    assert "本系统缺省值" in first["source"]
    tomorrow = (clock.local_date(clock.now()) + timedelta(days=1)).isoformat()
    draft = finance("POST", f"/price-books/{first['id']}/copy", json={}).json
    assert draft["valid_from"] == tomorrow
    assert unit("POST", f"/price-books/{first['id']}/copy", json={}).status_code == 403
    assert finance("POST", f"/price-books/{draft['id']}/publication", json={}).status_code == 403
    assert office("POST", f"/price-books/{draft['id']}/publication", json={}).status_code == 200
    assert finance("POST", f"/price-books/{draft['id']}/discarding", json={}).status_code == 422
    asked = "start_at=2026-11-18T09:00&end_at=2026-11-18T12:00&route_m=20000"
    assert unit("GET", f"/price-books/estimate?body=sedan&{asked}").json["total"] == "220.00"
    assert "没有该车型" in unit("GET", f"/price-books/estimate?body=special&{asked}").json["gap"]
    page = browse(FINANCE)
    assert "现行" in page.get("/price-books").get_data(as_text=True)
    answer = page.submit(f"/price-books/{first['id']}/copy")
    edit = answer.headers["Location"]
    assert 'name="sedan-half_day"' in page.get(edit).get_data(as_text=True)
    wrong = {
        "org_id": first["org_id"],
        "title": "改",
        "source": "测试文件",
        "valid_from": "2027-01-01",
        "terms-half_day_h": "4",
        "sedan-half_day": "5",
    }
    answer = page.submit(edit, **wrong)
    assert answer.status_code == 422
    assert 'id="d-sedan-full_day"' in answer.get_data(as_text=True)
    right = wrong | {"title": "改好", "sedan-half_day": "230", "sedan-half_day_km": "50", "sedan-full_day": "390", "sedan-full_day_km": "100", "sedan-per_km": "2",
                     "sedan-wait_per_h": "20", "sedan-free_wait_min": "60", "sedan-night": "80", "sedan-holiday": "150", "sedan-minimum": "200"}  # fmt: skip
    answer = page.submit(edit, **right)
    assert answer.status_code == 302
    shown = page.get(answer.headers["Location"]).get_data(as_text=True)
    assert "230.00" in shown
    assert "试算" in shown
    assert browse("applicant.xhedu").get("/price-books").status_code == 403


def test_the_effect_of_a_draft_on_last_months_journeys(session_as, acting, now, monkeypatch):
    use = Use(NINE, NINE + timedelta(hours=3), 20_000)
    with session_as(FINANCE) as s:
        book = version(s, acting, now)
        past = [preview.Past(use, body, org(s, "330106-EDU").path) for body in ("sedan", "sedan", "mpv")]
        monkeypatch.setattr(preview, "SOURCES", [lambda *_, **__: past])
        found = preview.effect(s, book=book, actor=acting(FINANCE), today=clock.local_date(now))
    assert (found["sedan"].journeys, found["sedan"].before, found["sedan"].after) == (2, 440, 600)
    assert (found["mpv"].gaps, found["mpv"].after) == (1, 0)
    assert preview.last_month(date(2026, 1, 31))[0] == datetime(2025, 11, 30, 16, tzinfo=UTC)
