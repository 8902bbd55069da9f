"""``flask begin``: what a new installation needs before anybody can sign in."""

import secrets

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import func, select

from fleetapp.accounts import service as accounts
from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.approvals import chains
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.places import service as places
from fleetapp.policies import service as policies
from fleetapp.pricing import service as pricing
from fleetapp.workdays import service as workdays

ADMINISTRATORS = (
    ("admin", Role.SYSTEM_ADMIN, "系统管理员", "System administrator"),
    ("security", Role.SECURITY_ADMIN, "安全管理员", "Security administrator"),
    ("audit", Role.AUDIT_ADMIN, "审计管理员", "Audit administrator"),
)
"""Opens accounts, grants roles, reads the log: three persons from the first day on."""


@click.command("begin")
@click.option("--code", required=True, help="Administrative code of the top organisation, such as 330100.")
@click.option("--name-zh", required=True, help="Its Chinese name.")
@click.option("--name-en", required=True, help="Its English name.")
@click.option("--username", default="admin", show_default=True, help="Account of the first system administrator.")
@click.option(
    "--year", "years", multiple=True, type=int, help="Calendar years to load; default: this one and the last."
)
@with_appcontext
def begin(code: str, name_zh: str, name_en: str, username: str, years: tuple[int, ...]) -> None:
    """Load policy figures, calendar and gazetteer, make the top organisation and its three administrators.

    Prints their passwords once: hand them to three persons. Refused where an organisation exists.
    """
    database, now = current_app.extensions["fleet"].database, clock.now()
    this_year = clock.local_date(now).year
    passwords: dict[str, str] = {}
    with database.transaction(SYSTEM) as session:
        if session.scalar(select(func.count()).select_from(Organisation)):
            raise click.ClickException(
                "系统已初始化，请用系统管理员账号登录后在“账号”页添加用户。"
                "This installation has begun: sign in as system administrator and add users on the accounts page."
            )
        policies.load_file(session, actor=SYSTEM, now=now)
        places.load_file(session, actor=SYSTEM, now=now)
        for year in years or (this_year - 1, this_year):
            workdays.load_year(session, year=year, actor=SYSTEM, now=now)
        org = accounts.create_org(session, parent_id=None, code=code, kind=OrgKind.CITY, name_zh=name_zh, name_en=name_en,
                                  adcode=code[:6], actor=SYSTEM, now=now)  # fmt: skip
        session.flush()
        pricing.load_file(session, actor=SYSTEM, now=now)
        chains.load_default(session, actor=SYSTEM, now=now)
        for name, role, zh, en in ADMINISTRATORS:
            first = username if role is Role.SYSTEM_ADMIN else name
            passwords[first] = secrets.token_urlsafe(15)
            accounts.create_user(session, username=first, name_zh=zh, name_en=en, org_id=org.id, password=passwords[first],
                                 grants=[(role, org.id)], actor=SYSTEM, now=now)  # fmt: skip
    for name, password in passwords.items():
        click.echo(f"账号 / account: {name}\n密码 / password: {password}")
