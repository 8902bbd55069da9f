"""What notices say on a page, and what kinds of them there are."""

from fleetapp.notices.models import Notice
from fleetapp.notices.rules import category
from fleetapp.web.texts import catalogue, t_or


def words(notice: Notice) -> str:
    """Return what a notice says in the page's language; one whose text is gone shows its code."""
    return t_or(notice.code, notice.code, **notice.params)


def categories() -> list[str]:
    """Return the categories of notices: the slices that have texts ``notice.…``."""
    return sorted({category(key) for key in catalogue() if key.split(".")[1:2] == ["notice"]})
