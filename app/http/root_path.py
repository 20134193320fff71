"""The path prefix under which a proxy shows the API."""

from starlette.types import ASGIApp, Receive, Scope, Send


class UnderRootPath:
    """Serves under a path prefix, whether the proxy removes it from requests or not.

    As ASGI wants it, ``root_path`` is the prefix from here on, and ``path`` begins with it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and self.root_path:
            path: str = scope["path"]
            if path != self.root_path and not path.startswith(f"{self.root_path}/"):
                path = self.root_path + path
            # In place: what is around this middleware answers for what fails within.
            scope["root_path"] = self.root_path
            scope["path"] = path
        await self.app(scope, receive, send)


def route_path(scope: Scope) -> str:
    """The path without the prefix, as the routes name it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
