"""Whether the process lives, and whether it can serve. Probes may ask with HEAD too."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Unavailable
from app.http.problems import problems
from app.storage.migrate import pending_migration

router = APIRouter(tags=["health"])


class Healthy(BaseModel):
    """The process is healthy."""

    status: Literal["ok"] = "ok"


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Whether this process lives")
async def healthz() -> Healthy:
    """Answers while the process lives, whatever the database does."""
    return Healthy()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz", summary="Whether database and migrations are in order", responses=problems(503)
)
async def readyz(request: Request) -> Healthy:
    """Answers 200 when requests can be served, else 503 with the reason."""
    try:
        lack = await pending_migration(request.app.state.engine)
    except SQLAlchemyError:
        raise Unavailable("the database does not answer", retry_after=1) from None
    if lack is not None:
        raise Unavailable(lack)
    return Healthy()
