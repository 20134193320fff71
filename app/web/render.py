"""Templates to answers: what every page knows, and the policy under which browsers show it."""

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.accounts.service import Principal
from app.web import assets

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": with it, browsers send "Origin: null" with forms.
    "Referrer-Policy": "same-origin",
}

_templates: Final = Environment(
    loader=PackageLoader("app.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(
    request: Request,
    template: str,
    *,
    viewer: Principal | None = None,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """A page, or a fragment of one.

    Templates know ``viewer`` and ``csrf_token``, ``href(path)``, ``asset(name)``, and ``here``: the
    path of this page without the prefix of a proxy.
    """
    root_path: str = request.scope.get("root_path", "")
    content = _templates.get_template(template).render(
        viewer=viewer,
        csrf_token=viewer.csrf_token if viewer else None,
        href=lambda path: root_path + path,
        asset=lambda name: root_path + assets.address(name),
        root_path=root_path,
        status=status,
        here=request.scope["path"].removeprefix(root_path),
        **context,
    )
    return HTMLResponse(content, status_code=status, headers=HEADERS)
