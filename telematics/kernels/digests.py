"""``telematics.ingest.content_digest`` over numbers.

Source: RFC 7693 (BLAKE2b), unkeyed, digest of 8 bytes, one block.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

IV = np.array(
    [
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)  # fmt: skip
SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    dtype=np.int64,
)
MIXED = np.array(
    [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]],
    dtype=np.int64,
)  # fmt: skip
ROUNDS = 12
PARAMETERS = np.uint64(0x01010008)  # one leaf, no key, 8 bytes out


@njit(cache=True, nogil=True)
def decimal(text: Bytes, at: int, value: int) -> int:
    """Write a whole number as text; returns the place after it."""
    if value < 0:
        text[at] = 45
        at += 1
        value = -value
    digits = 1
    above = 10
    while above <= value:
        above *= 10
        digits += 1
    for place in range(at + digits - 1, at - 1, -1):
        text[place] = 48 + value % 10
        value //= 10
    return at + digits


@njit(cache=True, nogil=True)
def blake2b_8(text: Bytes, length: int, m: Words, v: Words) -> int:
    """Digest of at most 128 bytes as a signed big-endian number; ``m`` and ``v`` are 16 words to work in."""
    for word in range(16):
        value = np.uint64(0)
        for byte in range(8):
            place = word * 8 + byte
            if place < length:
                value |= np.uint64(text[place]) << np.uint64(8 * byte)
        m[word] = value
    for word in range(8):
        v[word] = IV[word]
        v[word + 8] = IV[word]
    v[0] ^= PARAMETERS
    v[12] ^= np.uint64(length)
    v[14] = ~v[14]
    for turn in range(ROUNDS):
        order = SIGMA[turn % 10]
        for mix in range(8):
            a, b, c, d = MIXED[mix, 0], MIXED[mix, 1], MIXED[mix, 2], MIXED[mix, 3]
            v[a] = v[a] + v[b] + m[order[2 * mix]]
            v[d] ^= v[a]
            v[d] = (v[d] >> np.uint64(32)) | (v[d] << np.uint64(32))
            v[c] = v[c] + v[d]
            v[b] ^= v[c]
            v[b] = (v[b] >> np.uint64(24)) | (v[b] << np.uint64(40))
            v[a] = v[a] + v[b] + m[order[2 * mix + 1]]
            v[d] ^= v[a]
            v[d] = (v[d] >> np.uint64(16)) | (v[d] << np.uint64(48))
            v[c] = v[c] + v[d]
            v[b] ^= v[c]
            v[b] = (v[b] >> np.uint64(63)) | (v[b] << np.uint64(1))
    found = IV[0] ^ PARAMETERS ^ v[0] ^ v[8]
    turned = np.uint64(0)
    for byte in range(8):
        turned |= ((found >> np.uint64(8 * byte)) & np.uint64(0xFF)) << np.uint64(56 - 8 * byte)
    return np.int64(turned)


@njit(cache=True, nogil=True)
def content_digest(
    lat_e6: int, lon_e6: int, speed: int, direction: int, odometer_m: int, text: Bytes, m: Words, v: Words
) -> int:
    """See ``telematics.ingest.content_digest``; an odometer below zero is none. ``text`` has room for 128 bytes."""
    at = decimal(text, 0, lat_e6)
    text[at] = 44
    at = decimal(text, at + 1, lon_e6)
    text[at] = 44
    at = decimal(text, at + 1, speed)
    text[at] = 44
    at = decimal(text, at + 1, direction)
    text[at] = 44
    at += 1
    if odometer_m < 0:
        text[at], text[at + 1], text[at + 2], text[at + 3] = 78, 111, 110, 101  # None
        at += 4
    else:
        at = decimal(text, at, odometer_m)
    return blake2b_8(text, at, m, v)
