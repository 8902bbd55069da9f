"""Every figure that alerts and dashboard name is one that the programs give; none is given to the public or names anybody."""

import json
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fleetapp.factory import create_app
from fleetapp.operations import figures
from fleetapp.settings import Settings
from telematics.gateway.metrics import registry
from telematics.gateway.writer import GroupWriter
from tests import serving

ROOT = serving.ROOT
NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
TOKEN = {"Authorization": "Bearer figures-of-the-tests"}


@pytest.fixture
def watched(database_url, database):
    """The application with a token for its figures."""
    app = create_app(Settings(database_url=database_url, secret_key="only for tests", metrics_token=TOKEN["Authorization"][7:]), database)  # fmt: skip
    app.testing = True
    return app.test_client()


def samples(text):
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def named_in_deploy():
    """Names of figures in rules and dashboard, by where they stand."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    board = json.loads((ROOT / "deploy/grafana/fleet.json").read_text(encoding="utf-8"))
    said = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    said |= {panel["title"]: target["expr"] for panel in board["panels"] for target in panel["targets"]}
    return {place: set(re.findall(r"\bfleet_\w+", expression)) for place, expression in said.items()}


def test_alerts_and_dashboard_name_only_figures_that_there_are(watched, database, tmp_path):
    watched.get("/healthz")
    figures.note_job("trips", elapsed_s=0.1, failed="")
    given = {sample.name for sample in samples(watched.get("/metrics", headers=TOKEN).text)}
    given |= {sample.name for sample in samples(generate_latest(figures.JOBS).decode())}
    collector = figures.DatabaseCollector(database, lambda: NOW, str(tmp_path))
    given |= {sample.name for metric in collector.collect() for sample in metric.samples}
    writer = GroupWriter(None, clock=lambda: NOW)
    given |= {sample.name for sample in samples(generate_latest(registry(writer, lambda: 0)).decode())}
    # The pool is measured on an engine, not on the connection of a test that is rolled back.
    given |= {"fleet_db_pool_in_use", "fleet_db_pool_most"}
    wanted = named_in_deploy()
    assert len(wanted) > 30
    assert {place: names - given for place, names in wanted.items() if names - given} == {}


def test_figures_are_for_whoever_has_the_token(watched, app):
    assert watched.get("/metrics").status_code == 404
    assert watched.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 404
    assert watched.get("/metrics", headers=TOKEN).status_code == 200
    assert app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404  # none set


def test_figures_name_routes_and_no_path_that_somebody_asked_for(watched):
    watched.get("/vehicles/4711")
    watched.get("/浙A10001-does-not-exist")
    watched.open("/sign-in", method="PROPFIND13900000001")
    text = watched.get("/metrics", headers=TOKEN).text
    said = [sample.name + str(sample.labels) for sample in samples(text)]  # not the values: times hold any four figures
    for asked in ("4711", "浙A", "13900000001"):
        assert [words for words in said if asked in words] == []
    routes = {sample.labels["route"] for sample in samples(text) if sample.name == "fleet_http_responses_total"}
    assert {"/vehicles/<int:vehicle_id>", "(none)"} <= routes


def test_a_database_that_is_away_is_a_figure_too(live_database, live_database_url, cluster_url):
    live_database.engine.dispose()
    with psycopg.connect(cluster_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{urlsplit(live_database_url).path[1:]}" WITH (FORCE)')
    found = list(figures.DatabaseCollector(live_database, lambda: NOW).collect())
    assert [(metric.name, metric.samples[0].value) for metric in found] == [("fleet_database_up", 0)]
