"""Pages of the price book: the versions, one of them with its effect, the form of a draft."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.pricing import preview, queries, rules, service
from fleetapp.pricing.models import PriceBook
from fleetapp.pricing.rules import BookState, Rate, Terms
from fleetapp.pricing.schemas import BookQuery, DraftIn
from fleetapp.vehicles.rules import Body
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("pricing", __name__, template_folder="templates")
STEPS = {"publish": service.publish, "discard": service.discard}
FIELD_OF = {"pricing.too_late": "valid_from", "pricing.same_day": "valid_from"}


@blueprint.get("/price-books")
def index() -> str:
    """List the versions."""
    permits.require("pricing.read", actor())
    query = load_query(BookQuery())
    today = clock.local_date(now())
    with transaction() as s:
        page = paginate(s, queries.visible_to(actor()), number=query["page"], size=query["size"])
        standing = {book.org_id: queries.find_book(s, on=today, org_path=book.org.path) for book in page.items}
        return render_template(
            "pricing/index.html",
            page=page,
            in_force={book.id for book in standing.values() if book},
            keepers=queries.keepers_of(s, actor()),
        )


@blueprint.get("/price-books/<int:book_id>")
def show(book_id: int) -> str:
    """Show one version; whoever keeps it also sees what it would have cost last month."""
    return _show(book_id, {})


def _show(book_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("pricing.read", actor())
    today = clock.local_date(now())
    with transaction() as s:
        book = queries.get_book(s, book_id=book_id, actor=actor())
        mine = permits.may("pricing.edit", actor(), org_path=book.org.path)
        standing = queries.find_book(s, on=today, org_path=book.org.path)
        return render_template(
            "pricing/show.html", book=book, errors=errors, may_edit=mine, may_publish=permits.may("pricing.publish", actor(), org_path=book.org.path, owner_id=book.created_by),
            in_force=standing is not None and standing.id == book.id, standing=standing, month=preview.last_month(today)[0],
            effect=preview.effect(s, book=book, actor=actor(), today=today) if mine and book.state == BookState.DRAFT else None,
        )  # fmt: skip


@blueprint.post("/price-books/<int:book_id>/copy")
def copy(book_id: int) -> Response:
    """Write a draft with the prices of this version."""
    with transaction() as s:
        made = service.copy(s, book_id=book_id, actor=actor(), now=now())
    flash(t("pricing.copied"))
    return redirect(url_for("pricing.edit", book_id=made.id))


@blueprint.post("/price-books/<int:book_id>/<any(publish, discard):step>")
def step(book_id: int, step: str) -> Response | tuple[str, int]:
    """Publish a draft or give it up."""
    try:
        with transaction() as s:
            STEPS[step](s, book_id=book_id, actor=actor(), now=now())
    except (RuleBroken, Conflict) as error:
        return _show(book_id, errors_of(error)), 422
    flash(t(f"pricing.done.{step}"))
    return redirect(url_for("pricing.show", book_id=book_id))


def _nested() -> dict[str, Any]:
    """Return the form as the schema takes it: fields ``terms-x`` and ``body-x`` are put together, a body left blank is not offered."""
    data: dict[str, Any] = {"terms": {}, "rates": {}}
    for key, value in request.form.items():
        head, _, field = key.partition("-")
        if key == "csrf_token" or value == "":
            continue
        if head == "terms":
            data["terms"][field] = value
        elif field:
            data["rates"].setdefault(head, {})[field] = value
        else:
            data[key] = value
    return data


def _flat(error: Invalid | RuleBroken | Conflict) -> dict[str, Any]:
    """Return the messages by name of the input."""
    found: dict[str, Any] = {}
    for key, messages in errors_of(error, FIELD_OF).items():
        if key == "terms":
            found |= {f"terms-{field}": words for field, words in messages.items()}
        elif key == "rates":
            for body, parts in messages.items():
                found |= {
                    f"{getattr(body, 'value', body)}-{field}": words
                    for field, words in parts.get("value", parts).items()
                }
        else:
            found[key] = messages
    return found


def _values(book: PriceBook) -> dict[str, Any]:
    values: dict[str, Any] = {"org_id": book.org_id, "title": book.title, "source": book.source, "valid_from": book.valid_from,
                              "note": book.note or ""}  # fmt: skip
    values |= {f"terms-{key}": getattr(book.terms, key) for key in Terms.__dataclass_fields__}
    for rate in book.rates:
        values |= {
            f"{rate.body}-{key}": "" if (value := getattr(rate, key)) is None else value
            for key in Rate.__dataclass_fields__
        }
    return values


def _form(book_id: int | None, values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("pricing.edit", actor())
    with transaction() as s:
        keepers = queries.keepers_of(s, actor())
        return render_template(
            "pricing/form.html", values=values, errors=errors, book_id=book_id, orgs=[(org.id, name(org)) for org in keepers],
            bodies=[body.value for body in Body], columns=list(Rate.__dataclass_fields__), terms=list(Terms.__dataclass_fields__),
            roundings=[(str(step), t(f"pricing.rounding.{step}")) for step in rules.ROUNDINGS],
        )  # fmt: skip


@blueprint.get("/price-books/new")
def new() -> str:
    """Show the form of a first version."""
    default = {f"terms-{key}": getattr(Terms(), key) for key in Terms.__dataclass_fields__}
    return _form(None, default, {})


@blueprint.post("/price-books/new")
def draft() -> Response | tuple[str, int]:
    """Write a first version."""
    try:
        data = load(DraftIn(), _nested())
        with transaction() as s:
            book_id = service.draft(s, **data, actor=actor(), now=now()).id
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(None, request.form.to_dict(), _flat(error)), 422
    flash(t("pricing.saved"))
    return redirect(url_for("pricing.show", book_id=book_id))


@blueprint.get("/price-books/<int:book_id>/edit")
def edit(book_id: int) -> str:
    """Show the form of a draft."""
    with transaction() as s:
        book = queries.get_book(s, book_id=book_id, actor=actor())
        permits.require("pricing.edit", actor(), org_path=book.org.path)
        if book.state != BookState.DRAFT:
            raise RuleBroken("pricing.frozen", title=book.title, version=book.version_no)
        values = _values(book)
    return _form(book_id, values, {})


@blueprint.post("/price-books/<int:book_id>/edit")
def save(book_id: int) -> Response | tuple[str, int]:
    """Change a draft."""
    try:
        data = load(DraftIn(), _nested())
        del data["org_id"]  # whose book it is does not change
        with transaction() as s:
            service.edit(s, book_id=book_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(book_id, request.form.to_dict(), _flat(error)), 422
    flash(t("pricing.saved"))
    return redirect(url_for("pricing.show", book_id=book_id))
