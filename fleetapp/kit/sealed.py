"""Short secrets that must be read again, kept in the database under a key that is not in it (XSalsa20-Poly1305)."""

import hashlib
import hmac

from nacl.secret import SecretBox


def _box(key: str, purpose: str) -> SecretBox:
    return SecretBox(hmac.digest(key.encode(), f"sealed {purpose}".encode(), hashlib.sha256))


def seal(key: str, purpose: str, text: str) -> bytes:
    """Return a text sealed for one purpose with the installation's secret key."""
    return bytes(_box(key, purpose).encrypt(text.encode()))


def unseal(key: str, purpose: str, content: bytes) -> str:
    """Return the text.

    :raises nacl.exceptions.CryptoError: another key or purpose, or the content was altered.
    """
    return _box(key, purpose).decrypt(content).decode()
