"""What one superior platform prescribes, and how long things take."""

from dataclasses import dataclass, field

from telematics.protocols.jt809 import Cipher, Edition


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Address and access of a superior platform.

    ``name`` is ours: its queue goes by it, so that a new address continues the old queue. ``sub_host`` and ``sub_port``
    are what the superior platform connects back to, ``sub_listen`` the address we listen on. With a ``cipher`` whatever
    we send is enciphered. ``gcj02`` sends offset coordinates and flags them as such, instead of WGS-84.
    """

    name: str
    host: str
    port: int
    user: int
    password: str = field(repr=False)
    centre_id: int
    edition: Edition = "2011"
    sub_host: str = "127.0.0.1"
    sub_listen: str = "127.0.0.1"
    sub_port: int = 0
    cipher: Cipher | None = field(default=None, repr=False)
    gcj02: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds, and rows of one round.

    ``keep_alive_s`` and ``dead_s`` are the standard's minute and three minutes (JT/T 809-2011, 4.4). A connection that
    failed is tried again after ``retry_first_s``, twice as long each time up to ``retry_most_s``. ``late_s`` is the age
    from which a position is history, sent as catch-up. ``tolerance_s`` is how far the superior platform's clock
    and the way there may shift a position over the edge of a counted period.
    """

    keep_alive_s: float = 60.0
    dead_s: float = 180.0
    answer_s: float = 30.0
    poll_s: float = 1.0
    retry_first_s: float = 1.0
    retry_most_s: float = 300.0
    late_s: float = 180.0
    tolerance_s: float = 5.0
    batch_rows: int = 500
