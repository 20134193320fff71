"""A command's settings, and the admin's key."""

from pydantic import ValidationError

from app.errors import CommandFailed
from app.settings import Settings
from app.storage.embedded.folder import DataFolder


def read_settings(**given: object) -> Settings:
    """Settings from the environment, overridden by the options that were ``given`` (not None).

    Raises:
        CommandFailed: one of them is not valid.
    """
    try:
        return Settings.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper()
        raise CommandFailed(f"{name}: {first['msg']}") from None


def kept_admin_key(settings: Settings) -> str:
    """The key of the annotator `admin`: ``ADMIN_KEY``, or the one kept in the data folder.

    Raises:
        CommandFailed: there is none, or it cannot be read.
    """
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    kept = DataFolder.of(settings.data_dir).admin_key
    try:
        return kept.read_text().strip()
    except FileNotFoundError:
        raise CommandFailed(
            f"No key is kept in {kept.parent}: the first `annotation-budget serve` makes one."
        ) from None
    except OSError as error:
        raise CommandFailed(f"{kept} cannot be read: {error.strerror}.") from error
