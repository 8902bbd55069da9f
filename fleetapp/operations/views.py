"""``/readyz`` for load balancers and engineers, ``/metrics`` for Prometheus with a token."""

import hmac
import os
import shutil
import tempfile
from typing import Any

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess
from sqlalchemy.exc import SQLAlchemyError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotFound
from fleetapp.operations import figures, queries, rules
from fleetapp.operations.rules import Check, Disk, Found
from fleetapp.web.request import bearer, now, shell
from fleetapp.web.shell import newest_revision
from fleetapp.web.texts import t

blueprint = Blueprint("operations", __name__)


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Tell part by part how the system is; 503 when requests should go elsewhere, with ``?strict`` also when somebody is needed."""
    checks = rules.judge(_found(), _disks(), needed=newest_revision(), now=now())
    state = rules.overall(checks)
    unfit = {"unready", "degraded"} if "strict" in request.args else {"unready"}
    return jsonify(status=state, checks=[_said(check) for check in checks]), 503 if state in unfit else 200


def _found() -> Found | None:
    try:
        with shell().database.transaction(SYSTEM) as session:
            return queries.found(session, needed=newest_revision())
    except SQLAlchemyError:
        return None


def _disks() -> list[Disk]:
    """Return the file systems that uploads, reports and the archive of positions need, each once."""
    paths = [tempfile.gettempdir(), *filter(None, [shell().settings.archive_dir])]
    found: dict[int, Disk] = {}
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112
            usage = shutil.disk_usage(path)
            found.setdefault(os.stat(path).st_dev, Disk(path, usage.free, usage.total))  # noqa: PTH116
        else:
            found[-1] = Disk(path, 0, 0)
    return list(found.values())


def _said(check: Check) -> dict[str, Any]:
    key = f"operations.check.{check.name}.{check.case}"
    words = {lang: t(key, lang=lang, **check.params) for lang in ("zh", "en")}
    return {"name": check.name, "status": check.status, **words}


@blueprint.get("/metrics")
def metrics() -> Response:
    """Give the figures of all workers to whoever has the token; to others there is no such page."""
    wanted, given = shell().settings.metrics_token, bearer() or ""
    if not wanted or not hmac.compare_digest(wanted.encode(), given.encode()):
        raise NotFound("kit.not_found")
    registry: Any = figures.WEB
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
