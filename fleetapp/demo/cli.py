"""``flask demo seed|reset|remove|live|logins``: the demo city, refused in production."""

import asyncio
import os
import sys
from pathlib import Path

import click
from alembic import command
from alembic.config import Config
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import func, select, text

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.demo import bridge, people, removal, seed
from fleetapp.demo.live import position_stream
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.kit.db import Base, Database, make_engine, missing_columns
from fleetapp.settings import Settings
from fleetapp.web.texts import t

group = AppGroup("demo", help="The demo city; refused in production.")
PASSWORD = "fleet-demo-2026"  # noqa: S105 -- printed on purpose, and refused in production
ROOT = Path(__file__).parents[2]


def _refuse_production() -> tuple[Database, Settings]:
    shell = current_app.extensions["fleet"]
    if shell.settings.production:
        raise click.ClickException(
            "生产环境不允许使用演示数据。Demo data is refused in production (FLEET_ENV=production)."
        )
    return shell.database, shell.settings


def _is_there(database: Database) -> bool:
    with database.transaction(SYSTEM) as session:
        return bool(session.scalar(select(func.count()).select_from(Organisation)))


@group.command("seed")
@click.option("--days", default=30, show_default=True, help="Local days of history, today included.")
@click.option("--orders-per-day", default=18, show_default=True)
def seed_command(days: int, orders_per_day: int) -> None:
    """Fill an empty database with the demo city; does nothing where there is one."""
    database, _ = _refuse_production()
    if _is_there(database):
        with database.transaction(SYSTEM) as session:
            if lacking := missing_columns(session, Base.metadata):
                raise click.ClickException(
                    f"数据库由另一版本的程序建立（缺少 {lacking[0]}），请运行 make demo-reset。"
                    f"The database was made by another version of this program (it lacks {lacking[0]}): run make demo-reset."
                )
        try:
            seed.told_again(database)
        except LookupError as error:
            raise click.ClickException(str(error)) from error
        click.echo("演示数据已存在 / the demo data is there")
        return
    seed.fill(database, now=clock.now().replace(microsecond=0), password=PASSWORD,
              size=seed.Size(days=days, orders_per_day=orders_per_day), say=click.echo)  # fmt: skip


def _empty(database: Database, settings: Settings) -> None:
    """Make the schema anew, in one transaction: as its owner."""
    database.engine.dispose()  # type: ignore[union-attr]
    owner = make_engine(settings.database_url, role=None)
    with owner.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        config = Config(ROOT / "migrations" / "alembic.ini")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    owner.dispose()


@group.command("reset")
@click.pass_context
def reset(context: click.Context) -> None:
    """Empty the database and fill it anew."""
    _empty(*_refuse_production())
    context.invoke(seed_command)


@group.command("remove")
@click.option("--yes", is_flag=True, help="不再询问 / do not ask")
def remove(yes: bool) -> None:
    """Turn the demo city into an empty system; refused where anything else than the demo was entered."""
    database, settings = _refuse_production()
    with database.transaction(SYSTEM) as session:
        try:
            real = removal.not_of_the_demo(session)
        except LookupError as error:
            raise click.ClickException(str(error)) from error
    if real:
        named = "、".join(f"{table} {names}" for table, names in real.items())
        raise click.ClickException(
            f"有不属于演示的数据，未做任何改动：{named}。请先备份（make backup）；正式数据请另建数据库。"
            f"There is data that is not the demo's, nothing was changed: {named}. Back it up (make backup); keep real data in a database of its own."
        )
    if not yes:
        click.confirm("将清除全部演示数据，无法恢复，继续？ / All demo data will be gone for good. Go on?", abort=True)
    _empty(database, settings)
    click.echo(
        "演示数据已清除，系统为空；下一步 flask --app wsgi begin / the demo is gone, the system is empty; next: flask --app wsgi begin"
    )
    if settings.archive_dir:
        click.echo(
            f"归档目录中的演示定位文件请自行删除 / delete the demo's files of positions yourself: {settings.archive_dir}"
        )


@group.command("live")
@click.option("--host", default=lambda: os.environ.get("FLEET_GATEWAY_HOST", "127.0.0.1"))
@click.option("--port", default=lambda: int(os.environ.get("FLEET_GATEWAY_PORT", "6808")), type=int)
def live(host: str, port: int) -> None:
    """Be the city's terminals: send positions over JT/T 808 as they fall due, until stopped."""
    database, _ = _refuse_production()
    try:
        demo = seed.told_again(database)
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    now = clock.now()
    people.keep_on_the_road(database, demo.story, now=now)
    click.echo("simulated terminals running")

    def renew() -> None:
        people.keep_on_the_road(database, demo.story, now=clock.now())

    stream = position_stream(demo.city, demo.story, demo.roads, now=now)
    try:
        asyncio.run(bridge.send_live(stream, host=host, port=port, meanwhile=renew))
    except KeyboardInterrupt:
        sys.exit(0)


@group.command("logins")
def logins() -> None:
    """Print one account a role."""
    database, _ = _refuse_production()
    with database.transaction(SYSTEM) as session:
        rows = session.execute(
            select(RoleGrant.role, UserAccount.username, UserAccount.name_zh, UserAccount.name_en)
            .join(UserAccount, UserAccount.id == RoleGrant.user_id)
            .join(Organisation, Organisation.id == RoleGrant.org_id)
            .order_by(func.length(Organisation.path), UserAccount.id)
        ).all()
    busy = _drivers_with_work(database)
    shown: dict[str, tuple[str, str, str]] = {}
    for role, username, name_zh, name_en in rows:
        if role == Role.DRIVER and busy and username not in busy:
            continue
        shown.setdefault(role, (username, name_zh, name_en))
    for role in Role:
        if role in shown:
            username, name_zh, name_en = shown[role]
            click.echo(
                f"  {username:<28}{t(f'accounts.role.{role}', lang='zh')} / {t(f'accounts.role.{role}', lang='en')}  ({name_zh} / {name_en})"
            )
    click.echo(f"密码 / password: {PASSWORD}")


def _drivers_with_work(database: Database) -> set[str]:
    query = """SELECT u.username FROM assignment a JOIN driver d ON d.id = a.driver_id JOIN user_account u ON u.id = d.user_id
               JOIN travel_order o ON o.id = a.order_id WHERE a.state = 'ACTIVE' AND o.state IN ('DISPATCHED', 'DRIVER_ACCEPTED')"""
    with database.transaction(SYSTEM) as session:
        return set(session.scalars(text(query)))
