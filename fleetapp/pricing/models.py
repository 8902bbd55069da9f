"""Versions of price books and their prices."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.pricing import rules
from fleetapp.pricing.rules import BookState
from fleetapp.vehicles.rules import Body

Money = Numeric(12, 2)


class PriceBook(Base):
    """One version of the book of a city or district, in force from ``valid_from`` until a later one of it begins.

    ``source`` says where the prices come from. Hours of the night are on the office's clock, ``rounding`` is a step in CNY,
    ``cap_share`` the share of the market's price that use across levels may cost at most.
    """

    __tablename__ = "price_book"
    __table_args__ = (
        one_of("state", BookState),
        UniqueConstraint("org_id", "version_no"),
        Index("uq_price_book_first_day", "org_id", "valid_from", unique=True, postgresql_where=text("state = 'PUBLISHED'")),
        CheckConstraint("(published_at IS NOT NULL) = (state = 'PUBLISHED')", name="published"),
        CheckConstraint("published_by IS NULL OR published_by <> created_by", name="no_self_approval"),
        CheckConstraint(
            "published_by IS NULL OR valid_from > (published_at AT TIME ZONE 'Asia/Shanghai')::date", name="too_late"
        ),
        CheckConstraint("half_day_h BETWEEN 1 AND 12", name="half_day_h"),
        CheckConstraint("night_from_h BETWEEN 18 AND 23 AND night_to_h BETWEEN 1 AND 9", name="night"),
        CheckConstraint("rounding IN (0.01, 0.10, 1.00)", name="rounding"),
        CheckConstraint("cap_share > 0 AND cap_share <= 1", name="cap_share"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    version_no: Mapped[int] = mapped_column(Integer)
    title: Mapped[Str]
    source: Mapped[Str]
    valid_from: Mapped[date] = mapped_column(Date)
    state: Mapped[Str]
    half_day_h: Mapped[int] = mapped_column(Integer)
    night_from_h: Mapped[int] = mapped_column(Integer)
    night_to_h: Mapped[int] = mapped_column(Integer)
    rounding: Mapped[Decimal] = mapped_column(Numeric(4, 2))
    cap_share: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    created_by: Mapped[OptionalUserId]
    created_at: Mapped[Moment]
    published_by: Mapped[OptionalUserId]
    published_at: Mapped[OptionalMoment]
    note: Mapped[OptionalStr]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    author: Mapped[UserAccount | None] = relationship(foreign_keys="PriceBook.created_by")
    publisher: Mapped[UserAccount | None] = relationship(foreign_keys="PriceBook.published_by")
    rates: Mapped[list["PriceRate"]] = relationship(order_by="PriceRate.id", cascade="all, delete-orphan")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form

    @property
    def terms(self) -> rules.Terms:
        """What holds for every price of the book."""
        return rules.Terms(self.half_day_h, self.night_from_h, self.night_to_h, self.rounding, self.cap_share)


class PriceRate(Base):
    """Prices of one body type in a book, CNY; the meaning of each is in ``rules.Rate``."""

    __tablename__ = "price_rate"
    __table_args__ = (
        one_of("body", Body),
        UniqueConstraint("book_id", "body"),
        CheckConstraint(
            "least(half_day, full_day, per_km, wait_per_h, night, holiday, minimum) >= 0 AND full_day >= half_day", name="prices"
        ),
        CheckConstraint("half_day_km >= 0 AND full_day_km >= half_day_km AND free_wait_min >= 0", name="included"),
        CheckConstraint("market_day > 0", name="market_day"),
    )  # fmt: skip

    id: Mapped[Id]
    book_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("price_book.id"))
    body: Mapped[Str]
    half_day: Mapped[Decimal] = mapped_column(Money)
    half_day_km: Mapped[int] = mapped_column(Integer)
    full_day: Mapped[Decimal] = mapped_column(Money)
    full_day_km: Mapped[int] = mapped_column(Integer)
    per_km: Mapped[Decimal] = mapped_column(Money)
    wait_per_h: Mapped[Decimal] = mapped_column(Money)
    free_wait_min: Mapped[int] = mapped_column(Integer)
    night: Mapped[Decimal] = mapped_column(Money)
    holiday: Mapped[Decimal] = mapped_column(Money)
    minimum: Mapped[Decimal] = mapped_column(Money)
    market_day: Mapped[Decimal | None] = mapped_column(Money)

    @property
    def prices(self) -> rules.Rate:
        """The prices as the fee's rules take them."""
        return rules.Rate(
            self.half_day, self.half_day_km, self.full_day, self.full_day_km, self.per_km, self.wait_per_h, self.free_wait_min,
            self.night, self.holiday, self.minimum, self.market_day,
        )  # fmt: skip
