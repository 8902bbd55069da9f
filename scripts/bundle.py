"""`make bundle`: everything for a machine without a network, in one folder with the SHA-256 of every file.

Wheels of the locked run-time packages, the program with its built pages, with DEBS=yes Debian packages with all they need,
and the script that checks and installs. The machine it is made on must have the same Python version, processor and, for
DEBS, the same release of the distribution as the one it is for.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from plain import LOGS, ROOT, VAR, Refused, run_main, run_network_step, say
from setup import DIST, PYTHON, ensure_everything

LOG = LOGS / "bundle.log"
SUMS = "SHA256SUMS"
SERVERS = ("nginx", "postgresql-client", "python3-venv")
"""Wanted on a server besides what config/apt.txt says is needed to run."""


def program_files() -> list[Path]:
    """Return what git knows of the project, without the tests, and the built pages."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise Refused("需要 git 仓库才能打包", "the bundle is made from a git checkout")
    known = [ROOT / name for name in listed.stdout.split("\0") if name]
    built = [path for path in DIST.rglob("*") if path.is_file()]
    left_out = {ROOT / "tests", ROOT / "benchmarks", ROOT / ".ci"}
    return sorted(path for path in {*known, *built} if path.is_file() and not left_out & set(path.parents))


def refuse_unsaved() -> None:
    """:raises Refused: files that git does not know would be left out, and the program might not start."""
    said = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    if changed := said.stdout.splitlines():
        raise Refused(
            f"有未提交的改动（{changed[0].strip()} 等 {len(changed)} 项），请先提交再打包",
            f"{len(changed)} changes are not committed, first {changed[0].strip()}: commit them before making the bundle",
        )


def pack_program(folder: Path, files: Sequence[Path]) -> None:
    """Write app.tar; owners and times are left out, so that the same commit gives the same file."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(folder / "app.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            archive.add(path, f"app/{path.relative_to(ROOT)}", filter=plain)


def fetch_wheels(folder: Path, requirements: Path) -> None:
    """Download the locked packages; a source package is refused, because a closed machine could not build it."""
    command = [str(PYTHON), "-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    run_network_step([*command, "--dest", str(folder / "wheels"), "-r", str(requirements)], LOG, "pip download")


def wanted_debs() -> list[str]:
    """Return the packages that a server needs to run."""
    from packages import LIST, offered_postgresql, read_list

    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    words = LIST.read_text(encoding="utf-8")
    needed = [one.name for one in read_list(words, python=python, pg=offered_postgresql()) if one.need == "run"]
    return [*needed, "libharfbuzz-subset0", "fonts-noto-cjk", *SERVERS]


def with_dependencies(names: Sequence[str]) -> list[str]:
    """Return packages with everything they depend on, as a machine that has nothing would need them."""
    options = ["--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"]
    said = subprocess.run(["apt-cache", "depends", "--recurse", *options, *names], capture_output=True, text=True, check=False)  # fmt: skip
    if said.returncode != 0:
        raise Refused(f"apt-cache 失败：{said.stderr.strip()}", f"apt-cache failed: {said.stderr.strip()}")
    return sorted({line for line in said.stdout.splitlines() if line and line[0].isalnum()})


def fetch_debs(folder: Path) -> None:
    debs = folder / "debs"
    debs.mkdir()
    names = with_dependencies(wanted_debs())
    say(f"下载 {len(names)} 个系统软件包", f"downloading {len(names)} packages of the distribution")
    done = subprocess.run(["apt-get", "download", "-qq", *names], cwd=debs, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise Refused(f"系统软件包下载失败：{reason}", f"packages could not be downloaded: {reason}")


def write_sums(folder: Path) -> int:
    """Write the SHA-256 of every file of the bundle; returns how many there are."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = []
    for path in files:
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return len(files)


def make(folder: Path, *, requirements: Path, debs: bool) -> int:
    """Make the bundle in a new folder; returns how many files it has."""
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "wheels").mkdir(parents=True)
    say("下载 Python 依赖", "downloading the Python packages")
    fetch_wheels(draft, requirements)
    if debs:
        fetch_debs(draft)
    pack_program(draft, program_files())
    shutil.copy(ROOT / "deploy/install.sh", draft / "install.sh")
    (draft / "PYTHON").write_text(f"{sys.version_info[0]}.{sys.version_info[1]}\n", encoding="ascii")
    count = write_sums(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return count


def main() -> int:
    refuse_unsaved()
    ensure_everything(own_database=False)
    folder = Path(os.environ.get("TO") or VAR / "bundle")
    folder.parent.mkdir(parents=True, exist_ok=True)
    requirements = ROOT / "requirements/main.txt"
    count = make(folder.resolve(), requirements=requirements, debs=os.environ.get("DEBS") == "yes")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    say(f"安装包 {folder}：{count} 个文件，{size >> 20} MB", f"bundle {folder}: {count} files, {size >> 20} MB")
    return 0


if __name__ == "__main__":
    run_main(main)
