"""The bundle for machines without a network: what is in it, and that a damaged one is refused before anything is done."""

import subprocess
import sys
import zipfile

import bundle
import pytest


@pytest.fixture
def made(tmp_path):
    """A bundle of a program of one file that needs one package."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    wheel = folder / "wheels/little-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("little.py", "WORD = 'works'\n")
        packed.writestr("little-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: little\nVersion: 1.0\n")
        packed.writestr("little-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr("little-1.0.dist-info/RECORD", "little.py,,\nlittle-1.0.dist-info/METADATA,,\nlittle-1.0.dist-info/WHEEL,,\nlittle-1.0.dist-info/RECORD,,\n")  # fmt: skip
    program = tmp_path / "program/app/requirements"
    program.mkdir(parents=True)
    digest = subprocess.run(["sha256sum", wheel], capture_output=True, text=True, check=True).stdout.split()[0]
    (program / "main.txt").write_text(f"little==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
    subprocess.run(["tar", "-cf", folder / "app.tar", "-C", tmp_path / "program", "app"], check=True)
    (folder / "install.sh").write_bytes((bundle.ROOT / "deploy/install.sh").read_bytes())
    (folder / "PYTHON").write_text(f"{sys.version_info[0]}.{sys.version_info[1]}\n", encoding="ascii")
    assert bundle.write_sums(folder) == 4
    return folder


def install(folder, target):
    env = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "WARM": "no", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    return subprocess.run(["sh", folder / "install.sh", target], env=env, capture_output=True, text=True, check=False)


def test_it_is_installed_without_a_network_and_the_one_before_is_kept(made, tmp_path):
    target = tmp_path / "fleet"
    (target / "releases/old/app").mkdir(parents=True)
    (target / "current").symlink_to("releases/old")
    done = install(made, target)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([target / ".venv/bin/python", "-c", "import little; print(little.WORD)"], capture_output=True, text=True, check=True)  # fmt: skip
    assert said.stdout == "works\n"
    assert (target / "app/requirements/main.txt").is_file()
    assert (target / "previous").resolve() == target / "releases/old"
    assert "已是这个版本" in install(made, target).stdout
    assert (target / "previous").resolve() == target / "releases/old"


@pytest.mark.parametrize("how", ["altered", "missing", "added"])
def test_a_damaged_bundle_is_refused_and_nothing_is_done(how, made, tmp_path):
    wheel = next((made / "wheels").iterdir())
    if how == "altered":
        wheel.write_bytes(wheel.read_bytes() + b"x")
    elif how == "missing":
        wheel.unlink()
    else:
        (made / "wheels/other-1.0-py3-none-any.whl").write_bytes(b"x")
    done = install(made, tmp_path / "fleet")
    assert done.returncode == 1
    assert "未做任何改动" in done.stderr
    assert not (tmp_path / "fleet").exists()


def test_the_program_goes_without_its_tests_and_with_what_runs(tmp_path):
    names = {str(path.relative_to(bundle.ROOT)) for path in bundle.program_files()}
    assert {"wsgi.py", "requirements/main.txt", "migrations/env.py", "deploy/install.sh", "config/gunicorn.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "node_modules/", "var/"))]
