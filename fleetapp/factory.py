"""Makes the application from settings."""

import click
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.middleware.proxy_fix import ProxyFix

from fleetapp import wiring
from fleetapp.begin import begin
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine, missing_columns
from fleetapp.operations import figures
from fleetapp.settings import Settings, load
from fleetapp.web import display, errors, request, security, shell


def create_app(settings: Settings | None = None, database: Database | None = None) -> Flask:
    """Return the application. Tests pass both arguments; servers pass none and the environment decides."""
    settings = settings or load()
    if database is None:
        database = Database(make_engine(settings.database_url, pool_size=8, max_overflow=8), wiring.CONSTRAINT_ERRORS)
    app = Flask("fleetapp", template_folder="web/templates", static_folder="web/static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.upload_max_mb * 1024 * 1024,
        # The prefix makes browsers refuse a cookie of this name that another host or a plain connection sets.
        SESSION_COOKIE_NAME="__Host-fleet_session" if settings.cookie_secure else "fleet_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SEND_FILE_MAX_AGE_DEFAULT=365 * 86400,
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    if hops := settings.trusted_proxies:
        behind = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)
        app.wsgi_app = behind  # type: ignore[method-assign]
    figures.init_app(app, database)  # first, so that what the others refuse is counted too
    request.init_app(app, wiring.shell(database, settings))
    security.init_app(app, over_https=settings.cookie_secure)
    display.init_app(app)
    app.register_blueprint(shell.blueprint)
    wiring.register(app)
    errors.init_app(app)  # after the API, whose own handler for HTTP errors would win otherwise

    app.cli.add_command(begin)

    @app.cli.command("db-check")
    def db_check() -> None:
        """Exit silently when the database is reachable and its schema is the newest."""
        try:
            with database.transaction(SYSTEM) as session:
                found = session.scalar(text("SELECT version_num FROM alembic_version"))
                lacking = missing_columns(session, wiring.metadata)
        except OperationalError as error:
            raise click.ClickException(
                f"数据库无法连接，请检查 FLEET_DATABASE_URL。The database cannot be reached; check FLEET_DATABASE_URL ({str(error.orig).splitlines()[0]})."
            ) from error
        except Exception as error:
            raise click.ClickException(
                "数据库尚未初始化，请运行迁移。The database is empty: run the migrations."
            ) from error
        if found == shell.newest_revision() and lacking:
            raise click.ClickException(
                f"数据库由另一版本的程序建立，缺少 {lacking[0]} 等 {len(lacking)} 项：演示库请运行 make demo-reset，正式库请改用建立它的版本。"
                f"The database was made by another version of this program and lacks {len(lacking)} columns, first {lacking[0]}:"
                " run make demo-reset for a demo, use the version that made it otherwise."
            )
        if found != shell.newest_revision():
            raise click.ClickException(
                f"数据库结构版本为 {found}，程序需要 {shell.newest_revision()}，请运行迁移。"
                f"The schema is at {found}, this program needs {shell.newest_revision()}: run the migrations."
            )

    return app
