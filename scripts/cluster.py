"""A private PostgreSQL cluster of this clone: ``cluster.py start|stop|status|url [--test]``.

It listens on a Unix socket only, in a folder that nobody else may enter; on it every local user of this clone is
trusted as ``postgres``. ``var/pg`` keeps its data safely, ``var/pg-test`` (``--test``) quickly: it may be thrown away.

PostgreSQL refuses to run as root: root starts it as user ``postgres``. Where that user cannot enter the clone (a home
folder of mode 0700, say) the cluster is kept in ``/var/lib/fleet-<digest of the path>`` and ``var/pg`` points to it.
A socket's path may have 107 bytes: in a deep clone the socket's folder is ``/tmp/fleet-<digest>`` instead.
"""

import argparse
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packages import installed_postgresql
from plain import ROOT, VAR, Refused, locked, run_main, tail

DATABASE = "fleet"
SOCKET_PATH_MAX_BYTES = 107
DURABLE = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_locks_per_transaction": "256",  # positions lie in a partition a day, each with its indexes
}
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@dataclass(frozen=True)
class Cluster:
    """Where a cluster lives and who runs it; ``user`` is None for the user of this process."""

    home: Path
    socket: Path
    user: str | None
    disposable: bool

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def owner_uid(self) -> int:
        return pwd.getpwnam(self.user).pw_uid if self.user else os.geteuid()


def server_user() -> str | None:
    """Return the user the server runs as: None for ourselves, ``postgres`` when we are root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise Refused(
            "PostgreSQL 不能以 root 运行且系统没有 postgres 用户：请执行 useradd -r postgres",
            "PostgreSQL does not run as root and there is no user postgres: run useradd -r postgres.",
        ) from None
    return "postgres"


def run_as(user: str | None, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as a user, in a folder everyone may enter, with a plain locale."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    who = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    # stderr goes with stdout, into a pipe that the server must not inherit: pg_ctl gives it the log file instead.
    return subprocess.run(
        command, cwd="/", env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **who
    )


def can_enter(user: str | None, folder: Path) -> bool:
    return user is None or run_as(user, ["test", "-x", str(folder)]).returncode == 0


def choose_home(place: Path, user: str | None) -> Path:
    """Return the folder a cluster at ``place`` (var/pg) is really kept in."""
    if place.is_symlink():
        return place.resolve()
    if can_enter(user, place.parent):
        return place
    return Path("/var/lib") / f"fleet-{path_digest(place.parent.parent)}" / place.name


def choose_socket(home: Path) -> Path:
    """Return the folder of the socket: next to the data when its path is short and plain enough."""
    inside = home / "sock"
    fits = len(os.fsencode(inside / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX_BYTES
    return inside if fits and not set(str(inside)) & set(",\"'\\ ") else Path("/tmp") / f"fleet-{path_digest(home)}"


def path_digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def find_cluster(*, test: bool, var: Path = VAR) -> Cluster:
    user = server_user()
    var.mkdir(exist_ok=True)
    home = choose_home(var / ("pg-test" if test else "pg"), user)
    return Cluster(home, choose_socket(home), user, disposable=test)


def url_of(cluster: Cluster) -> str:
    """Return the address of the application's database; tests make their own from the one called postgres."""
    database = "postgres" if cluster.disposable else DATABASE
    return f"postgresql://postgres@/{database}?host={urllib.parse.quote(str(cluster.socket))}"


