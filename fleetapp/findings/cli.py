"""``flask findings rerun``: rules over the past with other figures, of any size."""

from datetime import datetime, timedelta

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import select

from fleetapp.accounts.models import Organisation
from fleetapp.findings import rerun as reruns
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import RuleBroken
from fleetapp.trips.roads import Roads

group = AppGroup("findings", help="Compliance rules.")


@group.command("rerun")
@click.option(
    "--org", "path", default="/", help="Tree path of the organisation, all vehicles below it; / is everything."
)
@click.option("--from", "start", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First local day.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last local day.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    required=True,
    help="A figure and its value, A-01.min_km=1; more than one may be given.",
)
@click.option("--rule", "only", multiple=True, help="Ask these rules only.")
def rerun(path: str, start: datetime, last: datetime, changes: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Run rules over a past period with other figures; print and keep what would change, touch no clue."""
    given = dict(change.partition("=")[::2] for change in changes)
    try:
        fleet = current_app.extensions["fleet"]
        with fleet.database.transaction(SYSTEM) as session:
            query = (
                select(Organisation)
                .where(Organisation.path.startswith(path, autoescape=True))
                .order_by(Organisation.path)
                .limit(1)
            )
            org = session.scalar(query)
            if org is None:
                raise click.ClickException(f"No organisation below {path} / {path} 下没有单位")
            run = reruns.run(
                session, org=org, start_on=start.date(), end_on=last.date() + timedelta(days=1), changes=reruns.check_changes(given),
                only=only, actor=SYSTEM, now=clock.now(), roads=Roads(fleet.settings.osrm_url), limited=False,
            )  # fmt: skip
            counts, by_rule, number = run.result["counts"], run.result["by_rule"], run.id
    except RuleBroken as error:
        raise click.ClickException(f"{error.code} {error.params}") from error
    click.echo(
        f"#{number}: new {counts['new']}, gone {counts['gone']}, colour {counts['recoloured']} / 新增、消失、变级"
    )
    for rule, one in by_rule.items():
        click.echo(f"{rule}  {one['before']} -> {one['after']}")
