"""The signed code of a dispatch slip: whoever has the public keys can check a paper without this system or a network.

``python -m fleetapp.planning.signing KEYS CODE`` does so at a desk; the file runs alone, it needs PyNaCl only. A code is
``1~key~slip~plate~signed~start~end~signature``: the texts percent-encoded, the moments in minutes since 1970 UTC to base 36,
the signature Ed25519 (RFC 8032) of everything before its ``~``, base64url. All of it may stand in an address as it is.
"""

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

FORM = "1"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 600
"""Characters of a code; anything longer was not made here."""


@dataclass(frozen=True, slots=True)
class SlipCode:
    """What the code on a printed slip says: slip number, plate, approved window in UTC, full minutes."""

    slip: str
    plate: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that codes signed in ``[since, until)`` are checked with; ``until`` None is the key in use."""

    key_id: str
    public: bytes
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """The seed that signs, 32 bytes, and every public key that codes on paper may have been signed with."""

    seed: bytes
    public: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """What a code turned out to be: ``good``, ``forged``, ``unknown_key`` or ``old_key``; what it says only when good."""

    state: str
    code: SlipCode | None = None


def key_id(public: bytes) -> str:
    """Return the name of a public key: six hexadecimal digits of its digest."""
    return hashlib.sha256(public).hexdigest()[:6]


def derived(secret: str) -> Keys:
    """Return keys made from the application's secret, for a system that keeps no file of keys."""
    seed = hmac.digest(secret.encode(), b"dispatch slip ed25519", hashlib.sha256)
    public = bytes(SigningKey(seed).verify_key)
    return Keys(seed, (PublicKey(key_id(public), public, datetime.fromtimestamp(0, UTC)),))


def read_keys(text: str) -> Keys:
    """Return the keys of a file: ``{"seed": hex, "keys": [{"public", "since", "until"}]}``, the newest last.

    :raises ValueError: not such a file, or its seed does not belong to its newest key.
    """
    raw = json.loads(text)
    found = Keys(bytes.fromhex(raw["seed"]), read_public(raw))
    if found.public[-1].public != bytes(SigningKey(found.seed).verify_key) or found.public[-1].until is not None:
        raise ValueError("the seed does not belong to the newest key")
    return found


def in_use(secret: str, file: str) -> Keys:
    """Return the keys that codes are signed with: those of the file, else those made from the secret."""
    return read_keys(Path(file).read_text(encoding="utf-8")) if file else derived(secret)


def renewed(old: Keys | None, seed: bytes, now: datetime) -> str:
    """Return the file with a new key in use from ``now``; the seed of the one before is gone, its public key stays."""
    public = bytes(SigningKey(seed).verify_key)
    kept = [PublicKey(k.key_id, k.public, k.since, k.until or now) for k in (old.public if old else ())]
    return json.dumps({"seed": seed.hex(), **as_public([*kept, PublicKey(key_id(public), public, now)])}, indent=1)


def as_public(keys: Sequence[PublicKey]) -> dict[str, Any]:
    """Return what is published: no secret in it."""
    return {"form": FORM, "algorithm": "Ed25519", "keys": [
        {"id": key.key_id, "public": _text(key.public), "since": key.since.isoformat(),
         "until": key.until.isoformat() if key.until else None}
        for key in keys
    ]}  # fmt: skip


def read_public(raw: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """Return the keys of what was published.

    :raises ValueError, KeyError, TypeError: not such a file.
    """
    return tuple(
        PublicKey(key_id(public), public, datetime.fromisoformat(row["since"]),
                  datetime.fromisoformat(row["until"]) if row["until"] else None)
        for row in raw["keys"]
        for public in [_bytes(row["public"])]
    )  # fmt: skip


def sign(code: SlipCode, keys: Keys, now: datetime) -> str:
    """Return the text of a slip's QR symbol, signed at ``now``."""
    moments = (_minutes(at) for at in (now, code.start_at, code.end_at))
    body = "~".join([FORM, keys.public[-1].key_id, _quoted(code.slip), _quoted(code.plate), *moments])
    return f"{body}~{_text(SigningKey(keys.seed).sign(body.encode()).signature)}"


def read(text: str, keys: Sequence[PublicKey]) -> Read:
    """Return what a code says; the code may stand at the end of the address that a camera reads."""
    body, _, signature = text.strip().rpartition("code=")[2].rpartition("~")
    parts = body.split("~")
    if len(text) > LONGEST or len(parts) != 7 or parts[0] != FORM:
        return Read("forged")
    key = next((key for key in keys if key.key_id == parts[1]), None)
    if key is None:
        return Read("unknown_key")
    try:
        # Whoever opens an address undoes its percent codes: both forms are the same code.
        slip, plate = (unquote(part, errors="strict") for part in parts[2:4])
        body = "~".join([*parts[:2], _quoted(slip), _quoted(plate), *parts[4:]])
        VerifyKey(key.public).verify(body.encode("ascii"), _bytes(signature))
        signed, start_at, end_at = (_moment(part) for part in parts[4:])
        said = SlipCode(slip, plate, start_at, end_at)
    except (CryptoError, ValueError, OverflowError):
        return Read("forged")
    # A key that was given up, perhaps because it leaked, does not vouch for what it signs later.
    in_use = _floor(key.since) <= signed and (key.until is None or signed < key.until)
    return Read("good", said) if in_use else Read("old_key")


def _quoted(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


def _minutes(at: datetime) -> str:
    left, digits = int(at.timestamp() // 60), ""
    while left:
        left, digit = divmod(left, 36)
        digits = DIGITS[digit] + digits
    return digits or "0"


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(int(text, 36) * 60, UTC)


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


WORDS = {
    "good": "签名有效：由本系统开具；是否作废请联网核对 / Signed by the system; whether it was made void only the system knows",
    "forged": "无法验证：内容被改动或不是派车单二维码 / Not verified: altered, or no slip's code",
    "unknown_key": "无法验证：公钥文件中没有这个密钥 / Not verified: the file of public keys does not hold this key",
    "old_key": "无法验证：签名时该密钥已停用 / Not verified: the key was not in use when this was signed",
}


def main(arguments: Sequence[str]) -> int:
    """Check a code with a file of public keys; 0 when good, 1 when not, 2 when asked wrongly."""
    if len(arguments) != 2:
        print("python -m fleetapp.planning.signing KEYS.json CODE", file=sys.stderr)
        return 2
    try:
        keys = read_public(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"公钥文件无法读取 / cannot read the public keys: {error}", file=sys.stderr)
        return 2
    found = read(arguments[1], keys)
    print(WORDS[found.state])
    if found.code is not None:
        shown = (found.code.slip, found.code.plate, found.code.start_at.isoformat(), found.code.end_at.isoformat())
        print("\n".join(shown))
    return 0 if found.state == "good" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