def programs(cluster: Cluster) -> Path:
    """Return the folder of the PostgreSQL programs: of the version that made the data, else the newest with PostGIS."""
    version_file = cluster.data / "PG_VERSION"
    majors = installed_postgresql()
    if version_file.exists():
        made_by = version_file.read_text(encoding="ascii").strip()
        if made_by.isdigit() and int(made_by) in majors:
            return Path("/usr/lib/postgresql") / made_by / "bin"
        if not cluster.disposable:
            here = "、".join(map(str, majors)) or "-"
            raise Refused(
                f"{cluster.data} 由 PostgreSQL {made_by} 建立，本机只有 {here}："
                f"请安装 postgresql-{made_by}-postgis-3，或将该目录移走后重新生成演示数据",
                f"{cluster.data} was made by PostgreSQL {made_by}, here is {here}:"
                f" install postgresql-{made_by}-postgis-3, or move that folder away to start anew.",
            )
        wipe(cluster)
    if not majors:
        raise Refused(
            "本机没有带 PostGIS 的 PostgreSQL：请执行 make setup，或设置 FLEET_DATABASE_URL",
            "There is no PostgreSQL with PostGIS here: run make setup, or set FLEET_DATABASE_URL.",
        )
    return Path("/usr/lib/postgresql") / str(majors[0]) / "bin"


def server_pid(cluster: Cluster) -> int | None:
    """Return the server's process, None when none runs; a pid file whose process is another program is stale."""
    try:
        pid = int((cluster.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError, IndexError):
        return None
    return pid if os.fsencode(cluster.data) in words else None


def has_leftovers(cluster: Cluster) -> bool:
    """Tell whether processes of a server that was killed still work in the data folder; they notice and end soon."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(cluster.data):
                return True
        except OSError:
            continue
    return False


def is_ready(cluster: Cluster) -> bool:
    if server_pid(cluster) is None:
        return False
    asked = [programs(cluster) / "pg_isready", "-q", "-h", cluster.socket]
    return run_as(None, [str(word) for word in asked]).returncode == 0


def make_folder(path: Path, mode: int, cluster: Cluster) -> None:
    """Make a folder of the server's own; one of another owner (put there to be tricked into) is refused."""
    if not path.exists() and not path.is_symlink():
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)
        path.mkdir(mode=mode)
        os.chown(path, cluster.owner_uid, -1)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != cluster.owner_uid:
        raise Refused(
            f"{path} 属于其他用户，数据库无法使用：请删除它，或用原来的用户运行",
            f"{path} belongs to another user: remove it, or run as the user who made it.",
        )
    path.chmod(mode)


def wipe(cluster: Cluster) -> None:
    if not cluster.disposable:
        raise AssertionError(cluster)
    shutil.rmtree(cluster.data, ignore_errors=True)


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def write_settings(cluster: Cluster) -> None:
    """Write our settings anew at every start, because the socket's folder moves with the clone."""
    settings = {**DURABLE, **(FAST if cluster.disposable else {}), "unix_socket_directories": str(cluster.socket)}
    path = cluster.data / "fleet.conf"
    path.write_text("".join(f"{name} = {quoted(value)}\n" for name, value in settings.items()), encoding="utf-8")
    os.chown(path, cluster.owner_uid, -1)


