"""The platform's certificate: trusted and in force, expired, of nobody we know, of another address."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleetapp.exchange import mapping
from fleetapp.exchange.adapter import HttpsJson
from fleetapp.exchange.rules import RecordState, Trouble
from fleetapp.kit import clock
from tests.exchange.platform import Platform

DAY = timedelta(days=1)


class Authority:
    """Signs certificates and keeps them beside their keys in a folder."""

    def __init__(self, folder):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.file = folder / "authority.pem"
        own = self._builder(self.name, self.key, clock.now() - 400 * DAY, clock.now() + 400 * DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True)  # fmt: skip
        self.file.write_bytes(own.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name, key, start, end):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)

    def certificate(self, end, address="127.0.0.1"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
        builder = self._builder(name, key, end - 300 * DAY, end)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        path = self.folder / f"{address}-{end:%Y%m%d}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return str(path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def at(authority, desk):
    """Return a run against a platform with a certificate, trusting the authority or not."""

    def run(certificate, *, trusted=True):
        secure = Platform(mapping.load(), tls=certificate).start()
        try:
            adapter = HttpsJson(
                secure.url, "hangzhou", "secret", secure.mapped, 5.0, str(authority.file) if trusted else ""
            )
            desk.run(adapter=adapter)
        finally:
            secure.stop()
        return secure

    return run


def test_a_good_certificate_is_noted_with_its_end(at, authority, desk):
    end = clock.now().replace(microsecond=0) + 20 * DAY
    secure = at(authority.certificate(end))
    assert desk.states() == {RecordState.ACCEPTED}
    assert len(secure.registered) == len(desk.rows())
    assert desk.link().certificate_until == end.astimezone(UTC)


@pytest.mark.parametrize(
    ("days", "address", "trusted", "trouble"),
    [(-1, "127.0.0.1", True, Trouble.CERTIFICATE_EXPIRED), (20, "127.0.0.1", False, Trouble.CERTIFICATE_REFUSED),
     (20, "127.0.0.9", True, Trouble.CERTIFICATE_REFUSED)],
)  # fmt: skip
def test_another_certificate_stops_everything_and_says_why(at, authority, desk, days, address, trusted, trouble):
    secure = at(authority.certificate(clock.now() + days * DAY, address), trusted=trusted)
    assert desk.link().trouble == trouble
    assert (secure.logins, secure.registered) == (0, {})  # not even the password went out
    assert desk.states() == {RecordState.QUEUED}


def test_the_page_says_expired_and_what_to_do(at, authority, desk, browse):
    at(authority.certificate(clock.now() - DAY))
    page = browse("vehicle_office.city").get("/exchange").get_data(as_text=True)
    assert "证书过期" in page
    assert "请联系上级平台更换证书" in page
    assert "不要关闭证书校验" in page


def test_the_page_warns_of_an_end_that_comes_near(at, authority, desk, browse):
    end = clock.now().replace(microsecond=0) + 20 * DAY
    at(authority.certificate(end))
    browser = browse("vehicle_office.city")
    assert "上级平台的证书将于" in browser.get("/exchange").get_data(as_text=True)
    desk.sql("UPDATE exchange_link SET certificate_until = :end", end=datetime(2099, 1, 1, tzinfo=UTC))
    assert "上级平台的证书将于" not in browser.get("/exchange").get_data(as_text=True)
