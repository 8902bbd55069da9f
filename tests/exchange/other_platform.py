"""A second platform's mapping: short names, code lists, compact times, numbers, records without an inner object."""

from fleetapp.exchange.interfaces import SENT

TEXT = """
standard = "X"
version = "2025"
[login]
path = "/auth"
user = "u"
password = "p"
token = "result.jwt"
[request]
header = "X-Token"
prefix = ""
interface = "type"
batch = "seq"
records = "rows"
key = "uuid"
record = "id"
revision = "ver"
values = ""
[answer]
code = "status"
ok = ["200"]
expired = ["401"]
results = "result"
key = "uuid"
status = "res"
accepted = ["1"]
duplicate = ["2"]
rejected = ["0"]
receipt = "no"
faults = "errs"
field = "col"
message = "txt"
[codes.fuel]
fuel = "01"
charge = "02"
[codes.status]
valid = "1"
void = "0"
[fields."*"]
plate = "hphm"
record_status = {name = "zt", codes = "status"}
[fields.energy]
kind = {name = "nylx", codes = "fuel"}
at = {name = "jysj", time = "%Y%m%d%H%M%S"}
amount_cny = {name = "je", number = true}
odometer_km = {name = "lc", scale = 1000}
[paths]
"""


def write(folder):
    """Write the file and return its path."""
    path = folder / "other.toml"
    path.write_text(TEXT + "".join(f'{one.code} = "/up/{one.code}"\n' for one in SENT), encoding="utf-8")
    return path
