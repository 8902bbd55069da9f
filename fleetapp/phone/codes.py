"""The code on a vehicle's dashboard: signed with the key of the slips, so that a copied plate is no code.

``V1~key~plate~serial~signed~signature``: the plate percent-encoded, the serial counts the codes of the vehicle, the moment in minutes
since 1970 UTC, the signature Ed25519 (RFC 8032) of everything before its ``~``, base64url. A slip's code begins otherwise, so that
neither passes for the other.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from fleetapp.planning.signing import Keys, PublicKey

FORM = "V1"
LONGEST = 400
MANUAL = 8
"""Letters of the code that is typed where no camera reads."""


@dataclass(frozen=True, slots=True)
class VehicleSign:
    """What a vehicle's code says."""

    plate: str
    serial: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a code turned out to be: ``good``, ``forged``, ``unknown_key`` or ``old_key``; what it says only when good."""

    state: str
    sign: VehicleSign | None = None


def sign(said: VehicleSign, keys: Keys, at: datetime) -> str:
    """Return the text of a vehicle's QR symbol, signed for ``at``; the same arguments give the same text."""
    body = "~".join(
        [FORM, keys.public[-1].key_id, _quoted(said.plate), str(said.serial), str(int(at.timestamp() // 60))]
    )
    return f"{body}~{_text(SigningKey(keys.seed).sign(body.encode()).signature)}"


def manual(code: str) -> str:
    """Return the letters to type instead: of the digest of a code, in base 32 (RFC 4648: no 0, 1, 8, 9 to mistake)."""
    return base64.b32encode(hashlib.sha256(code.encode()).digest()).decode()[:MANUAL]


def read(text: str, keys: Sequence[PublicKey]) -> Read:
    """Return what a code says."""
    body, _, signature = text.strip().rpartition("~")
    parts = body.split("~")
    if len(text) > LONGEST or len(parts) != 5 or parts[0] != FORM:
        return Read("forged")
    key = next((key for key in keys if key.key_id == parts[1]), None)
    if key is None:
        return Read("unknown_key")
    try:
        VerifyKey(key.public).verify(body.encode("ascii"), _bytes(signature))
        said = VehicleSign(unquote(parts[2], errors="strict"), int(parts[3]))
        signed = datetime.fromtimestamp(int(parts[4]) * 60, UTC)
    except (CryptoError, ValueError, OverflowError):
        return Read("forged")
    in_use = key.since.replace(second=0, microsecond=0) <= signed and (key.until is None or signed < key.until)
    return Read("good", said) if in_use else Read("old_key")


def _quoted(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
