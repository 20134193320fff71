"""This service's own form: a line is the body of ``POST /prompts``. Pure."""

from app.formats.format import Format, ReadLine, has_keys

FORMAT = Format(
    name="own",
    description="`prompt` and `responses`",
    matches=has_keys("responses"),
    read=ReadLine,
    rank=30,
)
