"""Too many requests are refused before their bodies are read: plain ASGI, nothing is buffered."""

import math
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooManyRequests
from app.http.problems import answer
from app.http.rates import Rates, name_of

AUTHENTICATED: Final = "is_authenticated"
"""Where a key that opened is noted in the request's state."""
_UNGUARDED: Final = frozenset({"/healthz", "/readyz"})
_UNCOUNTED: Final = frozenset({"/metrics"})
"""It asks for a key, which must not be guessed here either."""
_NOBODY: Final = "unknown"


class LimitRates:
    """Counts requests that carry a key, and refuses those beyond the limits."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self.app = app
        self.rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        key = _key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        address = client[0] if client else _NOBODY
        is_counted = scope["path"] not in _UNCOUNTED
        wait = await self.rates.wait_for(key, address, is_counted=is_counted)
        if wait is not None:
            refusal = answer(
                TooManyRequests(
                    "this key, or this address, has made too many requests in this minute",
                    retry_after=max(1, math.ceil(wait)),
                )
            )
            await refusal(scope, receive, send)
            return

        async def learn_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope.get("state", {}).get(AUTHENTICATED):
                    self.rates.opened(key)
                elif message["status"] == 401:
                    await self.rates.failed(key, address)
            await send(message)

        await self.app(scope, receive, learn_and_send)


def _key(scope: Scope) -> str | None:
    """The name of the key that a request carries; None for none, and where none is asked for."""
    if scope["type"] == "http" and scope["path"] not in _UNGUARDED:
        for name, value in scope["headers"]:
            if name == b"authorization":
                return name_of(value)
    return None
