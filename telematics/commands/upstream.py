"""Forward positions to a superior platform over JT/T 809: main link to it, sub link from it.

From the first start every new position is kept until the superior platform has it. Vehicles that are restricted, secret
or retired are never forwarded. SIGTERM and Ctrl-C log out and exit 0.

Environment: FLEET_DATABASE_URL and FLEET_GATEWAY_ROLE as for serve; FLEET_UPSTREAM_<OPTION> for every option below;
FLEET_UPSTREAM_PASSWORD and FLEET_UPSTREAM_CIPHER (M1,IA1,IC1) unless a file holds them. Secrets are never arguments:
every user of the machine can read those.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from random import SystemRandom

from telematics.commands import logs
from telematics.commands.common import database_ready, unless, utc_now
from telematics.gateway.link import Link, StoreUnavailable
from telematics.protocols.jt808_fields import BodyError
from telematics.protocols.jt809 import VERSIONS, Cipher
from telematics.protocols.jt809_body import Login, encode_link_body
from telematics.upstream.client import Client
from telematics.upstream.outbox import Outbox
from telematics.upstream.settings import Settings, Timing

LOGOUT_S = 40.0
COORDINATES = ("wgs84", "gcj02")
PREFIX = "FLEET_UPSTREAM_"


class Unusable(ValueError):
    """A setting that is missing or wrong; the text is one sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``upstream``."""

    def option(name: str, text: str, **more: object) -> None:
        default = os.environ.get(PREFIX + name.upper().replace("-", "_"), more.pop("default", None))
        parser.add_argument(f"--{name}", help=text, default=default, **more)  # type: ignore[arg-type]

    option("host", "address of the superior platform")
    option("port", "its port", type=int)
    option("user", "user number it gave us", type=int)
    option("centre-id", "access code it gave us", type=int)
    option("version", "edition of JT/T 809 (default 2011)", choices=tuple(VERSIONS), default="2011")
    option("sub-host", "our address as it reaches us for the sub link")
    option("sub-listen", "address to listen on for the sub link (default 0.0.0.0)", default="0.0.0.0")  # noqa: S104
    option("sub-port", "port of the sub link (default 6809)", type=int, default=6809)
    option("name", "our name for this platform and its queue (default superior)", default="superior")
    option("password-file", "file with the password, at most 8 characters", type=Path)
    option("cipher-file", "file with M1,IA1,IC1 if messages are to be enciphered", type=Path)
    option("coordinates", "datum of what is sent (default wgs84)", choices=COORDINATES, default="wgs84")
    parser.add_argument("--database-url", help="PostgreSQL address (default: environment FLEET_DATABASE_URL)")
    parser.add_argument("--retire", action="store_true", help="drop the queue of --name, keep nothing for it any more")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop; 0 then, 1 if the port is taken, 2 if a setting is missing or wrong."""
    url = args.database_url or os.environ.get("FLEET_DATABASE_URL")
    role = os.environ.get("FLEET_GATEWAY_ROLE", "fleet_gateway")
    logs.configure()
    if not url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    if args.retire:
        return asyncio.run(_retire(url, role, args.name))
    try:
        settings = read_settings(args)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(settings, url, role))
    except OSError as error:
        print(
            f"Cannot listen on {settings.sub_listen}:{settings.sub_port} ({error.strerror or error}):"
            " stop the other program or choose another --sub-port.",
            file=sys.stderr,
        )
        return 1
    return 0


def read_settings(args: argparse.Namespace) -> Settings:
    """Settings of the arguments, the environment and the secret files; raises Unusable."""
    for name in ("host", "port", "user", "centre_id", "sub_host"):
        if getattr(args, name) is None:
            option = name.replace("_", "-")
            raise Unusable(f"--{option} is missing: give it or set {PREFIX}{name.upper()}.")
    if args.version not in VERSIONS or args.coordinates not in COORDINATES:  # argparse does not check the environment
        raise Unusable(f"The version is one of {', '.join(VERSIONS)}, the coordinates one of {', '.join(COORDINATES)}.")
    cipher = _secret(args.cipher_file, "CIPHER")
    password = _secret(args.password_file, "PASSWORD")
    if not password:
        raise Unusable(f"No password: give --password-file or set {PREFIX}PASSWORD.")
    try:
        encode_link_body(Login(args.user, "", args.sub_host, args.sub_port, args.centre_id), args.version)
    except BodyError as error:
        raise Unusable(f"A setting does not fit the login: {error}.") from None
    try:
        encode_link_body(Login(0, password, "", 0), args.version)
    except BodyError:
        raise Unusable("The password does not fit the login: it has at most 8 bytes in GBK.") from None
    return Settings(
        name=args.name, host=args.host, port=args.port, user=args.user, password=password, centre_id=args.centre_id,
        edition=args.version, sub_host=args.sub_host, sub_listen=args.sub_listen, sub_port=args.sub_port,
        cipher=_cipher(cipher) if cipher else None, gcj02=args.coordinates == "gcj02",
    )  # fmt: skip


def _secret(path: Path | None, name: str) -> str:
    if path is None:
        return os.environ.get(PREFIX + name, "")
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"Cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}.") from None


def _cipher(text: str) -> Cipher:
    try:
        m1, ia1, ic1 = (int(word) for word in text.split(","))
        return Cipher(m1, ia1, ic1)
    except ValueError:
        raise Unusable("The cipher is not three 32-bit numbers M1,IA1,IC1, the first of them not 0.") from None


async def _retire(url: str, role: str, name: str) -> int:
    link = Link(url, role=role)
    try:
        known = await Outbox(link, name=name).retire()
    except StoreUnavailable as error:
        print(f"The database cannot be used: {error}.", file=sys.stderr)
        return 1
    finally:
        await link.close()
    print(f"the queue of {name} is gone" if known else f"there is no queue of {name}")
    return 0


async def _serve(settings: Settings, url: str, role: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not await unless(stop, database_ready(url, role)):
        return
    link = Link(url, role=role)
    client = Client(settings, Timing(), Outbox(link, name=settings.name), clock=utc_now, rng=SystemRandom())
    running = asyncio.create_task(client.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        await client.stop()
        await asyncio.wait([running], timeout=LOGOUT_S)
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await link.close()
