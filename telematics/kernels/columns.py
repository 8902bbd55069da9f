"""Columns of a table of positions: int64, one row each, units of the store."""

(
    TERMINAL, AT, DIGEST, LAT, LON, SPEED, DIRECTION, ODOMETER, FLAGS, ALARM, SATELLITES, RECEIVED, REST_AT, REST_LEN,
    RAW_AT, RAW_LEN,
) = range(16)  # fmt: skip
"""``AT`` and ``RECEIVED`` are microseconds since 1970 UTC; the last four are places and lengths in two buffers."""
WIDTH = 16
NONE = -(1 << 63)
"""Stands for no speed, direction, odometer, satellites; as ``RAW_LEN``: no bytes were received."""
ACC_KNOWN, ACC_ON, FIXED, MOCK = 1, 2, 4, 8
"""Bits of ``FLAGS``."""

START, END, ROWS, SERIAL, MSG_ID = range(5)
"""Columns of a table of frames: place of the opening flag, place after the closing one, positions in it, serial, id."""
FRAME_WIDTH = 5
