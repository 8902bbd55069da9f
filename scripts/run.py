"""`make run`: set up, start the private database, bring its schema up to date, fill the demo city, keep it all running.

Web pages (FLEET_PORT, 8000), the GPS gateway (FLEET_GATEWAY_PORT, 6808; phones on FLEET_PHONE_PORT, 5055), the
scheduler and simulated terminals. FLEET_HOST is 127.0.0.1. With FLEET_DATABASE_URL no private database is started.
`run.py reset` empties the demo city and fills it anew.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import cluster
from plain import LOGS, PRODUCTION_GUIDE, VAR, Refused, locked, run_main, run_step, say
from processes import Program, Running, answers_http, answers_tcp, is_free, launch, refuse_dead, stop_all, wait_ready
from setup import PYTHON, ROOT, SECRET_KEY, VENV, ensure_everything

PORTS = {"FLEET_PORT": "8000", "FLEET_GATEWAY_PORT": "6808", "FLEET_PHONE_PORT": "5055"}
FLASK = [str(VENV / "bin/flask"), "--app", "wsgi"]
LOG = LOGS / "start.log"


def refuse_production(environ: Mapping[str, str]) -> None:
    if environ.get("FLEET_ENV") == "production":
        raise Refused(
            f"FLEET_ENV=production 时不运行演示环境，正式部署请看 {PRODUCTION_GUIDE}",
            f"FLEET_ENV=production: this command is for demonstrations only, see {PRODUCTION_GUIDE} for operation.",
        )


def read_ports(environ: Mapping[str, str]) -> dict[str, int]:
    """Return the three ports by the name of their setting.

    :raises Refused: not a port number, or the same one twice.
    """
    ports: dict[str, int] = {}
    for name, default in PORTS.items():
        raw = environ.get(name) or default
        if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 65535:
            raise Refused(
                f"{name} 应为 1–65535 的端口号，现为 {raw!r}", f"{name} must be a port from 1 to 65535, it is {raw!r}."
            )
        twin = next((other for other, port in ports.items() if port == int(raw)), None)
        if twin:
            raise Refused(
                f"{name} 与 {twin} 端口相同（{raw}），请改其一", f"{name} and {twin} are both {raw}: change one."
            )
        ports[name] = int(raw)
    return ports


def refuse_taken_ports(host: str, ports: Mapping[str, int], *, patience_s: float = 2.0) -> None:
    """Give programs of a run that was killed a moment to end.

    :raises Refused: a port is in use, or only root may listen on it.
    """
    for name, port in ports.items():
        try:
            free = cluster.wait_until(lambda port=port: is_free(host, port), limit_s=patience_s)
        except PermissionError:
            raise Refused(
                f"当前用户无权使用端口 {port}，请将 {name} 设为 1024 以上",
                f"this user may not listen on port {port}: set {name} to one above 1023.",
            ) from None
        if not free:
            raise Refused(
                f"端口 {port} 已被占用，请先停止占用它的程序（ss -ltnp 可查），或换一个：{name}={port + 1} make run",
                f"port {port} is in use: stop the program that has it (ss -ltnp shows it), or choose another:"
                f" {name}={port + 1} make run",
            )


def child_environment(environ: Mapping[str, str], url: str, ports: Mapping[str, int]) -> dict[str, str]:
    defaults = {"FLEET_HOST": "127.0.0.1", "FLEET_ENV": "development", "FLEET_VAR": str(VAR), "PYTHONUNBUFFERED": "1"}
    key = {} if environ.get("FLEET_SECRET_KEY") else {"FLEET_SECRET_KEY_FILE": str(SECRET_KEY)}
    numbers = {name: str(port) for name, port in ports.items()}
    return {**defaults, **key, **environ, **numbers, "FLEET_DATABASE_URL": url}


def refuse_dead_database(env: Mapping[str, str]) -> None:
    """:raises Refused: the given database does not answer; the sentence never shows its password."""
    program = (
        "import os, psycopg; url = os.environ['FLEET_DATABASE_URL'].replace('+psycopg', '', 1);"
        " psycopg.connect(url, connect_timeout=5).close()"
    )
    asked = subprocess.run([PYTHON, "-c", program], env=dict(env), capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        reason = cluster.last_line(asked.stderr).split(": ", 1)[-1]
        raise Refused(
            f"数据库连接失败（{reason}）：请启动该数据库，或取消 FLEET_DATABASE_URL 以使用私有数据库",
            f"the database does not answer ({reason}): start it, or unset FLEET_DATABASE_URL to use a private one.",
        )


def migrate(env: Mapping[str, str]) -> None:
    status, last = run_step(
        [str(VENV / "bin/alembic"), "-c", "migrations/alembic.ini", "upgrade", "head"], LOG, env=env
    )
    if "Can't locate revision" in last:
        raise Refused(
            "数据库结构比程序新：请更新程序（git pull），或换用另一个数据库",
            "the database has a newer schema than this program: update the program (git pull), or use another database.",
        )
    if status != 0:
        print(last, file=sys.stderr)
        raise Refused(
            f"数据库结构升级失败，原因见上（日志 {LOG}）",
            f"the database could not be upgraded, see above (log: {LOG}).",
        )


def fill(env: Mapping[str, str], command: str) -> None:
    """Run `demo seed` or `demo reset`, showing its progress lines."""
    status = subprocess.call([*FLASK, "demo", command], cwd=ROOT, env=dict(env), stdin=subprocess.DEVNULL)
    if status != 0:
        raise Refused(
            "演示数据生成失败，原因见上；可执行 make demo-reset 重新生成",
            "the demo data could not be made, see above; make demo-reset starts it anew.",
        )


def programs(host: str, ports: Mapping[str, int]) -> list[Program]:
    """Return what runs, in the order it is started."""
    reached = "127.0.0.1" if host in {"0.0.0.0", "::"} else host
    web, gateway, phones = (ports[name] for name in PORTS)
    listen = ["--host", host, "--port", str(gateway), "--http-port", str(phones)]
    return [
        Program(
            "web",
            "网页服务",
            "web server",
            [str(VENV / "bin/gunicorn"), "-c", "config/gunicorn.py", "wsgi:app"],
            lambda: answers_http(f"http://{reached}:{web}/healthz"),
        ),
        Program(
            "gateway",
            "定位网关",
            "GPS gateway",
            [str(PYTHON), "-m", "telematics", "serve", *listen],
            lambda: answers_tcp(reached, gateway) and answers_http(f"http://{reached}:{phones}/healthz"),
        ),
        Program(
            "scheduler",
            "后台任务",
            "scheduler",
            [str(PYTHON), "-m", "fleetapp.scheduler"],
            lambda: "scheduler ready" in (LOGS / "scheduler.log").read_text(encoding="utf-8", errors="replace"),
        ),
    ]


TERMINALS = Program("terminals", "模拟终端", "simulated terminals", [*FLASK, "demo", "live"])


@contextmanager
def database(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the address of the database; a private one is stopped in the end, also one left by a run that was killed."""
    if environ.get("FLEET_DATABASE_URL"):
        yield environ["FLEET_DATABASE_URL"]
        return
    say("启动私有数据库", "starting the private database")
    private, _ = cluster.start_private(test=False)
    try:
        yield cluster.url_of(private)
    finally:
        cluster.stop(private)


