"""The files of deploy/ agree with the programs, and with the tools that read them where those are installed."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from fleetapp import settings
from tests import serving

DEPLOY = serving.ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("fleet-*"))


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def known_names():
    given = {f"FLEET_{field.name.upper()}" for field in fields(settings.Settings)}
    return (
        given
        | {f"FLEET_{name}" for name in settings.OTHERS}
        | {f"FLEET_{name.upper()}_FILE" for name in settings.SECRETS}
    )


def given_names():
    """Names of settings that the files of deploy/ set, by file."""
    for path in (DEPLOY / "env.example", DEPLOY / "systemd/local.env.example", DEPLOY / "Dockerfile", *UNITS):
        yield path.name, set(re.findall(r"\bFLEET_[A-Z_]+(?==)", path.read_text(encoding="utf-8")))
    for name, service in compose()["services"].items():
        yield f"compose {name}", {key for key in service.get("environment", {}) if key.startswith("FLEET_")}


def test_every_setting_is_one_that_the_programs_know():
    assert {place: names - known_names() for place, names in given_names() if names - known_names()} == {}


def test_compose_names_only_what_it_defines():
    found = compose()
    for name, service in found["services"].items():
        assert set(service.get("secrets", [])) <= found["secrets"].keys(), name
        assert set(service.get("networks", [])) <= found["networks"].keys(), name
        assert set(service.get("depends_on", {})) <= found["services"].keys(), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in found["volumes"] or source == "./tls" or (DEPLOY / source).is_file(), volume
        given = service.get("environment", {})
        files = set(re.findall(r"/run/secrets/(\w+)", " ".join(map(str, given.values()))))
        assert files <= set(service.get("secrets", [])), name
        if service.get("image") == "fleet:local":
            assert given.keys() & {"FLEET_DATABASE_URL", "FLEET_OWNER_DATABASE_URL"}, name
            assert "inside" in service["networks"], name
    named = {volume.split(":")[0] for service in found["services"].values() for volume in service.get("volumes", [])}
    assert found["volumes"].keys() <= named


def test_compose_programs_run_without_rights_and_only_the_proxy_and_the_terminals_port_are_open():
    services = compose()["services"]
    ours = {name: service for name, service in services.items() if service.get("image") == "fleet:local"}
    assert ours.keys() == {"migrate", "backup", "web", "gateway", "scheduler"}
    for name, service in ours.items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
    opened = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert opened == {"gateway": ["6808:6808"], "proxy": ["80:80", "443:443"]}
    assert "USER fleet" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_compose_is_what_docker_reads(tmp_path):
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not installed")
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    shutil.copyfile(DEPLOY / "env.example", tmp_path / "deploy/env")
    read = subprocess.run([docker, "compose", "-f", str(tmp_path / "deploy/compose.yaml"), "config", "--quiet"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert (read.returncode, read.stderr) == (0, "")


def test_units_are_what_systemd_reads(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    for path in UNITS:  # the programs are not where the units look for them
        words = re.sub(r"/opt/fleet/\.venv/bin/\w+", "/bin/true", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(words, encoding="utf-8")
    read = subprocess.run(["systemd-analyze", "verify", *(str(path) for path in sorted(tmp_path.iterdir()))],
                          capture_output=True, text=True, check=False)  # fmt: skip
    said = [line for line in read.stderr.splitlines() if "fleet-" in line]
    assert said == []


def test_every_program_has_a_unit_of_its_own_that_may_write_nowhere_else():
    for path in (path for path in UNITS if path.suffix == ".service"):
        words = path.read_text(encoding="utf-8")
        for line in (
            "User=fleet",
            "ProtectSystem=strict",
            "NoNewPrivileges=yes",
            "StandardError=journal",
            "CapabilityBoundingSet=\n",
        ):
            assert line in words, (path.name, line)
    assert {path.name for path in UNITS} == {
        "fleet-web.service", "fleet-web.socket", "fleet-gateway.service", "fleet-scheduler.service", "fleet-backup.service",
        "fleet-backup.timer",
    }  # fmt: skip


def nginx():
    return shutil.which("nginx") or pytest.skip("nginx is not installed")


@pytest.mark.parametrize("where", ["", "-compose"])
def test_nginx_takes_the_configuration(where, tmp_path):
    program = nginx()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=fleet", "-keyout", "fleet.key", "-out", "fleet.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    words = (DEPLOY / "nginx/fleet.conf").read_text(encoding="utf-8").replace("/etc/nginx/fleet/tls", str(tmp_path))
    words = words.replace("/etc/nginx/fleet/upstreams.conf", str(upstreams(where, tmp_path)))
    words = words.replace("/etc/nginx/fleet/static.conf", str(DEPLOY / f"nginx/static{where}.conf"))
    words = words.replace("/etc/nginx/fleet/", f"{DEPLOY}/nginx/").replace("/var/log/nginx", str(tmp_path))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    words = "access_log off;\n" + "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds) + words
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{words}\n}}\n", encoding="utf-8"
    )
    read = subprocess.run(
        [program, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "test is successful" in read.stderr, read.stderr


def upstreams(where: str, folder: Path) -> Path:
    """Return the file of upstreams with names that need no resolver."""
    words = (DEPLOY / f"nginx/upstreams{where}.conf").read_text(encoding="utf-8")
    path = folder / "upstreams.conf"
    path.write_text(re.sub(r"server (web|gateway):", "server 127.0.0.1:", words), encoding="utf-8")
    return path


def test_the_proxy_lets_nobody_see_figures_and_takes_what_the_program_takes():
    words = (DEPLOY / "nginx/fleet.conf").read_text(encoding="utf-8")
    assert "location = /metrics { return 404; }" in words
    assert settings.Settings().upload_max_mb < int(re.search(r"client_max_body_size (\d+)m", words)[1])
    assert "$request_uri" not in words.split("log_format")[1].split(";")[0]
    assert "$args" not in words
