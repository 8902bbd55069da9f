"""gunicorn's settings, for `make run` and for the service unit alike; FLEET_HOST, FLEET_PORT, FLEET_WORKERS change them."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

bind = f"{os.environ.get('FLEET_HOST', '127.0.0.1')}:{os.environ.get('FLEET_PORT', '8000')}"
workers = int(os.environ.get("FLEET_WORKERS", "2"))
# Requests wait for the database most of the time: threads serve the map's polling without more memory.
worker_class = "gthread"
threads = 8
timeout = 120  # an export of a year is the slowest page
graceful_timeout = 20
keepalive = 5
# Heartbeat files on a disk can stall a worker; memory cannot.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112
# Loaded once before the workers are made: one that is renewed answers at once instead of after the seconds that loading takes,
# and they share the memory. New code needs a restart, during which fleet-web.socket keeps what arrives.
preload_app = True
# Workers are renewed one after another, against slow growth of memory.
max_requests = 5000
max_requests_jitter = 500
limit_request_line = 8190
control_socket_disable = True
errorlog = "-"
accesslog = None
proc_name = "fleet-web"

# Every worker keeps its figures in files of a folder of this run; /metrics of any of them adds all up.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="fleet-figures-", dir=worker_tmp_dir)
FIGURES = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def when_ready(_server):  # noqa: ANN001, ANN201
    """Leave what was loaded out of garbage collection: looking through it takes a third of a second in the midst of some request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def child_exit(_server, worker):  # noqa: ANN001, ANN201
    """Add the counts of a worker that has gone to those of all that went before, or their files would fill the memory."""
    from prometheus_client.mmap_dict import MmapedDict

    for path in FIGURES.glob(f"*_{worker.pid}.db"):
        kind = path.name.split("_")[0]
        if kind in {"counter", "histogram"}:
            gone = MmapedDict(str(FIGURES / f"{kind}_gone.db"))
            for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
                gone.write_value(key, gone.read_value(key)[0] + value, 0.0)
            gone.close()
        path.unlink()


def on_exit(_server):  # noqa: ANN001, ANN201
    """Remove the folder of this run."""
    shutil.rmtree(FIGURES, ignore_errors=True)
