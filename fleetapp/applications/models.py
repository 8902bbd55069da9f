"""Trips that a person takes again and again."""

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Json, Moment, OptionalMoment, Str, UserId
from fleetapp.kit.db import Base


class FavouriteTrip(Base):
    """What a form is filled with, under a name of its owner's choice; ``content`` is what ``rules.content_of`` keeps."""

    __tablename__ = "favourite_trip"
    __table_args__ = (
        UniqueConstraint("user_id", "name"),
        CheckConstraint("length(name) BETWEEN 1 AND 40", name="name"),
    )

    id: Mapped[Id]
    user_id: Mapped[UserId] = mapped_column(index=True)
    name: Mapped[Str]
    content: Mapped[Json]
    created_at: Mapped[Moment]
    used_at: Mapped[OptionalMoment]
