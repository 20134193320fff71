"""What a route asks for to know which project is meant."""

from typing import Annotated

from fastapi import Query

from app.settings import DEFAULT_PROJECT

_DESCRIPTION = f"Name of the project; left out, `{DEFAULT_PROJECT}` is meant"

ProjectQuery = Annotated[str, Query(alias="project", max_length=256, description=_DESCRIPTION)]
"""Give it the default ``DEFAULT_PROJECT``."""
