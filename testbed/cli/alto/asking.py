"""One question to an ALTO server, from the command line: the directory, the resource, what is printed of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from testbed.agents.alto_client.session import Session
from testbed.alto import json_octets, media_types
from testbed.alto.client import requests
from testbed.alto.client.answer_errors import AltoAnswerError, AltoRefused
from testbed.alto.client.closure import Closure, Resource
from testbed.alto.client.contents import content
from testbed.alto.directory.directory import Directory
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.updates.following.client import Broken, Lost, Stopped, UpdateClient, Updated
from testbed.alto.updates.stream_requests import AddSubstream
from testbed.cli.alto import filters, tables
from testbed.cli.alto.filters import Filter, FilterError
from testbed.errors import TestbedError
from testbed.terminal import console as terminal

_NAME = "followed"


class AskedInVain(TestbedError):
    """A request that the server refused; the text has the RFC's code and field, and the way out."""


@dataclass(frozen=True)
class Question:
    """What the command line asks."""

    url: str
    resource: str | None
    said: Filter
    as_json: bool
    follow: bool
    updates: int | None


def run(question: Question, authority: Path | None, user: tuple[str, str] | None) -> int:
    """Ask, and print what is answered; return the exit code."""
    return asyncio.run(_ask(question, Session(authority, user)))


async def _ask(question: Question, session: Session) -> int:
    async with session:
        closure = await session.walk(question.url)
        for problem in closure.problems:
            terminal.complain(problem)
        if question.resource is None:
            _print_closure(question, closure)
            return 0
        resource, request = _request(question, closure)
        if question.follow:
            return await _follow(question, session, closure, resource, request)
        answer = await session.fetch(request)
        try:
            _print(question, resource, answer)
        except AltoRefused as error:
            raise AskedInVain(f"{error}; dyncast alto get --help says what --filter takes") from error
        return 0


def _request(question: Question, closure: Closure) -> tuple[Resource, Request]:
    named = closure[question.resource or ""]
    if named.entry.media_type == media_types.UPDATE_STREAM:
        raise FilterError(f"{named.resource_id} is an update stream; --follow of one of its resources opens it")
    if not question.said and not named.entry.accepts:
        return named, requests.whole(named)
    asked = filters.filtering(closure, named)
    return asked, filters.request(asked, question.said, named if asked is not named else None)


def _print_closure(question: Question, closure: Closure) -> None:
    if question.as_json:
        entries = tuple(resource.entry for resource in closure.resources.values())
        document = {"resources": Directory(entries).document()["resources"]}
        for name, resource in closure.resources.items():
            document["resources"][name]["uri"] = resource.uri
        _print_json({"meta": {"default-alto-network-map": closure.default_network_map}, **document})
    else:
        terminal.output().print(tables.resources(closure))


def _print(question: Question, resource: Resource, answer: Answer) -> None:
    if question.as_json:
        _print_json(content(resource.uri, answer, resource.entry.media_type))
    else:
        _show(tables.of_answer(resource, answer))


def _print_json(document: Mapping[str, Any]) -> None:
    terminal.document(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _show(table: Table) -> None:
    terminal.output().print(table)


async def _follow(question: Question, session: Session, closure: Closure, resource: Resource, request: Request) -> int:
    """Print each version of a resource, until there are no more, or as many as were asked for."""
    stream = next((one for one in closure.find(media_types.UPDATE_STREAM, uses=resource.resource_id)), None)
    if stream is None:
        raise FilterError(f"{resource.resource_id} has no updates on this server")
    asked = json_octets.parse(request.body) if request.body else None
    client = UpdateClient({_NAME: AddSubstream(resource.resource_id, input=asked)}, stream.uri)
    opening = Request(
        "POST",
        stream.uri,
        {"Accept": f"{stream.entry.media_type},{media_types.ERROR}", "Content-Type": stream.entry.accepts},
        client.open_request(),
    )
    seen = 0
    async for octets in session.stream(opening):
        for event in client.receive(octets):
            if isinstance(event, Updated):
                _print_version(question, resource, client.copies[_NAME].document)
                seen += 1
                if seen == question.updates:
                    return 0
            elif isinstance(event, Stopped):
                terminal.complain(
                    f"{stream.uri}: no more updates: {event.description or 'the server does not say why'}"
                )
                return 0
            elif isinstance(event, Broken | Lost):
                raise AltoAnswerError(stream.uri, f"the stream is of no use: {event.reason}")
    raise AltoAnswerError(stream.uri, "the stream ended without a word; ask again")


def _print_version(question: Question, resource: Resource, document: Any) -> None:
    octets = json_octets.encode(document)
    if question.as_json:
        terminal.document(octets.decode() + "\n")
    else:
        _show(tables.of_answer(resource, Answer(200, {"Content-Type": resource.entry.media_type}, octets)))
