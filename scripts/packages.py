"""Packages of the distribution (config/apt.txt): see what is missing, install it, or say how to."""

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from plain import LOGS, ROOT, Refused, run_network_step, say

LIST = ROOT / "config/apt.txt"
LOG = LOGS / "setup.log"
OLDEST_POSTGRESQL = 14
DATABASE = re.compile(r"postgresql-")


@dataclass(frozen=True)
class Package:
    name: str
    need: str
    proofs: tuple[str, ...]

    def is_there(self) -> bool:
        return any(holds(proof) for proof in self.proofs)


def holds(proof: str) -> bool:
    """Tell whether one proof of config/apt.txt holds on this machine."""
    kind, _, name = proof.partition(":")
    if kind == "cmd" and name:
        return shutil.which(name) is not None
    if kind == "py" and name:
        return importlib.util.find_spec(name) is not None
    return bool(glob.glob(proof))


def read_list(text: str, *, python: str, pg: str) -> list[Package]:
    """Parse config/apt.txt; ``python`` and ``pg`` fill its two blanks."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    filled = [[word.format(python=python, pg=pg) for word in words] for words in lines]
    return [Package(words[0], words[1], tuple(words[2:])) for words in filled]


def installed_postgresql() -> list[int]:
    """Return the major versions whose server and PostGIS are both installed, newest first."""
    found = [
        int(path.parts[-3]) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if path.parts[-3].isdigit()
    ]
    with_postgis = [
        major for major in found if Path(f"/usr/share/postgresql/{major}/extension/postgis.control").exists()
    ]
    return sorted((major for major in with_postgis if major >= OLDEST_POSTGRESQL), reverse=True)


def offered_postgresql() -> str:
    """Return the major version the distribution's own package ``postgresql`` stands for; 15 if apt cannot tell."""
    try:
        asked = subprocess.run(["apt-cache", "depends", "postgresql"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "15"
    match = re.search(r"Depends: postgresql-(\d+)", asked.stdout)
    return match[1] if match else "15"


def known_to_apt(name: str) -> bool:
    shown = subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True, check=False).stdout
    return bool(re.search(r"Candidate: (?!\(none\))", shown))


def is_ubuntu() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and re.search(r"^ID=ubuntu$", release.read_text(), re.MULTILINE) is not None


def privilege() -> list[str] | None:
    """Return the prefix that makes a command root's: nothing, sudo, or None when there is no way."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    silent = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    if silent:
        return ["sudo", "-n"]
    return ["sudo"] if sys.stdin.isatty() else None


def missing_packages(*, own_database: bool) -> list[Package]:
    """List what is not there; the database server is not needed when one is given."""
    majors = installed_postgresql()
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    packages = read_list(LIST.read_text(encoding="utf-8"), python=python, pg=str(majors[0]) if majors else "{pg}")
    return [
        package
        for package in packages
        if not (DATABASE.match(package.name) and (majors or not own_database))
        and not package.is_there()
        and not (package.name == "chromium" and is_ubuntu())
    ]


def ensure_packages(*, own_database: bool) -> None:
    """Install what is missing, as far as this user may.

    :raises Refused: something necessary is missing and cannot be installed.
    """
    missing = missing_packages(own_database=own_database)
    if not missing:
        return
    prefix = privilege() if shutil.which("apt-get") else None
    if prefix is not None:
        say("更新软件包目录", "updating the package lists")
        run_network_step([*prefix, "apt-get", "update", "-q"], LOG, "apt-get update")
    pg = offered_postgresql()
    names = [package.name.format(pg=pg) for package in missing]
    command = ["apt-get", "install", "-y", "--no-install-recommends"]
    if prefix is not None:
        unknown = [name for name in names if not known_to_apt(name)]
        names = [name for name in names if name not in unknown]
        if unknown:
            say(
                f"本发行版没有这些软件包，已跳过：{' '.join(unknown)}",
                f"not in this distribution, left out: {' '.join(unknown)}",
            )
        if names:
            say(
                f"安装系统软件包（约 1–4 分钟）：{' '.join(names)}",
                f"installing packages (1-4 minutes): {' '.join(names)}",
            )
            quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
            wait = ["-q", "-o", "DPkg::Lock::Timeout=300"]
            run_network_step([*prefix, *quiet, *command, *wait, *names], LOG, "apt-get install")
    importlib.invalidate_caches()
    still = missing_packages(own_database=own_database)
    by_hand = f"sudo {' '.join(command)} {' '.join(package.name.format(pg=pg) for package in still)}"
    necessary = [package.name.format(pg=pg) for package in still if package.need == "run"]
    if necessary:
        raise Refused(
            f"缺少 {' '.join(necessary)} 且当前用户无权安装，请由管理员执行：{by_hand}"
            "（已有 PostgreSQL+PostGIS 数据库时也可设置 FLEET_DATABASE_URL）",
            f"{' '.join(necessary)} missing and this user may not install it: ask an administrator to run: {by_hand}"
            " (or set FLEET_DATABASE_URL to a PostgreSQL with PostGIS that exists).",
        )
    if still:
        say(
            f"未安装、仅影响部分测试和 PDF：{by_hand}",
            f"not installed, only some tests and PDF pages miss it: {by_hand}",
        )
