"""Vehicles of the demo city: models, plates, identification numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from fleetapp.demo.places import Point

VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
VIN_VALUES = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
VIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
YEAR_CODES = "ABCDEFGHJKLMNPRSTVWXY123456789"
"""Model-year code, GB 16735-2019 table: 1980 and every 30 years later is A."""
PLATE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
BEV_LETTERS, OTHER_NEV_LETTERS = "DABCE", "FGHJK"
"""GA 36-2018: letter of a new-energy plate, pure electric and other."""
NEV_SHARE_BY_AGE = ((5.0, 0.74), (99.0, 0.06))
KM_PER_YEAR = (8_000, 17_000)


@dataclass(frozen=True, slots=True)
class Model:
    """A domestic model of the catalogue; ``range_km`` is the electric range, ``displacement_ml`` of the engine."""

    brand: str
    name: str
    body: str
    energy: str
    seats: int
    wmi: str
    displacement_ml: int | None = None
    range_km: int | None = None


MODELS = (
    Model("红旗", "H5", "sedan", "petrol", 5, "LFP", 1498),
    Model("大众", "帕萨特", "sedan", "petrol", 5, "LSV", 1395),
    Model("吉利", "帝豪", "sedan", "petrol", 5, "LB3", 1498),
    Model("比亚迪", "秦PLUS EV", "sedan", "bev", 5, "LGX", None, 510),
    Model("吉利", "帝豪 EV", "sedan", "bev", 5, "LB3", None, 420),
    Model("比亚迪", "秦PLUS DM-i", "sedan", "phev", 5, "LGX", 1498, 120),
    Model("吉利", "博越", "suv", "petrol", 5, "LB3", 1477),
    Model("长安", "CS75", "suv", "petrol", 5, "LS5", 1494),
    Model("比亚迪", "宋PLUS EV", "suv", "bev", 5, "LGX", None, 505),
    Model("比亚迪", "宋PLUS DM-i", "suv", "phev", 5, "LGX", 1498, 110),
    Model("上汽大通", "G50", "mpv", "petrol", 7, "LSK", 1498),
    Model("上汽大通", "EG50", "mpv", "bev", 7, "LSK", None, 350),
    Model("江铃福特", "全顺", "minibus", "diesel", 15, "LJX", 1996),
    Model("上汽大通", "V80", "minibus", "diesel", 14, "LSK", 1996),
    Model("上汽大通", "EV80", "minibus", "bev", 14, "LSK", None, 280),
    Model("宇通", "ZK6876", "coach", "diesel", 35, "LZY", 4500),
    Model("宇通", "ZK6826BEV", "coach", "bev", 33, "LZY", None, 330),
    Model("长城", "炮", "pickup", "petrol", 5, "LGW", 1967),
    Model("北京", "BJ40", "offroad", "petrol", 5, "LNB", 1967),
    Model("江铃福特", "全顺检测车", "special", "diesel", 6, "LJX", 1996),
)
NEV = ("bev", "phev", "fcev")
LARGE_PLATE_BODIES = ("minibus", "coach")


@dataclass(frozen=True, slots=True)
class Berth:
    """One vehicle to be made: whose, which legal category and body type, kept how, parked where."""

    org: str
    category: str
    body: str
    management: str
    parking: str
    slot: Point


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle as it stands at the first day of the story; ``home`` is its slot inside its designated parking."""

    plate: str
    vin: str
    org: str
    category: str
    management: str
    model: Model
    registered_on: date
    odometer_m: int
    terminal_phone: str
    parking: str
    home: Point

    def daily_km(self, first_on: date) -> float:
        """Return the kilometres of a usual day before the story began."""
        return max(self.odometer_m / 1000 / max((first_on - self.registered_on).days, 30), 12.0)

    def odometer_on(self, on: date, first_on: date) -> int:
        """Return the reading in metres on a day before the story began, never more than on its first day."""
        return max(0, self.odometer_m - max(0, (first_on - on).days) * round(self.daily_km(first_on) * 1000))


def vin_check_digit(vin: str) -> str:
    """Return the check digit of a 17-character VIN, GB 16735-2019 annex (remainder of the weighted sum by 11).

    The present character of position 9 does not count. Raises ``ValueError`` for a wrong length or letter.
    """
    if len(vin) != 17 or any(letter not in VIN_VALUES for letter in vin):
        raise ValueError(f"a VIN has 17 digits or capital letters without I, O, Q: {vin!r}")
    rest = sum(VIN_VALUES[letter] * weight for letter, weight in zip(vin, VIN_WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def make_vin(model: Model, built_in: int, number: int, rng: Random) -> str:
    """Return a valid VIN: world maker code, random description, check digit, year, plant, running number."""
    descriptor = "".join(rng.choice(VIN_LETTERS) for _ in range(5))
    year = YEAR_CODES[(built_in - 1980) % 30]
    raw = f"{model.wmi}{descriptor}0{year}H{number:06d}"
    return raw[:8] + vin_check_digit(raw) + raw[9:]


def make_plate(model: Model, rng: Random) -> str:
    """Return a plate of Hangzhou: 7 characters, or 8 for new energy (letter first on small cars, last on large)."""
    digits = f"{rng.randrange(100_000):05d}"
    if model.energy not in NEV:
        serial = rng.choice((digits, rng.choice(PLATE_LETTERS) + digits[1:], digits[0] + "H" + digits[2:]))
        return f"浙A{serial}"
    letter = rng.choice(BEV_LETTERS if model.energy == "bev" else OTHER_NEV_LETTERS)
    if model.body in LARGE_PLATE_BODIES:
        return f"浙A{digits}{'D' if model.energy == 'bev' else 'F'}"
    return f"浙A{letter}{digits}"


def make_vehicles(berths: Sequence[Berth], *, as_of: date, rng: Random) -> tuple[Vehicle, ...]:
    """Make one vehicle for each berth, old and new, about a third of them new-energy."""
    vehicles: list[Vehicle] = []
    plates: set[str] = set()
    for number, berth in enumerate(berths, start=1):
        age_years = rng.uniform(0.2, 9.5)
        nev_share = next(share for limit, share in NEV_SHARE_BY_AGE if age_years < limit)
        # Dispatch of secret documents runs on fixed city routes: new energy in principle (财政部办公厅 2024-12-30).
        electric = rng.random() < (max(nev_share, 0.5) if berth.category == "JYTX" else nev_share)
        same_body = [model for model in MODELS if model.body == berth.body]
        fitting = [model for model in same_body if (model.energy in NEV) == electric] or same_body
        model = rng.choice(fitting)
        registered_on = as_of - timedelta(days=round(age_years * 365.25))
        plate = make_plate(model, rng)
        while plate in plates:
            plate = make_plate(model, rng)
        plates.add(plate)
        vehicles.append(
            Vehicle(
                plate=plate,
                vin=make_vin(model, registered_on.year, number, rng),
                org=berth.org,
                category=berth.category,
                management=berth.management,
                model=model,
                registered_on=registered_on,
                odometer_m=round(age_years * rng.randint(*KM_PER_YEAR)) * 1000,
                terminal_phone=str(10_000_000_000 + number),
                parking=berth.parking,
                home=berth.slot,
            )
        )
    return tuple(vehicles)
