"""Facts of the demo's vehicle files: most are complete, some have gaps that an administrator would fill."""

from datetime import datetime
from random import Random

from sqlalchemy import select

from fleetapp.demo.city import City
from fleetapp.demo.fleet import Vehicle as Told
from fleetapp.dossier import rules, service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.vehicles.models import Vehicle

MAKERS = {
    "红旗": "中国第一汽车集团有限公司", "大众": "上汽大众汽车有限公司", "吉利": "浙江吉利汽车有限公司", "比亚迪": "比亚迪汽车有限公司",
    "长安": "重庆长安汽车股份有限公司", "上汽大通": "上汽大通汽车有限公司", "江铃福特": "江铃汽车股份有限公司", "宇通": "宇通客车股份有限公司",
}  # fmt: skip
SIZES = {
    "sedan": ("小型", 4780, 1830, 1470, 2710, 1420, 1840, "205/55R16"), "suv": ("小型", 4700, 1890, 1680, 2720, 1640, 2060, "225/60R18"),
    "mpv": ("小型", 4830, 1825, 1778, 2800, 1590, 2180, "205/60R16"), "minibus": ("中型", 5780, 2000, 2360, 3750, 2280, 3500, "215/75R16"),
    "coach": ("大型", 8730, 2500, 3340, 4100, 8800, 12500, "9R22.5"),
}  # fmt: skip
"""Size class, length, width, height and wheelbase in mm, kerb and total mass in kg, tyres: typical ones of the body."""
COMPLETE_SHARE = 0.7
"""So many of the files have every fact; of the others some are left out."""


def complete(database: Database, city: City, *, seed: int, at: datetime) -> None:
    """Enter the facts of every vehicle."""
    rng = Random(f"{seed} files")
    with database.transaction(SYSTEM) as session:
        ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
        for number, car in enumerate(city.vehicles):
            values = _facts(car, number)
            if rng.random() > COMPLETE_SHARE:
                for key in rng.sample(sorted(values), rng.randint(3, 12)):
                    del values[key]
            service.complete(session, vehicle_id=ids[car.plate], values=values, actor=SYSTEM, now=at)


def _facts(car: Told, number: int) -> dict[str, str]:
    model, bought = car.model, car.registered_on
    size, length, width, height, wheelbase, kerb, total, tyres = SIZES.get(model.body, SIZES["suv"])
    found = {
        "brand": model.brand, "manufacturer": MAKERS.get(model.brand, model.brand), "certificate_no": f"HGZ{number:06d}",
        "size_class": size, "length_mm": str(length), "width_mm": str(width), "height_mm": str(height), "wheelbase_mm": str(wheelbase),
        "kerb_mass_kg": str(kerb), "total_mass_kg": str(total), "tyre_size": tyres, "tyre_count": "6" if model.body == "coach" else "4",
        "custodian_post": "单位车管员", "fund_source": "财政拨款", "invoice_no": f"{20_000_000 + number * 7919}",
        "invoice_on": bought.isoformat(), "asset_card_no": f"ZC{bought.year}{number:05d}", "registration_certificate_no": f"3300{number:08d}",
        "indicator_no": f"杭机管指〔{bought.year}〕{number % 90 + 1}号", "budget_no": f"杭财预〔{bought.year}〕{number % 60 + 1}号",
        "contract_no": f"CG{bought.year}{number:04d}", "supplier": "协议供货商", "accepted_on": bought.isoformat(),
        "engine_power_kw": "110", "emission_standard": "国六" if bought.year >= 2020 else "国五", "label_l_100km": "6.2",
        "motor_no": f"TZ{number:06d}", "motor_power_kw": "150", "battery_type": "磷酸铁锂", "charging_port": "国标交直流",
        "terminal_model": "BD-808", "dashcam": "有" if number % 3 else "无",
    }  # fmt: skip
    return {key: value for key, value in found.items() if rules.applies(rules.BY_KEY[key], model.energy)}