def stop_on_signals() -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    # SIGINT as well: a shell without job control starts background commands with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def run() -> int:
    begun = time.monotonic()
    host = os.environ.get("FLEET_HOST") or "127.0.0.1"
    ports = read_ports(os.environ)
    page = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{ports['FLEET_PORT']}/"
    running: list[Running] = []
    with locked("run", wait=False) as lock:
        lock.write_text(f"pid {os.getpid()}, {page}", encoding="utf-8")
        refuse_taken_ports(host, ports)
        ensure_everything(own_database=not os.environ.get("FLEET_DATABASE_URL"))
        with database(os.environ) as url:
            env = child_environment(os.environ, url, ports)
            try:
                refuse_dead_database(env)
                say("检查并升级数据库结构", "bringing the database schema up to date")
                migrate(env)
                say("准备演示数据", "preparing the demo data")
                fill(env, "seed")
                say("启动网页、定位网关、后台任务", "starting web, gateway and scheduler")
                running.extend(launch(program, env) for program in programs(host, ports))
                # Asked while the others start, to save the seconds that loading the application takes.
                with subprocess.Popen([*FLASK, "demo", "logins"], cwd=ROOT, env=env, stdout=subprocess.PIPE) as logins:
                    wait_ready(running)
                    running.append(launch(TERMINALS, env))
                    table = logins.communicate()[0].decode("utf-8", "replace")
                print(f"\n{table.rstrip()}\n", flush=True)
                say(
                    f"就绪（{time.monotonic() - begun:.0f} 秒）：{page}  按 Ctrl-C 停止",
                    f"ready: {page}  Ctrl-C stops it",
                )
                while True:
                    refuse_dead(running)
                    time.sleep(0.5)
            finally:
                ignore_signals()
                if running:
                    say("正在停止", "stopping")
                stop_all(running)


def reset() -> int:
    with locked("run", wait=False) as lock:
        lock.write_text(f"pid {os.getpid()}, make demo-reset", encoding="utf-8")
        ensure_everything(own_database=not os.environ.get("FLEET_DATABASE_URL"))
        with database(os.environ) as url:
            env = child_environment(os.environ, url, read_ports(os.environ))
            refuse_dead_database(env)
            migrate(env)
            fill(env, "reset")
    say("演示数据已重新生成", "the demo data is new")
    return 0


def main() -> int:
    refuse_production(os.environ)
    stop_on_signals()
    if sys.argv[1:] == ["reset"]:
        return reset()
    with suppress(KeyboardInterrupt):
        return run()
    say("已停止", "stopped")
    return 0


if __name__ == "__main__":
    run_main(main)
