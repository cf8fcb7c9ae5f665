"""What /metrics tells: sessions by state and the media port's counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.rtc.engine import Engine


class Metrics(Collector):
    """Reads the numbers when asked; keeps none of its own."""

    def __init__(self, sessions: Callable[[], dict[str, int]], engine: Engine) -> None:
        self._sessions = sessions
        self._engine = engine
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry at each exposition."""
        sessions = GaugeMetricFamily("ayuda_sessions", "Sessions by state", labels=["state"])
        for state, count in self._sessions().items():
            sessions.add_metric([state], count)
        yield sessions
        for name, value in self._engine.counters().items():
            yield CounterMetricFamily(f"ayuda_rtc_{name}", f"Media port: {name}", value=value)
