"""SM3 (GB/T 32905-2016): from the system's cryptographic library where that has it, else computed here."""

import hashlib
import struct

MASK = 0xFFFFFFFF
START = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
CONSTANTS = [0x79CC4519] * 16 + [0x7A879D8A] * 48
ROUND = [(word << j % 32 | word >> (32 - j % 32)) & MASK for j, word in enumerate(CONSTANTS)]


def sm3(data: bytes) -> str:
    """Return the SM3 of some bytes in hex."""
    return hashlib.new("sm3", data).hexdigest() if "sm3" in hashlib.algorithms_available else computed(data)


def computed(data: bytes) -> str:
    """Return the same without a cryptographic library (clause 5 of the standard), some hundred kilobytes a second."""
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state: tuple[int, ...] = START
    for at in range(0, len(padded), 64):
        state = _compressed(state, padded[at : at + 64])
    return struct.pack(">8I", *state).hex()


def _compressed(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    """One block; rotations are written out: this is the innermost loop."""
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        x = w[j - 3]
        x = w[j - 16] ^ w[j - 9] ^ ((x << 15 | x >> 17) & MASK)
        y = w[j - 13]
        x ^= (x << 15 | x >> 17) & MASK ^ (x << 23 | x >> 9) & MASK
        w.append(x ^ ((y << 7 | y >> 25) & MASK) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        a12 = (a << 12 | a >> 20) & MASK
        x = (a12 + e + ROUND[j]) & MASK
        ss1 = (x << 7 | x >> 25) & MASK
        if j < 16:
            x, y = a ^ b ^ c, e ^ f ^ g
        else:
            x, y = a & b | a & c | b & c, e & f | (e ^ MASK) & g
        tt1 = (x + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & MASK
        tt2 = (y + h + ss1 + w[j]) & MASK
        a, b, c, d = tt1, a, (b << 9 | b >> 23) & MASK, c
        e, f, g, h = (
            tt2 ^ (tt2 << 9 | tt2 >> 23) & MASK ^ (tt2 << 17 | tt2 >> 15) & MASK,
            e,
            (f << 19 | f >> 13) & MASK,
            g,
        )
    return tuple(old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))
