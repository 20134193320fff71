"""The service's metrics in Prometheus' text format; ``docs/metrics.md`` lists them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Row

from app.http.request_metrics import RequestMetrics
from app.insights.queries import metrics as metrics_queries
from app.storage.sessions import Sessions

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "annotation_budget_"
_IN_UNITS: Final = ("spent", "reserved", "limit")
_GAUGES: Final = {
    "spent": "What is spent.",
    "reserved": "What is reserved for held and lapsed assignments.",
    "limit": "The most that may be spent; absent where there is no limit.",
    "labels": "Labels that count.",
    "surplus_labels": "Labels kept as surplus: late, and not charged.",
    "held_assignments": "Pairs that annotators hold.",
    "lapsed_assignments": "Held pairs whose lease is over, until the next claim frees them.",
    "open_pairs": "Pairs that the plan holds now.",
    "prompts": "Prompts.",
    "pending_prompts": "Prompts with texts that wait for the embedder.",
    "failed_prompts": "Prompts with a text that the embedding model fails on.",
    "index_lag_prompts": "Prompts that are ready and have not arrived in the index and the plan.",
}
"""What each column of ``project_gauges`` means; a project whose value is None is left out."""


class Figures(Collector):
    """Metrics read from the database, the same from every process, and this one's event streams."""

    def __init__(
        self,
        projects: Sequence[Row[*tuple[Any, ...]]],
        stored_embeddings: int,
        process: str,
        streams: int,
    ) -> None:
        self._projects = projects
        self._stored_embeddings = stored_embeddings
        self._process = process
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """Every metric, also while no project has a value."""
        for name, meaning in _GAUGES.items():
            labels = ["project", "unit"] if name in _IN_UNITS else ["project"]
            family = GaugeMetricFamily(_PREFIX + name, meaning, labels=labels)
            for project in self._projects:
                value = getattr(project, name)
                if value is not None:
                    family.add_metric([project.project, project.unit][: len(labels)], float(value))
            yield family
        yield CounterMetricFamily(
            _PREFIX + "response_embeddings",
            "Vectors of responses that were stored, the callers' own included.",
            value=self._stored_embeddings,
        )
        family = GaugeMetricFamily(
            _PREFIX + "event_streams", "Event streams that are open.", labels=["process"]
        )
        family.add_metric([self._process], self._streams)
        yield family


async def scrape(sessions: Sessions, metrics: RequestMetrics, streams: int) -> bytes:
    """All metrics: this process's own counters, and those read from the database."""
    async with sessions() as session:
        projects = await metrics_queries.project_gauges(session)
        embeddings = await metrics_queries.stored_embeddings(session)
    registry = CollectorRegistry()
    registry.register(Figures(projects, embeddings, metrics.process, streams))
    return generate_latest(metrics.registry) + generate_latest(registry)
