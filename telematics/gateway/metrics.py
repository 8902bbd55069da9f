"""Figures of a gateway for Prometheus, read from its counts at the moment they are asked for: nothing is added to the way of a position.

Source: the Prometheus exposition format, https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from telematics.gateway.writer import GroupWriter


class GatewayCollector(Collector):
    """Counts of one gateway; ``terminals`` tells how many are connected."""

    def __init__(self, writer: GroupWriter, terminals: Callable[[], int]) -> None:
        self._writer = writer
        self._terminals = terminals

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        tally = self._writer.tally
        for name, words, value in (
            ("positions_accepted", "Positions taken from terminals and phones.", tally.received),
            ("positions_acknowledged", "Positions durable, and so acknowledged.", tally.committed),
            ("positions_new", "Acknowledged positions that were not there yet (database sink).", tally.added),
            ("pieces_quarantined", "Pieces put into quarantine.", tally.quarantined),
            ("commits", "Groups made durable.", tally.commits),
        ):
            yield CounterMetricFamily(f"fleet_gateway_{name}", words, value)
        last = tally.last_commit_at
        for name, words, number in (
            ("queue_rows", "Rows accepted and not durable yet.", self._writer.depth),
            ("terminals", "Terminals connected.", self._terminals()),
            ("store_failing", "1 while positions cannot be made durable.", 1 if tally.failing else 0),
            ("last_commit_timestamp_seconds", "When the last group was made durable.", last.timestamp() if last else 0),
        ):
            yield GaugeMetricFamily(f"fleet_gateway_{name}", words, number)


def registry(writer: GroupWriter, terminals: Callable[[], int]) -> CollectorRegistry:
    """Return a registry with the figures of one gateway alone."""
    made = CollectorRegistry(auto_describe=False)
    made.register(GatewayCollector(writer, terminals))
    return made
