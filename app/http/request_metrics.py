"""What one process counts of its requests, for Prometheus. Plain ASGI, nothing is buffered."""

import os
import socket
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A second series for each of ours, which says when the process started, would be of no use.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types all but this

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CLAIM_STATUS: Final = "claim_status"
"""Where ``GET /next-pairs`` leaves its status in the request's state."""


class RequestMetrics:
    """The counters of this process. ``process`` tells it from others behind the same address."""

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
        """Count a request: by its route, never by its path, which is the caller's to choose."""
        route = getattr(scope.get("route"), "path_format", _OTHER)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        labels = (self.process, route, method, f"{status // 100}xx")
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)
        claim_status = scope.get("state", {}).get(CLAIM_STATUS)
        if claim_status is not None:
            self._claims.labels(self.process, claim_status).inc()


class CountRequests:
    """Counts every request when its answer begins, or fails to."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        is_counted = False

        async def count_and_send(message: Message) -> None:
            nonlocal is_counted
            if message["type"] == "http.response.start":
                is_counted = True
                self.metrics.count(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            await self.app(scope, receive, count_and_send)
        except Exception:
            # Answered further out, as a 500.
            if not is_counted:
                self.metrics.count(scope, 500, time.perf_counter() - started)
            raise
