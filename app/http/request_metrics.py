"""Counters of the requests of one API process, for Prometheus."""

import os
import socket
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from starlette.types import Scope

# Without a second series for each counter that tells when it was created.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types all but this

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CLAIM_STATUS: Final = "claim_status"
"""Set in the request's state by ``GET /next-pairs``."""


class RequestMetrics:
    """The counters of this process; ``process`` is its label, unique behind a shared address."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        labels = ("process", "route", "method", "status_class")
        self._requests = Counter(
            "annotation_budget_requests",
            "Requests answered.",
            labels,
            registry=self.registry,
        )
        self._seconds = Histogram(
            "annotation_budget_request_seconds",
            "Seconds until the answer began, a wait for pairs included.",
            labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._claims = Counter(
            "annotation_budget_claims",
            "Answers of `GET /next-pairs`, by their status.",
            ("process", "status"),
            registry=self.registry,
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request by its route; paths are chosen by callers, so they are no labels."""
        route = getattr(scope.get("route"), "path_format", _OTHER)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        labels = (self.process, route, method, f"{status // 100}xx")
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)
        claim_status = scope.get("state", {}).get(CLAIM_STATUS)
        if claim_status is not None:
            self._claims.labels(self.process, claim_status).inc()
