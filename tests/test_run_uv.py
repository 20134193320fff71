"""uv finds packages where pip does, on machines with a mirror or without a network."""

import runpy
from pathlib import Path

uv_environment = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "run_uv.py"))[
    "uv_environment"
]


def test_without_a_configuration_of_pip_uv_is_told_nothing() -> None:
    assert uv_environment("") == {}
    assert uv_environment(":env:.disable-pip-version-check='1'\nglobal.quiet='1'\n") == {}


def test_indexes_and_folders_of_wheels_are_passed_on() -> None:
    configured = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'\n"
        "global.find-links='/wheels /more-wheels'\n"
        "global.cert='/etc/ssl/own.crt'\n"
        "global.constraint='/etc/constraints.txt'\n"
    )
    assert uv_environment(configured) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels,/more-wheels",
        "SSL_CERT_FILE": "/etc/ssl/own.crt",
        "UV_CONSTRAINT": "/etc/constraints.txt",
    }


def test_the_environment_overrides_files_and_other_commands_are_not_meant() -> None:
    configured = (
        ":env:.index-url='https://env.example/simple'\n"
        "download.index-url='https://download.example/simple'\n"
        "install.index-url='https://install.example/simple'\n"
        "global.index-url='https://global.example/simple'\n"
    )
    assert uv_environment(configured) == {"UV_DEFAULT_INDEX": "https://env.example/simple"}
