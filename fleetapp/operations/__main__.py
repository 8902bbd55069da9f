"""``python -m fleetapp.operations backup|check|restore|prune``: for the bureau's engineer and the timer.

Environment: FLEET_OWNER_DATABASE_URL (a role that reads every row; default FLEET_DATABASE_URL), FLEET_BACKUP_DIR, and the
settings that name files of keys.
"""

import argparse
import os
import sys
from pathlib import Path

import psycopg

from fleetapp.kit import clock
from fleetapp.operations import backup, manifest, restore
from fleetapp.operations.manifest import Refused
from fleetapp.operations.rules import Keep
from fleetapp.web.shell import newest_revision


def main() -> int:
    """Run one command; 0 when it is done, 1 when it is refused, 2 for a wrong command line."""
    args = _parser().parse_args()
    try:
        {"backup": _backup, "check": _check, "restore": _restore, "prune": _prune}[args.command](args)
    except Refused as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        said = str(error).splitlines()[0]
        print(f"✗ 数据库无法连接 / the database cannot be reached: {said}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleetapp.operations", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    root = os.environ.get("FLEET_BACKUP_DIR")
    made = commands.add_parser("backup", help="备份 / make a backup")
    made.add_argument("--to", type=Path, default=root, required=root is None, help="folder of backups")
    made.add_argument(
        "--with-keys", action="store_true", help="copy the files of secret keys too: keep the folder secret"
    )
    checked = commands.add_parser("check", help="校验一份备份的文件 / read every file of a backup")
    checked.add_argument("--from", type=Path, dest="folder", required=True, help="the backup")
    back = commands.add_parser("restore", help="恢复到空库 / restore into an absent or empty database")
    back.add_argument("--from", type=Path, dest="folder", required=True, help="the backup")
    back.add_argument("--archive-dir", type=Path, help="put archive files here instead of where they were")
    pruned = commands.add_parser("prune", help="清理旧备份 / remove backups that the rotation does not keep")
    pruned.add_argument("--in", type=Path, dest="root", default=root, required=root is None, help="folder of backups")
    for name in ("daily", "weekly", "monthly"):
        pruned.add_argument(f"--{name}", type=int, default=getattr(Keep(), name))
    for one in (made, back):
        one.add_argument("--database-url", help="default: FLEET_OWNER_DATABASE_URL, FLEET_DATABASE_URL")
    return parser


def _url(args: argparse.Namespace) -> str:
    url = args.database_url or os.environ.get("FLEET_OWNER_DATABASE_URL") or os.environ.get("FLEET_DATABASE_URL")
    if not url:
        raise Refused("没有数据库地址：请设置 FLEET_OWNER_DATABASE_URL", "no database: set FLEET_OWNER_DATABASE_URL")
    return str(url)


def _backup(args: argparse.Namespace) -> None:
    keys = {name: os.environ[name] for name in backup.KEYS if os.environ.get(name)}
    made = backup.create(_url(args), args.to, now=clock.now(), keys=keys, with_keys=args.with_keys)
    facts = manifest.read(made).facts
    print(f"{made}  {sum(facts.rows.values())} 行 / rows, {len(facts.archive)} 个归档文件 / archive files, "
          f"审计链 / audit chain {facts.chain_seq} {facts.chain_hash[:16]}")  # fmt: skip


def _check(args: argparse.Namespace) -> None:
    manifest.check_files(args.folder, manifest.read(args.folder))
    print("备份完整 / the backup is whole")


def _restore(args: argparse.Namespace) -> None:
    found = restore.restore(args.folder, _url(args), revision=newest_revision(), archive_dir=args.archive_dir)
    missing = [key.setting for key in found.keys if not Path(os.environ.get(key.setting, "/nonexistent")).is_file()]
    print("已恢复，行数、审计链、文件均与清单一致 / restored: rows, audit chain and files are as the manifest says")
    if missing:
        print(f"请放回密钥文件 / put the files of keys back: {', '.join(missing)}")


def _prune(args: argparse.Namespace) -> None:
    for path in backup.prune(args.root, keep=Keep(args.daily, args.weekly, args.monthly)):
        print(f"已删除 / removed {path}")


if __name__ == "__main__":
    sys.exit(main())
