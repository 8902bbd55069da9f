import re
import sys

import packages
import pytest
import setup
from plain import ROOT, Refused, run_network_step


def test_package_list_is_whole_and_proofs_tell_present_from_absent(tmp_path):
    listed = packages.read_list(packages.LIST.read_text(encoding="utf-8"), python="3.11", pg="15")
    assert {"python3.11-venv", "postgresql-15", "postgresql-15-postgis-3"} <= {package.name for package in listed}
    assert all(package.need in {"run", "test"} and package.proofs for package in listed)

    (tmp_path / "lib.so.0").touch()
    assert packages.Package("a", "run", ("cmd:no-such-program", f"{tmp_path}/*.so.0")).is_there()
    assert not packages.Package(
        "b", "run", ("cmd:no-such-program", "py:no_such_module", f"{tmp_path}/*.so.1")
    ).is_there()


def test_user_who_may_not_install_is_told_the_exact_command(monkeypatch):
    lacking = packages.Package("libpango-1.0-0", "run", ("cmd:no-such-program",))
    monkeypatch.setattr(packages, "missing_packages", lambda **_: [lacking])
    monkeypatch.setattr(packages, "privilege", lambda: None)
    monkeypatch.setattr(packages, "offered_postgresql", lambda: "15")
    with pytest.raises(Refused, match=r"sudo apt-get install -y --no-install-recommends libpango-1\.0-0"):
        packages.ensure_packages(own_database=True)


def test_missing_test_programs_do_not_stop_a_user_who_may_not_install(monkeypatch, capsys):
    lacking = packages.Package("chromium", "test", ("cmd:no-such-program",))
    monkeypatch.setattr(packages, "missing_packages", lambda **_: [lacking])
    monkeypatch.setattr(packages, "privilege", lambda: None)
    monkeypatch.setattr(packages, "offered_postgresql", lambda: "15")
    packages.ensure_packages(own_database=True)
    assert "sudo apt-get install -y --no-install-recommends chromium" in capsys.readouterr().out


def test_given_database_needs_no_server_here(monkeypatch):
    monkeypatch.setattr(packages, "installed_postgresql", list)
    needs = [
        {p.name for p in packages.missing_packages(own_database=own) if p.name.startswith("postgresql")}
        for own in (True, False)
    ]
    assert needs == [{"postgresql-{pg}", "postgresql-{pg}-postgis-3"}, set()]


def test_digest_follows_name_and_content():
    files = [ROOT / "Makefile", ROOT / "package.json"]
    assert setup.digest(files) == setup.digest(files)
    assert setup.digest(files) != setup.digest(files[::-1])
    assert setup.digest(["3.11", *files]) != setup.digest(["3.12", *files])


def test_fetching_is_tried_three_times_then_told(tmp_path, capsys):
    command = [sys.executable, "-c", "print('no route'); raise SystemExit(4)"]
    with pytest.raises(Refused, match="things could not be fetched in three attempts"):
        run_network_step(command, tmp_path / "log", "things", wait_s=0)
    assert (tmp_path / "log").read_text().count("no route") == 3
    assert "attempt 3 of 3 failed (exit 4)" in capsys.readouterr().out


def test_lock_files_pin_checksums_and_name_no_registry():
    for name in ("main", "dev", "node", "peers"):
        text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
        pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9][^\n]*==", text, re.MULTILINE)) > 0
        assert "://" not in text
    lock = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')
