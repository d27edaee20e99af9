"""The reference of the configuration and of the command line, as the code itself tells it.

`python -m tests.docs.reference` writes it anew; `test_reference.py` compares.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.main import get_command

from adapters.cli.main import NAME, app
from adapters.effects.configuration import EffectSettings
from adapters.effects.registry import KINDS as EFFECT_KINDS
from adapters.providers.configuration import ProviderSettings
from adapters.providers.registry import KINDS
from adapters.settings import CONFIG_FILE, CONFIG_VARIABLE, PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
WRITTEN = "Written by `scripts/readme` from the code; change it there.\n"
TABLES = ("providers", "effects")  # of settings, with sections of their own
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}

CONFIGURATION = f"""\
# Configuration

{WRITTEN}
The configuration is `{CONFIG_FILE}` in the working folder, or the file that `{CONFIG_VARIABLE}`
names; environment variables go over it. Everything has a default but what a provider's kind needs.
A variable's lists and tables are JSON; a provider's key is `{PREFIX}PROVIDERS__NAME__KEY`, that of
an effect's target `{PREFIX}EFFECTS__NAME__KEY`. A key that does not exist is refused.
"""
CLI = f"""\
# Command line

{WRITTEN}
`{NAME} COMMAND --help` says the same. Exit codes: 0 done; 1 failed or not found; 2 wrong usage or
configuration; a command with others names them. The HTTP API is described by a running service, at
`/openapi.json`, and by the tables of the [README](../../README.md).
"""

# ---------------------------------------------------------------------------------- configuration


def configuration() -> str:
    """docs/reference/configuration.md."""
    parts = [CONFIGURATION, "## Settings\n", _settings()]
    parts += ["## `[providers.NAME]`\n", "Every kind takes these:\n", _keys(ProviderSettings)]
    for kind, made in KINDS.items():
        parts += _kind(kind, made.settings, ProviderSettings)
    parts += ["## `[effects.NAME]`\n", "Every kind takes these:\n", _keys(EffectSettings)]
    for kind, target in EFFECT_KINDS.items():
        parts += _kind(kind, target.settings, EffectSettings)
    return "\n".join(parts)


def _settings() -> str:
    properties = Settings.model_json_schema()["properties"]
    return _table(
        ("key", "variable", "is", "default", "meaning"),
        (
            (_code(key), _code(PREFIX + key.upper()), _type(told), _default(told), _about(told))
            for key, told in properties.items()
            if key not in TABLES
        ),
    )


def _kind(kind: str, settings: type[BaseModel], base: type[BaseModel]) -> Iterator[str]:
    """What a kind takes besides what every kind does, or takes in another way."""
    common = base.model_json_schema()["properties"]
    own = settings.model_json_schema()
    differing = {
        key: {**common.get(key, {}), **told}
        for key, told in own["properties"].items()
        if key not in common or _default(told) != _default(common[key])
    }
    yield f"### kind `{kind}`\n"
    if issubclass(settings, ProviderSettings):
        found = f"have to be set: the secret is found in {settings.found_in}"
        yield f"`secrets` {'are made where left out' if settings.makes_secret else found}.\n"
    if differing:
        yield _keys_table(differing, own)
    for name, inner in own.get("$defs", {}).items():
        if name.endswith("Settings") and name != "SecretSettings":
            yield f"{inner['description']}\n"
            yield _keys_table(inner["properties"], inner)


def _keys(settings: type[BaseModel]) -> str:
    schema = settings.model_json_schema()
    return _keys_table(schema["properties"], schema)


def _keys_table(properties: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    return _table(
        ("key", "is", "default", "meaning"),
        (
            (
                _code(key),
                _type(told),
                "has to be set" if key in required and key != "kind" else _default(told),
                _about(told),
            )
            for key, told in properties.items()
        ),
    )


def _type(told: Mapping[str, Any]) -> str:
    if "$ref" in told:
        return "secret" if told["$ref"].endswith("/SecretSettings") else "table"
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(_type(one) for one in told["anyOf"] if one != NULL))
    if "const" in told:
        return _code(told["const"])
    if "enum" in told:
        return ", ".join(map(_code, told["enum"]))
    match told.get("type"):
        case "array":
            each = _type(told["items"])
            return f"list of {each}" + ("" if each.endswith("`") else "s")
        case "object":
            return "table"
    if told.get("format", "").startswith("ipv"):
        return "network"
    if told.get("writeOnly"):
        return "secret"
    return TYPES[told["type"]] + _bounds(told)


NULL = {"type": "null"}


def _bounds(told: Mapping[str, Any]) -> str:
    low, high = told.get("minimum"), told.get("maximum")
    if low is None:
        return ""
    return f" from {low:,}" + (f" to {high:,}" if high is not None else " on")


def _default(told: Mapping[str, Any]) -> str:
    match told.get("default"):
        case None:
            return ""
        case [] | {}:
            return "none"
        case True | False as flag:
            return _code(str(flag).lower())
        case list(items):
            return ", ".join(map(_code, items))
        case "":
            return "empty"
        case value:
            return _code(value)


def _about(told: Mapping[str, Any]) -> str:
    return str(told["description"])


# ------------------------------------------------------------------------------------ command line


def command_line() -> str:
    """docs/reference/cli.md."""
    parts = [CLI]
    for path, command in _commands(get_command(app)):
        if not hasattr(command, "commands"):
            parts += _command(path, command)
    return "\n".join(parts)


def _commands(command: Any, path: tuple[str, ...] = (NAME,)) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*path, name))


def _command(path: str, command: Any) -> Iterator[str]:
    yield f"## {path}\n"
    yield f"{command.help.strip()}\n"
    usage = [path, "[OPTIONS]", *(_argument(p) for p in command.params if _is_argument(p))]
    yield f"    {' '.join(usage)}\n"
    yield _table(("", "default", "meaning"), map(_parameter, command.params))
    # \b begins each block of an epilog; what follows the examples are the exit codes.
    examples = command.epilog.replace("\b\n", "").strip().split("\n\n")[0].splitlines()[1:]
    yield "".join(f"    {line.strip()}\n" for line in examples)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    name = parameter.make_metavar(None) if parameter.metavar is None else parameter.metavar
    return str(name)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    if _is_argument(parameter):
        name = _code(_argument(parameter))
    else:
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        value = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
        name = _code(names + value)
    default = parameter.default
    if parameter.required:
        shown = "has to be given"
    elif default is None or default is False or callable(default) or default == ():
        shown = ""
    else:
        shown = _code("yes" if default is True else getattr(default, "value", default))
    return name, shown, str(parameter.help)


# ------------------------------------------------------------------------------------------ tables


def _code(text: object) -> str:
    return f"`{text}`"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    rows = [[" ".join(cell.split()).replace("|", r"\|") for cell in row] for row in rows]
    if not rows:
        return ""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES = {"configuration.md": configuration, "cli.md": command_line}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
