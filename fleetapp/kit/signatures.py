"""Ed25519 signatures (RFC 8032) of what leaves the system to be kept by others: evidence packages, heads of the audit chain.

Every signature is over the name of its use, a line feed and the message, so that none passes for another. The file of keys
is ``{"seed": hex, "keys": [{"public", "since"}]}``, the key in use last; without a file the key comes from the secret.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from fleetapp.settings import Settings

ALGORITHM = "Ed25519"


@dataclass(frozen=True, slots=True)
class Keys:
    """The seed that signs, 32 bytes, and every public key something kept may have been signed with, with its first day."""

    seed: bytes
    public: tuple[tuple[bytes, datetime], ...]


def of(settings: Settings) -> Keys:
    """Return the keys of an installation.

    :raises ValueError: the file of keys is none.
    """
    if settings.evidence_keys_file:
        return read(Path(settings.evidence_keys_file).read_text(encoding="utf-8"))
    seed = hmac.digest(settings.secret_key.encode(), b"evidence ed25519", hashlib.sha256)
    return Keys(seed, ((bytes(SigningKey(seed).verify_key), datetime.fromtimestamp(0, UTC)),))


def read(text: str) -> Keys:
    """Return the keys of a file.

    :raises ValueError: not such a file, or its seed does not belong to its last key.
    """
    raw = json.loads(text)
    found = Keys(
        bytes.fromhex(raw["seed"]),
        tuple((unbase64(row["public"]), datetime.fromisoformat(row["since"])) for row in raw["keys"]),
    )
    if found.public[-1][0] != bytes(SigningKey(found.seed).verify_key):
        raise ValueError("the seed does not belong to the last key")
    return found


def renewed(old: Keys | None, seed: bytes, now: datetime) -> str:
    """Return the file with a new key in use from ``now``; the seed of the one before is gone, its public key stays."""
    kept = [*(old.public if old else ()), (bytes(SigningKey(seed).verify_key), now)]
    return json.dumps({"seed": seed.hex(), "keys": _rows(kept)}, indent=1)


def published(keys: Keys) -> dict[str, Any]:
    """Return what is published: no secret in it."""
    return {"algorithm": ALGORITHM, "keys": _rows(keys.public)}


def _rows(public: Any) -> list[dict[str, str]]:
    return [{"id": key_id(key), "public": base64url(key), "since": since.isoformat()} for key, since in public]


def key_id(public: bytes) -> str:
    """Return the name of a public key: six hexadecimal digits of its digest."""
    return hashlib.sha256(public).hexdigest()[:6]


def sign(keys: Keys, use: str, message: bytes) -> dict[str, str]:
    """Return a signature with what is needed to check it."""
    public = keys.public[-1][0]
    signature = SigningKey(keys.seed).sign(_framed(use, message)).signature
    return {
        "algorithm": ALGORITHM,
        "key": key_id(public),
        "public": base64url(public),
        "signature": base64url(signature),
    }


def holds(keys: Keys, use: str, message: bytes, signed: Mapping[str, Any]) -> bool:
    """Tell whether a signature is by one of the keys and over the message."""
    try:
        public = unbase64(signed["public"])
        VerifyKey(public).verify(_framed(use, message), unbase64(signed["signature"]))
    except (CryptoError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return public in {key for key, _ in keys.public}


def _framed(use: str, message: bytes) -> bytes:
    return use.encode() + b"\n" + message


def base64url(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64(text: str) -> bytes:
    """Return the bytes of base64url without padding.

    :raises ValueError: not such a text.
    """
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