def make_data(cluster: Cluster) -> None:
    if (cluster.data / "PG_VERSION").exists():
        return
    # What an interrupted initdb left behind holds nothing yet.
    shutil.rmtree(cluster.data, ignore_errors=True)
    command = [programs(cluster) / "initdb", "-D", cluster.data, "-U", "postgres", "-A", "trust"]
    options = ["--encoding=UTF8", "--locale=C.UTF-8", *(["--no-sync"] if cluster.disposable else [])]
    made = run_as(cluster.user, [*map(str, command), *options])
    if made.returncode != 0:
        shutil.rmtree(cluster.data, ignore_errors=True)
        raise Refused(
            f"数据库初始化失败：{last_line(made.stdout + made.stderr)}",
            f"initdb failed: {last_line(made.stdout + made.stderr)}; see that {cluster.home} can be written to.",
        )
    with (cluster.data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude 'fleet.conf'\n")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "?"


def wait_until(holds: Callable[[], bool], *, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def launch(cluster: Cluster) -> bool:
    write_settings(cluster)
    wait_until(lambda: not has_leftovers(cluster), limit_s=10)
    if not has_leftovers(cluster):
        # Its process number may have gone to another program by now, which PostgreSQL would take for a running server.
        for left in [cluster.data / "postmaster.pid", *cluster.socket.glob(".s.PGSQL.*")]:
            left.unlink(missing_ok=True)
    command = [programs(cluster) / "pg_ctl", "start", "-w", "-s", "-t", "60", "-D", cluster.data, "-l", cluster.log]
    return run_as(cluster.user, [str(word) for word in command]).returncode == 0


def ensure_database(cluster: Cluster) -> None:
    psql = [
        str(programs(cluster) / "psql"),
        "-X",
        "-h",
        str(cluster.socket),
        "-U",
        "postgres",
        "-d",
        "postgres",
        "-Atc",
    ]
    if run_as(None, [*psql, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"]).stdout.strip() != "1":
        made = run_as(None, [*psql, f"CREATE DATABASE {DATABASE}"])
        if made.returncode != 0:
            reason = last_line(made.stderr)
            raise Refused(f"无法建立数据库 {DATABASE}：{reason}", f"the database {DATABASE} cannot be made: {reason}")


def start(cluster: Cluster, *, link: Path | None = None) -> bool:
    """Start the cluster if it does not run, making it first if need be; tells whether this call started it.

    :raises Refused: it cannot be started; the sentence says why.
    """
    if is_ready(cluster):
        return False
    if server_pid(cluster) is not None:
        if wait_until(lambda: is_ready(cluster), limit_s=30):
            return False
        stop(cluster)
    make_folder(cluster.home, 0o755, cluster)
    make_folder(cluster.socket, 0o700, cluster)
    if link is not None and link != cluster.home and not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(cluster.home)
    make_data(cluster)
    if not launch(cluster):
        if not cluster.disposable:
            print(tail(cluster.log), file=sys.stderr)
            raise Refused(
                f"私有数据库无法启动，原因见上（日志 {cluster.log}）",
                f"the private database does not start, see above (log: {cluster.log}).",
            )
        # Kept without fsync, it does not survive a power cut; it holds nothing but test data.
        wipe(cluster)
        make_data(cluster)
        if not launch(cluster):
            print(tail(cluster.log), file=sys.stderr)
            raise Refused(
                f"测试数据库无法启动，原因见上（日志 {cluster.log}）",
                f"the test database does not start, see above (log: {cluster.log}).",
            )
    if not cluster.disposable:
        ensure_database(cluster)
    return True


def stop(cluster: Cluster) -> bool:
    """Stop the server, roughly if it does not answer within 30 s; tells whether one ran."""
    if server_pid(cluster) is None:
        return False
    command = [str(programs(cluster) / "pg_ctl"), "stop", "-w", "-s", "-D", str(cluster.data)]
    if run_as(cluster.user, [*command, "-t", "30", "-m", "fast"]).returncode != 0:
        run_as(cluster.user, [*command, "-t", "10", "-m", "immediate"])
    return True


def start_private(*, test: bool) -> tuple[Cluster, bool]:
    """Start this clone's cluster; two callers at once wait for each other. Tells whether this call started it."""
    with locked("cluster", wait=True):
        cluster = find_cluster(test=test)
        return cluster, start(cluster, link=VAR / ("pg-test" if test else "pg"))


def main() -> int:
    parser = argparse.ArgumentParser(description="private PostgreSQL cluster of this clone")
    parser.add_argument("command", choices=["start", "stop", "status", "url"])
    parser.add_argument("--test", action="store_true", help="the cluster of the tests (var/pg-test)")
    args = parser.parse_args()
    if args.command == "start":
        print(url_of(start_private(test=args.test)[0]))
        return 0
    cluster = find_cluster(test=args.test)
    if args.command == "url":
        print(url_of(cluster))
    elif args.command == "stop":
        print("stopped" if stop(cluster) else "was not running")
    else:
        ready = is_ready(cluster)
        print(f"running at {url_of(cluster)}" if ready else f"not running ({ROOT.name}, {cluster.home})")
        return 0 if ready else 3
    return 0


if __name__ == "__main__":
    run_main(main)
