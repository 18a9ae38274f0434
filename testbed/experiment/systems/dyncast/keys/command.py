"""The scenario's keys for programs that others wrote (`kind: command`): how an instance runs one, how clients do.

Owns the keys, their placeholders, and what they need of each other. The descriptions are the documentation.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from testbed.agents.command_instance.config import APPLICATION_FIGURES
from testbed.experiment.schema_parts import FILE_NAME, Part

INSTANCE_PLACEHOLDERS = ("port", "host", "site", "instance", "service", "folder", "scenario_folder")
CLIENT_PLACEHOLDERS = (
    "d_sid", "port", "url", "duration_s", "seed", "client", "site", "host", "folder", "scenario_folder"
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")
_POINTER = r"^(/[^/]*)+$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from error


# No shell sees it; a string is split as a shell would.
CommandLine = Annotated[
    tuple[str, ...], BeforeValidator(_split, json_schema_input_type=str | tuple[str, ...]), Field(min_length=1)
]


def filled(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its placeholders replaced, `{{name}}` by `{name}` itself. Raises ValueError for others."""

    def value(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal is not None:
            return f"{{{literal}}}"
        if name not in values:
            known = ", ".join(f"{{{known}}}" for known in values)
            raise ValueError(f"there is no placeholder {{{name}}}; there are: {known}; write {{{{{name}}}}} for itself")
        return str(values[name])

    return _PLACEHOLDER.sub(value, text)


def check_placeholders(key: str, text: str, names: Collection[str]) -> None:
    """Raise ValueError naming the key for a placeholder that is none of these."""
    try:
        filled(text, dict.fromkeys(names, ""))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


class ReadyKeys(Part):
    """How to know that a command serves: by default, its port is open (TCP: somebody listens; UDP: it is bound)."""

    http: str | None = Field(None, pattern=r"^/")
    """And GET of this path, asked at the port from within, is answered with a status below 400."""
    output: str | None = Field(None, min_length=1)
    """Instead: its output has something like this regular expression, whatever its port does."""
    timeout_s: float = Field(30.0, gt=0, le=3600)
    """An instance that does not serve by then ends the run."""

    @model_validator(mode="after")
    def _is_one(self) -> ReadyKeys:
        if self.http is not None and self.output is not None:
            raise ValueError("say either http or output")
        if self.output is not None:
            try:
                re.compile(self.output)
            except re.error as error:
                raise ValueError(f"output is no regular expression: {error}") from error
        return self


class FigureKeys(Part):
    """Where a figure is in a JSON document."""

    at: str = Field(pattern=_POINTER)
    """JSON pointer (RFC 6901), such as /queue/length."""
    times: float = Field(1.0, gt=0)
    """What it is multiplied by to be in its metric's unit: 1000 makes seconds service_time_ms."""


def _pointer(value: Any) -> Any:
    return {"at": value} if isinstance(value, str) else value


class CommandMetricsKeys(Part):
    """Where raw metrics of a command come from (docs/applications.md says what they mean)."""

    source: Literal["proc", "http"] = "proc"
    """proc: what the machine knows: connections, CPU time, memory, octets. http: the application reports some."""
    url: str | None = Field(None, pattern=r"^http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
    """http: where in the instance's own namespace it serves a JSON document, such as http://localhost:8081/status."""
    values: dict[str, Annotated[FigureKeys, BeforeValidator(_pointer, json_schema_input_type=str | FigureKeys)]] = {}
    """http: the metrics that it reports, by name, each with a JSON pointer: {queue_length: /waiting}. There are:
    busy_workers, queue_length, sessions, sessions_started, completed, refused, utilisation, service_time_ms,
    capacity_per_s. What it does not report is as with proc."""

    @model_validator(mode="after")
    def _parameters_fit(self) -> CommandMetricsKeys:
        if self.source == "http" and (self.url is None or not self.values):
            raise ValueError("source http takes url and values")
        if self.source == "proc" and (self.url is not None or self.values):
            raise ValueError("source proc takes neither url nor values; say source: http")
        for name in self.values:
            if name not in APPLICATION_FIGURES:
                raise ValueError(
                    f"values.{name}: is no metric that it can report; there are: {', '.join(APPLICATION_FIGURES)}"
                )
        return self


class ApplicationKeys(Part):
    """Keys of an instance whose service is of kind command."""

    command: CommandLine | None = None
    """kind command: the program and its arguments; no shell sees them, a string is split as one would. {port}, {host}
    (its address), {site}, {instance}, {service}, {folder} (its own, where it runs, kept with the results) and
    {scenario_folder} (of the scenario file) are filled in; {{port}} is {port} itself."""
    environment: dict[Annotated[str, Field(pattern=VARIABLE)], str] = {}
    """kind command: variables besides those of whoever called dyncast; placeholders as in command."""
    as_root: bool = False
    """kind command: root runs it, and not whoever called sudo. Ports below 1024 take no root."""
    files: dict[Annotated[str, Field(pattern=FILE_NAME)], str] = {}
    """kind command: files to write into {folder} before it starts, by name; placeholders as in command."""
    ready: ReadyKeys = ReadyKeys()
    """kind command: how to know that it serves."""
    metrics: CommandMetricsKeys = CommandMetricsKeys()
    """kind command: where its raw metrics come from."""

    def check_application(self, kind: str, protocol: str) -> None:
        """Raise ValueError, beginning with the key, where these keys do not fit the service."""
        if kind != "command":
            for key, field in ApplicationKeys.model_fields.items():
                if getattr(self, key) != field.default:
                    raise ValueError(f"{key}: goes with a service of kind command, and this one's is {kind}")
            return
        if self.command is None:
            raise ValueError("command: is missing; a service of kind command is what its instances run")
        if self.ready.http is not None and protocol != "tcp":
            raise ValueError("ready.http: asks at a TCP port, and the service's is UDP; take output")
        for number, word in enumerate(self.command):
            check_placeholders(f"command[{number}]", word, INSTANCE_PLACEHOLDERS)
        for name, text in self.environment.items():
            check_placeholders(f"environment.{name}", text, INSTANCE_PLACEHOLDERS)
        for name, text in self.files.items():
            check_placeholders(f"files.{name}", text, INSTANCE_PLACEHOLDERS)
