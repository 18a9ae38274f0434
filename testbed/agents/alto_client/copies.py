"""Copies of a server's resources, as they were fetched or as a stream keeps them, and what they say. Pure.

Owns which copy is believed: one that depends on another version of the network map than the present one is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.agents.alto_client.cluster_list import Known
from testbed.agents.alto_client.resources import Wanted
from testbed.alto import json_octets, media_types
from testbed.alto.client import answers
from testbed.alto.client.contents import content
from testbed.alto.service.exchange import Answer, Request
from testbed.alto.updates.following.client import ClientEvent, UpdateClient, Updated
from testbed.alto.updates.stream_requests import AddSubstream


class Copies:
    """The copies of `wanted`; `known` has what they say."""

    def __init__(self, wanted: Wanted, known: Known) -> None:
        self.wanted, self._known = wanted, known
        self._by_id = {resource.resource_id: resource for resource in wanted.all}
        followed = {resource.resource_id: AddSubstream(resource.resource_id) for resource in wanted.followed}
        self.updates = UpdateClient(followed, "" if wanted.stream is None else wanted.stream.uri)

    def take(self, resource_id: str, answer: Answer, now_s: float) -> None:
        """Take in a resource that was fetched. Raises AltoAnswerError."""
        resource = self._by_id[resource_id]
        self._learn(resource_id, content(resource.uri, answer, resource.entry.media_type))
        self._known.confirm(now_s)

    def open_request(self) -> Request:
        """Return the request for a stream of updates."""
        stream = self.wanted.stream
        assert stream is not None
        fields = {"Accept": f"{stream.entry.media_type},{media_types.ERROR}", "Content-Type": stream.entry.accepts}
        return Request("POST", stream.uri, fields, self.updates.open_request())

    def resync_request(self) -> Request | None:
        """Return the request for what the stream lost, if it lost anything and there is a way to ask for it."""
        if self.updates.control_uri is None or (body := self.updates.resync_request()) is None:
            return None
        fields = {"Accept": media_types.ERROR, "Content-Type": media_types.UPDATE_STREAM_PARAMS}
        return Request("POST", self.updates.control_uri, fields, body)

    def receive(self, octets: bytes, now_s: float) -> list[ClientEvent]:
        """Take in octets of the stream; return what came of them. Raises AltoAnswerError."""
        events = self.updates.receive(octets)
        for event in events:
            if isinstance(event, Updated):
                self._learn(event.name, self.updates.copies[event.name].document or {})
        if events:
            self._leave_out_what_is_stale()
        self._known.confirm(now_s)
        return events

    def _learn(self, resource_id: str, document: Mapping[str, Any]) -> None:
        wanted = self.wanted
        if resource_id == wanted.network.resource_id:
            said = {"Content-Type": media_types.NETWORK_MAP}
            self._known.network = answers.network_map(
                wanted.network.uri, Answer(200, said, json_octets.encode(document))
            )
        elif wanted.clusters is not None and resource_id == wanted.clusters.resource_id:
            self._known.entities = _object(document.get("property-map"))
        for metric, resource in wanted.costs.items():
            if resource.resource_id == resource_id:
                self._known.costs[metric] = _object(document.get("cost-map"))

    def _leave_out_what_is_stale(self) -> None:
        for metric, resource in self.wanted.costs.items():
            if resource.resource_id not in self.updates.copies:
                continue
            copy = self.updates.copies[resource.resource_id]
            rows = _object((copy.document or {}).get("cost-map"))
            self._known.costs[metric] = rows if self.updates.is_current(resource.resource_id) else {}


def _object(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}
