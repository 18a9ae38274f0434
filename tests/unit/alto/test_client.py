"""The client: it walks directories, asks for what is offered, and takes no answer on trust (RFC 7285, 8.3 and 9.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from testbed.alto import media_types
from testbed.alto.client import answers, requests
from testbed.alto.client.answer_errors import AltoAnswerError, AltoOverloaded, AltoRefused, StaleAnswerError
from testbed.alto.client.closure import Closure
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.client.requests import CostQuestion
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.exchange import Answer, Request, overloaded
from testbed.alto.service.service import Service
from tests.alto_samples import COSTS, CUSTOM, HOPS, MAP, NAMES, PIDS, ROOT, ROUTING, knowledge, service

ROOT_URI = "http://alto.example.com/directory"
ORDINAL = CostType("routingcost", CostMode.ORDINAL)
MULTI = {"cost-type-names": NAMES, "cost-constraints": True, "max-cost-types": 2}


def directory(document: object) -> Answer:
    return Answer(200, {"content-type": media_types.DIRECTORY}, json.dumps(document).encode())


def walked(answer: Callable[[Request], Answer], **limits: int) -> Closure:
    walk = DirectoryWalk(ROOT_URI, **limits)
    while (request := walk.next_request()) is not None:
        walk.take(answer(request))
    return walk.closure


def closure(server: Service | None = None) -> Closure:
    return walked((server or service()).answer)


def entry(uri: str, media_type: str = media_types.DIRECTORY) -> dict[str, str]:
    return {"uri": uri, "media-type": media_type}


# -- directories -------------------------------------------------------------------------------------


def test_a_walk_finds_what_linked_directories_have() -> None:
    found = closure()
    assert found.default_network_map == MAP and found.problems == []
    ids = [*ROOT["resources"], *CUSTOM["resources"]]
    assert set(found.resources) == {*ids} - {"custom-maps-resources"}
    assert found["filtered-cost-map"].uri == "http://custom.alto.example.com/costmap/filtered"
    assert found["ordinal-routing-cost-map"].cost_types == (ORDINAL,)


def test_directories_that_lead_to_each_other_are_each_asked_for_once() -> None:
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        asked.append(request.path)
        return directory({"resources": {"a": entry("/directory"), "b": entry("b#x"), "c": entry("/b")}})

    walked(answer)
    assert asked == [ROOT_URI, "http://alto.example.com/b"]


def test_a_chain_of_directories_without_end_is_left() -> None:
    count = iter(range(10_000))
    found = walked(lambda _: directory({"resources": {"next": entry(f"/{next(count)}")}}), most_directories=5)
    assert next(count) == 5 and "the 5 first are enough" in found.problems[0]


def test_relative_uris_are_resolved_against_the_directory_that_has_them() -> None:
    def answer(request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path == "/directory":
            return directory({"resources": {"d": entry("maps/more")}})
        return directory(
            {"resources": {"m": entry("net", media_types.NETWORK_MAP), "n": entry("//b.example/n", "x/y")}}
        )

    found = walked(answer)
    assert [resource.uri for resource in found.resources.values()] == [
        "http://alto.example.com/maps/net",
        "http://b.example/n",
    ]


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://[", "http://x:99999/", "http://x/ü", "gopher://x/"])
def test_a_uri_that_is_none_of_http_is_not_followed_and_is_noted(uri: str) -> None:
    found = walked(lambda _: directory({"resources": {"d": entry(uri), "m": entry(uri, media_types.NETWORK_MAP)}}))
    assert found.resources == {} and len(found.problems) == 2


def test_a_linked_directory_that_is_of_no_use_is_noted_and_the_rest_is_found() -> None:
    server = service()

    def answer(request: Request) -> Answer:
        return Answer(404) if "custom" in request.path else server.answer(request)

    found = walked(answer)
    assert found.problems == ["http://custom.alto.example.com/maps: the server answers 404"]
    assert MAP in found.resources


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "the server answers 404"),
        (Answer(307, {"Location": "https://b.example/"}), "answers 307, and points to https://b.example/"),
        (Answer(200, {}, b"{}"), "it is of no media type"),
        (Answer(200, {"Content-Type": "text/html"}, b"<html>"), "was asked for, and it is text/html"),
        (Answer(200, {"Content-Type": media_types.DIRECTORY}, b"{"), "the answer is no JSON: .*line 1"),
        (Answer(200, {"Content-Type": media_types.DIRECTORY}, b"[]"), "the answer is no object"),
        (Answer(200, {"Content-Type": media_types.DIRECTORY}, b" " * (1 << 23)), "more than 4194304 are not read"),
        (directory({"resources": {"a": {"uri": 5}}}), "resources/a/uri is not a string"),
    ],
)
def test_a_root_directory_that_is_of_no_use_is_an_error_that_names_it(answer: Answer, reason: str) -> None:
    with pytest.raises(AltoAnswerError, match=f"^{ROOT_URI}: .*{reason}"):
        walked(lambda _: answer)


def test_a_walk_begins_at_a_uri_of_http() -> None:
    with pytest.raises(AltoDataError, match="is no http or https URI"):
        DirectoryWalk("alto.example.com")


def test_the_first_resource_of_an_id_stays_and_another_one_is_noted() -> None:
    def answer(request: Request) -> Answer:
        linked = {"d": entry("/more")} if request.path == ROOT_URI else {}
        return directory({"resources": {"m": entry(f"{request.path}/m", "x/y"), **linked}})

    found = walked(answer)
    assert found["m"].uri == f"{ROOT_URI}/m" and "has the ID m, too" in found.problems[0]


def test_resources_are_found_by_what_they_are_and_can_and_get_comes_first() -> None:
    found = closure()

    def ids(**wanted: Any) -> list[str]:
        return [resource.resource_id for resource in found.find(**wanted)]

    assert ids(media_type=media_types.COST_MAP, cost_type=ROUTING) == [
        "numerical-routing-cost-map",
        "filtered-cost-map",
    ]
    assert ids(media_type=media_types.COST_MAP, cost_type=ORDINAL, accepts="") == ["ordinal-routing-cost-map"]
    assert ids(media_type=media_types.COST_MAP, uses="other-map") == []
    assert ids(media_type=media_types.ENDPOINT_PROPERTIES, prop_type=f"{MAP}.pid") == ["endpoint-property"]
    with pytest.raises(AltoDataError, match="there is no resource 'x'; there are: my-default"):
        found["x"]


# -- from request to maps ----------------------------------------------------------------------------


def asked(server: Service, request: Request) -> tuple[str, Answer]:
    return request.path, server.answer(replace(request, client_address="192.0.2.9"))


def test_a_network_map_comes_as_it_was_served() -> None:
    server = service()
    request = requests.whole(closure(server)[MAP])
    network_map = answers.network_map(*asked(server, request))
    assert network_map == server.knowledge.network_maps[MAP]
    assert network_map.pid_of("ipv4:198.51.100.130") == "PID2"


def test_a_map_that_is_at_hand_is_not_sent_again() -> None:
    server = service()
    answer = server.answer(requests.whole(closure(server)[MAP], server.knowledge.network_maps[MAP].tag))
    assert answers.is_unchanged(answer) and answer.body == b""


def test_a_cost_map_comes_with_the_version_that_it_depends_on() -> None:
    server = service()
    costs = answers.cost_map(*asked(server, requests.whole(closure(server)["numerical-routing-cost-map"])))
    assert costs.rows == COSTS and costs.cost_types == (ROUTING,) and not costs.is_multi
    assert costs.as_map() == server.knowledge.cost_map(server.knowledge.network_maps[MAP], ROUTING)
    answers.check_version("u", costs.dependent_vtags, server.knowledge.network_maps[MAP])
    with pytest.raises(
        StaleAnswerError, match=r"u: it depends on my-default-network-map as tagged .*; fetch the map again"
    ):
        answers.check_version("u", costs.dependent_vtags, NetworkMap(MAP, {"PID1": PIDS["PID3"]}))


def test_filters_endpoint_costs_and_properties_come_as_asked_for() -> None:
    server = service(knowledge().with_cost_map(MAP, HOPS, {"PID1": {"PID2": 3}}), MULTI)
    found = closure(server)
    part = answers.network_map(
        *asked(server, requests.filtered_network_map(found["filtered-network-map"], ["PID3"], ["ipv6"]))
    )
    assert part.pids == {"PID3": {"ipv6": ("::/0",)}} and part.tag == server.knowledge.network_maps[MAP].tag
    question = CostQuestion([ROUTING, HOPS], or_constraints=[["[0] le 1"], ["[1] eq 3"]])
    both = answers.cost_map(*asked(server, requests.filtered_cost_map(found["filtered-cost-map"], question, ["PID1"])))
    assert both.is_multi and both.rows == {"PID1": {"PID1": [1, None], "PID2": [5, 3]}}
    tested = CostQuestion([ROUTING], ["ge 3"], testable_cost_types=[HOPS])
    request = requests.endpoint_costs(found["endpoint-cost"], tested, [], ["ipv4:198.51.100.200", "ipv4:192.0.2.1"])
    assert answers.endpoint_costs(*asked(server, request)).rows == {"ipv4:192.0.2.9": {"ipv4:198.51.100.200": 5}}
    request = requests.endpoint_properties(found["endpoint-property"], [f"{MAP}.pid"], ["ipv4:192.0.2.1"])
    properties = answers.endpoint_properties(*asked(server, request))
    assert properties.values == {"ipv4:192.0.2.1": {f"{MAP}.pid": "PID1"}}
    assert properties.dependent_vtags == (server.knowledge.network_maps[MAP].vtag,)


def test_one_of_several_costs_is_an_array_of_one() -> None:
    server = service(capabilities=MULTI)
    request = requests.filtered_cost_map(
        closure(server)["filtered-cost-map"], CostQuestion([ROUTING], is_multi=True), ["PID3"]
    )
    assert answers.cost_map(*asked(server, request)).rows == {"PID3": {"PID1": [20], "PID2": [15]}}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda found: requests.whole(found["endpoint-cost"]), "endpoint-cost takes parameters"),
        (lambda found: requests.filtered_network_map(found[MAP]), f"{MAP} takes no parameters"),
        (
            lambda found: requests.filtered_cost_map(found["filtered-cost-map"], CostQuestion([CostType("tput")])),
            "does not offer numerical tput; it offers numerical routingcost",
        ),
        (
            lambda found: requests.filtered_cost_map(found["filtered-cost-map"], CostQuestion([ROUTING, HOPS])),
            "takes up to 1 cost types",
        ),
        (lambda found: requests.filtered_cost_map(found["filtered-cost-map"], CostQuestion([])), "takes up to 1"),
        (
            lambda found: requests.filtered_cost_map(
                found["filtered-cost-map"], CostQuestion([ROUTING], or_constraints=[["gt 1"]])
            ),
            "takes up to 1 cost types",
        ),
        (
            lambda found: requests.endpoint_costs(found["endpoint-cost"], CostQuestion([ROUTING])),
            "sources, destinations or",
        ),
        (
            lambda found: requests.endpoint_properties(found["endpoint-property"], ["priv:x"], ["ipv4:192.0.2.1"]),
            "does not offer priv:x; it offers my-default-network-map.pid",
        ),
        (
            lambda found: requests.endpoint_properties(found["endpoint-property"], [f"{MAP}.pid"], []),
            "at least one property and one endpoint",
        ),
    ],
)
def test_what_a_resource_does_not_offer_is_not_asked_for(make: Callable[[Closure], Request], reason: str) -> None:
    with pytest.raises(AltoDataError, match=reason):
        make(closure())


def test_constraints_are_not_sent_where_they_are_not_taken() -> None:
    found = closure(service(capabilities={"cost-type-names": NAMES}))
    with pytest.raises(AltoDataError, match="filtered-cost-map takes no constraints"):
        requests.filtered_cost_map(found["filtered-cost-map"], CostQuestion([ROUTING], ["gt 5"]))
    multi = closure(service(capabilities=MULTI))["filtered-cost-map"]
    with pytest.raises(AltoDataError, match="either constraints that all hold, or alternatives"):
        requests.filtered_cost_map(multi, CostQuestion([ROUTING], ["gt 5"], [["lt 5"]]))


# -- answers that are of no use ----------------------------------------------------------------------


def test_a_server_s_error_has_its_code_field_and_value() -> None:
    meta = {"code": "E_INVALID_FIELD_VALUE", "field": "pids", "value": "x", "unknown": 5}
    answer = Answer(400, {"Content-Type": media_types.ERROR}, json.dumps({"meta": meta}).encode())
    with pytest.raises(
        AltoRefused, match="u: the server answers 400 E_INVALID_FIELD_VALUE: field 'pids', value 'x'"
    ) as caught:
        answers.network_map("u", answer)
    assert (caught.value.code, caught.value.field, caught.value.value) == ("E_INVALID_FIELD_VALUE", "pids", "x")


def test_a_server_without_time_says_when_to_ask_again() -> None:
    with pytest.raises(AltoOverloaded, match="u: the server cannot answer now; ask again in 7 s") as caught:
        answers.cost_map("u", overloaded(7))
    assert caught.value.retry_after_s == 7
    with pytest.raises(AltoOverloaded, match=r"u: the server cannot answer now$"):
        answers.cost_map("u", Answer(503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}))


def test_a_directory_in_place_of_a_map_is_said() -> None:
    with pytest.raises(AltoAnswerError, match=r"u: .*networkmap.* was asked for, and a directory came in its place"):
        answers.network_map("u", directory({"resources": {}}))


NETWORK: dict[str, Any] = {
    "meta": {"vtag": {"resource-id": "m", "tag": "1"}},
    "network-map": {"A": {"ipv4": ["0.0.0.0/0"]}},
}
COST: dict[str, Any] = {
    "meta": {
        "dependent-vtags": [{"resource-id": "m", "tag": "1"}],
        "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
    },
    "cost-map": {"A": {"B": 1}},
}


def edited(document: Mapping[str, Any], path: str, value: object) -> bytes:
    changed = deepcopy(dict(document))
    *above, last = path.split("/")
    place: Any = changed
    for name in above:
        place = place[name]
    place[last] = value
    return json.dumps(changed).encode()


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("meta", [], "meta is not an object"),
        ("meta/vtag", None, "meta/vtag is missing"),
        ("meta/vtag/tag", "a b", "meta/vtag is no version tag"),
        ("network-map", 5, "network-map is not an object"),
        ("network-map/A", [], "network-map/A is not an object"),
        ("network-map/A/ipv4", "0.0.0.0/0", "network-map/A/ipv4 is not an array"),
        ("network-map/A/ipv4", [5], "network-map/A/ipv4 is not a string"),
        ("network-map/A/ipv4", ["x"], "A: 'x' is no ipv4 prefix"),
        ("network-map/B", {"ipv4": ["0.0.0.0/0"]}, "is in A and in B"),
        ("network-map/A B", {}, "'A B' is no PID name"),
    ],
)
def test_a_network_map_with_a_wrong_field_is_refused_by_its_path(path: str, value: object, reason: str) -> None:
    answer = Answer(200, {"Content-Type": media_types.NETWORK_MAP}, edited(NETWORK, path, value))
    with pytest.raises(AltoAnswerError, match=f"^u: .*{reason}"):
        answers.network_map("u", answer)


def test_a_pid_without_an_address_type_that_is_known_is_still_a_pid() -> None:
    octets = edited(NETWORK, "network-map/B", {"x25": [5], "mac48": "?"})
    network_map = answers.network_map("u", Answer(200, {"Content-Type": media_types.NETWORK_MAP}, octets))
    assert network_map.pids["B"] == {}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("meta/dependent-vtags", None, "meta/dependent-vtags is missing"),
        ("meta/dependent-vtags", [], "meta/dependent-vtags is empty"),
        ("meta/dependent-vtags", ["x"], "meta/dependent-vtags is not an object"),
        ("meta/cost-type", None, "meta/cost-type is missing"),
        ("meta/cost-type/cost-mode", "array", "'array' is no cost mode"),
        ("meta/cost-type/cost-context", {"cost-source": "sla"}, "the cost source of routingcost is `estimation`"),
        ("cost-map/A/B", "1", "cost-map/A/B: '1' is no finite cost"),
        ("cost-map/A/B", [1], "cost-map/A/B: .* is no finite cost"),
        ("cost-map/A", 1, "cost-map/A is not an object"),
        (
            "meta/multi-cost-types",
            [{"cost-mode": "numerical", "cost-metric": "hopcount"}],
            "cost-map/A/B is not an array",
        ),
    ],
)
def test_a_cost_map_with_a_wrong_field_is_refused_by_its_path(path: str, value: object, reason: str) -> None:
    answer = Answer(200, {"Content-Type": media_types.COST_MAP}, edited(COST, path, value))
    with pytest.raises(AltoAnswerError, match=f"^u: .*{reason}"):
        answers.cost_map("u", answer)


def test_an_array_of_costs_has_one_of_each_type() -> None:
    document = json.loads(edited(COST, "meta/multi-cost-types", [COST["meta"]["cost-type"]] * 2))
    octets = edited(document, "cost-map/A/B", [1])
    with pytest.raises(AltoAnswerError, match="cost-map/A/B has 1 costs of 2 types"):
        answers.cost_map("u", Answer(200, {"Content-Type": media_types.COST_MAP}, octets))


def test_a_property_of_an_endpoint_is_a_string() -> None:
    octets = json.dumps({"meta": {}, "endpoint-properties": {"ipv4:192.0.2.1": {"priv:x": 5}}}).encode()
    with pytest.raises(AltoAnswerError, match=r"endpoint-properties/ipv4:192\.0\.2\.1/priv:x is not a string"):
        answers.endpoint_properties("u", Answer(200, {"Content-Type": media_types.ENDPOINT_PROPERTIES}, octets))
