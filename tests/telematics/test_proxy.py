"""The PROXY protocol: whom the gateway believes, and what it does with everybody else."""

import asyncio
import struct
from ipaddress import ip_network

import psycopg
import pytest

from telematics.gateway.process import running
from telematics.gateway.proxy import SIGNATURE, BadProxy, is_trusted, networks, read_header
from telematics.protocols import jt808_body as body
from tests.telematics.running import NOW, add_terminal, gateway, get, quarantined, scene, wire

V4 = SIGNATURE + struct.pack(">BBH4B4BHH", 0x21, 0x11, 12, 10, 1, 2, 3, 10, 0, 0, 1, 40000, 6808)
V6 = SIGNATURE + struct.pack(">BBH", 0x21, 0x21, 40) + bytes(15) + b"\1" + bytes(16) + struct.pack(">HHI", 5, 6, 0)
OWN = SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)


def read(data: bytes) -> str | None:
    async def scene():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        found = await read_header(reader)
        return found, await reader.read()

    found, rest = asyncio.run(scene())
    assert rest == b"~rest"
    return found


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (V4, "10.1.2.3:40000"),
        (V6, "[::1]:5"),
        (OWN, None),
        (b"PROXY TCP4 10.1.2.3 10.0.0.1 40000 6808\r\n", "10.1.2.3:40000"),
        (b"PROXY TCP6 ::1 ::2 5 6808\r\n", "[::1]:5"),
        (b"PROXY UNKNOWN\r\n", None),
    ],
)
def test_a_header_names_the_terminal(header, peer):
    assert read(header + b"~rest") == peer


@pytest.mark.parametrize(
    "header",
    [
        b"",
        V4[:20],
        b"~\x00\x02" + bytes(20),
        SIGNATURE + struct.pack(">BBH", 0x31, 0x11, 12) + bytes(12),
        SIGNATURE + struct.pack(">BBH", 0x21, 0x12, 12) + bytes(12),
        SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 60000),
        SIGNATURE + struct.pack(">BBH", 0x21, 0x11, 4) + bytes(4),
        b"PROXY TCP4 10.1.2.3 10.0.0.1 6808\r\n",
        b"PROXY TCP4 ::1 10.0.0.1 1 6808\r\n",
        b"PROXY TCP4 10.1.2.3 10.0.0.1 70000 6808\r\n",
        b"PROXY TCP4 10.1.2.3 10.0.0.1 1 6808\n",
        b"PROXY " + bytes(200) + b"\r\n",
    ],
)
def test_a_broken_header_is_refused(header):
    with pytest.raises(BadProxy):
        read(header)


def test_trust_is_by_network():
    proxies = networks("10.0.0.0/24, fd00::/8")
    assert proxies == (ip_network("10.0.0.0/24"), ip_network("fd00::/8"))
    assert is_trusted("10.0.0.7", proxies)
    assert is_trusted("::ffff:10.0.0.7", proxies)
    assert is_trusted("fd00::1%eth0", proxies)
    assert not is_trusted("10.0.1.7", proxies)
    assert not is_trusted("10.0.0.7", ())
    assert not is_trusted("somewhere", proxies)
    with pytest.raises(ValueError, match="host bits"):
        networks("10.0.0.1/24")


@scene
async def test_a_terminal_behind_a_trusted_balancer_is_known_by_its_own_address(gps_dsn):
    _, phone = add_terminal(gps_dsn)
    _, device = add_terminal(gps_dsn, kind="phone", token="secret")
    async with running(gps_dsn, role="fleet_gateway", clock=lambda: NOW, proxies=networks("127.0.0.1")) as found:
        async with wire(found.terminals.port, phone) as line:
            await line.send(V4)
            await line.log_in()
            await line.send(line.frame(body.LOCATION, b"too short", serial=9))
            await line.answer()
            assert [session.peer for session in found.gateway.terminals.values()] == ["10.1.2.3:40000"]
        async with wire(found.terminals.port, phone) as line:  # no header: refused before anything is read
            await line.send(line.frame(body.HEARTBEAT))
            with pytest.raises(ConnectionError):
                await line.receive()
        target = f"/?id={device}&token=secret&lat=1"  # no longitude: kept in quarantine, with the address
        assert (await get(found.phones.port, target, "X-Forwarded-For: 8.8.8.8, 9.9.9.9\r\n"))[0] == 200
    with psycopg.connect(gps_dsn) as conn:
        query = "SELECT phone, peer FROM gps_quarantine WHERE phone IN (%s, %s)"
        assert dict(conn.execute(query, [phone, device]).fetchall()) == {phone: "10.1.2.3:40000", device: "9.9.9.9"}
    assert len(quarantined(gps_dsn, phone)) == 1


@scene
async def test_anybody_else_who_sends_a_header_is_cut_off(gps_dsn):
    _, phone = add_terminal(gps_dsn)
    async with gateway(gps_dsn) as found:
        for header in (V4, b"PROXY TCP4 10.1.2.3 10.0.0.1 40000 6808\r\n"):
            async with wire(found.terminals.port, phone) as line:
                await line.send(header + line.frame(body.HEARTBEAT))
                with pytest.raises(ConnectionError):
                    await line.receive()
        async with wire(found.terminals.port, phone) as line:
            await line.log_in()
    assert quarantined(gps_dsn, phone) == []
