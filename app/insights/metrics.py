"""The service's metrics in Prometheus' text format; ``docs/metrics.md`` lists them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.http.request_metrics import RequestMetrics
from app.insights.queries import metrics as metrics_queries
from app.insights.queries.metrics import ProjectGauges
from app.storage.sessions import Sessions

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "annotation_budget_"
_Value = Callable[[ProjectGauges], Decimal | int | None]


@dataclass(frozen=True, slots=True)
class _Gauge:
    """A metric with a value a project; a project whose value is None is left out."""

    name: str
    meaning: str
    value: _Value
    has_unit: bool = False

    def family(self, projects: Sequence[ProjectGauges]) -> Metric:
        """The metric of every project."""
        labels = ["project", "unit"] if self.has_unit else ["project"]
        family = GaugeMetricFamily(_PREFIX + self.name, self.meaning, labels=labels)
        for project in projects:
            value = self.value(project)
            if value is not None:
                names = [project.name, project.unit] if self.has_unit else [project.name]
                family.add_metric(names, float(value))
        return family


_GAUGES: Final = (
    _Gauge("spent", "What is spent.", lambda project: project.spent, has_unit=True),
    _Gauge(
        "reserved",
        "What is reserved for held and lapsed assignments.",
        lambda project: project.reserved,
        has_unit=True,
    ),
    _Gauge(
        "limit",
        "The most that may be spent; absent where there is no limit.",
        lambda project: project.limit,
        has_unit=True,
    ),
    _Gauge("labels", "Labels that count.", lambda project: project.labels),
    _Gauge(
        "surplus_labels",
        "Labels kept as surplus: late, and not charged.",
        lambda project: project.surplus_labels,
    ),
    _Gauge("held_assignments", "Pairs that annotators hold.", lambda project: project.held),
    _Gauge(
        "lapsed_assignments",
        "Held pairs whose lease is over, until the next claim frees them.",
        lambda project: project.lapsed,
    ),
    _Gauge("open_pairs", "Pairs that the plan holds now.", lambda project: project.open_pairs),
    _Gauge("prompts", "Prompts.", lambda project: project.prompts),
    _Gauge(
        "pending_prompts",
        "Prompts with texts that wait for the embedder.",
        lambda project: project.pending_prompts,
    ),
    _Gauge(
        "index_lag_prompts",
        "Prompts that are ready and have not arrived in the index and the plan.",
        lambda project: project.unplanned_prompts,
    ),
)


class DatabaseMetrics(Collector):
    """Metrics read from the database: the same from every process."""

    def __init__(self, projects: Sequence[ProjectGauges], stored_embeddings: int) -> None:
        self._projects = projects
        self._stored_embeddings = stored_embeddings

    def collect(self) -> Iterable[Metric]:
        """Every metric, also while no project has a value."""
        for gauge in _GAUGES:
            yield gauge.family(self._projects)
        yield CounterMetricFamily(
            _PREFIX + "response_embeddings",
            "Vectors of responses that were stored, the callers' own included.",
            value=self._stored_embeddings,
        )


class StreamMetrics(Collector):
    """The event streams that are open in this process."""

    def __init__(self, process: str, streams: int) -> None:
        self._process = process
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """The one metric."""
        family = GaugeMetricFamily(
            _PREFIX + "event_streams", "Event streams that are open.", labels=["process"]
        )
        family.add_metric([self._process], self._streams)
        yield family


async def scrape(sessions: Sessions, metrics: RequestMetrics, streams: int) -> bytes:
    """All metrics: this process's own counters, and those read from the database."""
    async with sessions() as session:
        database = DatabaseMetrics(
            await metrics_queries.project_gauges(session),
            await metrics_queries.stored_embeddings(session),
        )
    registry = CollectorRegistry()
    registry.register(database)
    registry.register(StreamMetrics(metrics.process, streams))
    return generate_latest(metrics.registry) + generate_latest(registry)
