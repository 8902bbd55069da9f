"""Writing of notices, in the transaction of what they tell."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

TELL = text(
    "INSERT INTO notice (user_id, key, code, params, link, urgent, created_at)"
    " VALUES (:user_id, :key, :code, :params, :link, :urgent, :now) ON CONFLICT DO NOTHING"
).bindparams(bindparam("params", type_=JSONB))


def notify(
    session: Session,
    *,
    to: Collection[int | None],
    code: str,
    params: Mapping[str, str],
    link: str,
    key: str,
    now: datetime,
    urgent: bool = False,
) -> None:
    """Tell people of a matter: ``code`` is a text with ``params``, ``link`` the page it is about.

    ``key`` names the matter: a person is told of it once, however often it is repeated.
    """
    people = sorted({user_id for user_id in to if user_id is not None})
    rows = [
        {
            "user_id": user_id,
            "key": key,
            "code": code,
            "params": dict(params),
            "link": link,
            "urgent": urgent,
            "now": now,
        }
        for user_id in people
    ]
    if rows:
        session.execute(TELL, rows)
