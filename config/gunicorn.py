"""gunicorn's settings, for `make run` and for the service unit alike; FLEET_HOST, FLEET_PORT, FLEET_WORKERS change them."""

import os

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
# Workers are renewed one after another, against slow growth of memory.
max_requests = 5000
max_requests_jitter = 500
forwarded_allow_ips = "127.0.0.1"
limit_request_line = 8190
control_socket_disable = True
errorlog = "-"
accesslog = None
proc_name = "fleet-web"
