"""The server as one of HTTP: methods, negotiation, conditional requests, sizes, updates (RFC 7285, 8.3 and 9.2)."""

from __future__ import annotations

import pytest

from testbed.alto import media_types
from testbed.alto.costs.cost_type import CostMode, CostType
from testbed.alto.directory.reading import read_directory
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service import negotiation
from testbed.alto.service.exchange import Answer, Request, elsewhere, overloaded
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from tests.alto_samples import CUSTOM, MAP, PIDS, ROOT, ROUTING, document, get, knowledge, post, service

COST_MAP = "/costmap/num/routingcost"


def test_what_no_directory_has_is_not_found() -> None:
    for path in ("/", "/networkmap/", "//", "http://[", ""):
        assert get(service(), path).status == 404


def test_a_query_and_an_absolute_uri_lead_to_the_path() -> None:
    assert get(service(), "http://alto.example.com/networkmap?x=1").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/networkmap", "GET, HEAD, OPTIONS"),
        ("DELETE", "/directory", "GET, HEAD, OPTIONS"),
        ("GET", "/costmap/filtered", "POST, OPTIONS"),
        ("HEAD", "/costmap/filtered", "POST, OPTIONS"),
    ],
)
def test_another_method_is_refused_and_the_right_ones_are_said(method: str, path: str, allowed: str) -> None:
    answer = service().answer(Request(method, path))
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    assert service().answer(Request("OPTIONS", path)) == Answer(204, {"Allow": allowed})


def test_head_is_get_without_the_body() -> None:
    whole, head = get(service(), COST_MAP), service().answer(Request("HEAD", COST_MAP))
    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")


def test_parameters_of_another_type_are_refused_and_the_right_one_is_said() -> None:
    for sent in ("application/json", media_types.NETWORK_MAP_FILTER, ""):
        answer = post(service(), "/costmap/filtered", {}, Content_Type=sent)
        assert (answer.status, answer.headers["Accept"]) == (415, media_types.COST_MAP_FILTER)


def test_a_media_type_may_have_parameters_and_capitals() -> None:
    sent = media_types.COST_MAP_FILTER.upper() + "; charset=utf-8"
    assert post(service(), "/costmap/filtered", {"cost-type": ROUTING.document()}, content_type=sent).status == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (media_types.COST_MAP, 200),
        (f"{media_types.DIRECTORY},{media_types.COST_MAP};q=0.5", 200),
        ("application/*", 200),
        ("*/*;q=0.1", 200),
        ("", 200),
        (media_types.NETWORK_MAP, 406),
        (f"{media_types.ERROR}", 406),
        (f"*/*, {media_types.COST_MAP};q=0", 406),
        ("text/html", 406),
    ],
)
def test_a_client_gets_what_it_can_read_or_406(accept: str, status: int) -> None:
    assert get(service(), COST_MAP, Accept=accept).status == status


def test_the_most_exact_range_says_how_much_a_type_is_wanted() -> None:
    accept = "*/*;q=0.1, application/*;q=0.2, application/alto-costmap+json;q=0.3"
    wanted = [negotiation.quality(accept, name) for name in (media_types.COST_MAP, media_types.ERROR, "text/html")]
    assert wanted == [0.3, 0.2, 0.1] and negotiation.quality(None, "text/html") == 1


@pytest.mark.parametrize("path", ["/directory", "/networkmap", COST_MAP, "/ord/routingcost"])
def test_a_client_that_has_it_gets_304_and_no_body(path: str) -> None:
    server = service()
    tag = get(server, path).headers["ETag"]
    for header in (tag, f'"other", W/{tag}', "*"):
        answer = get(server, path, If_None_Match=header)
        assert (answer.status, answer.headers["ETag"], answer.body) == (304, tag, b"")
    assert get(server, path, If_None_Match='"other"').status == 200


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    server = Service(
        knowledge(), {"/directory": read_directory(ROOT), "/maps": read_directory(CUSTOM)}, largest_body=20
    )
    assert post(server, "/networkmap/filtered", b'{"pids": ["PID1"]  }').status == 200
    assert post(server, "/networkmap/filtered", b'{"pids": ["PID1"]   }').status == 413


def test_a_cost_that_was_set_is_in_the_next_answers_under_another_tag() -> None:
    server = service()
    before = get(server, COST_MAP)
    server.update(server.knowledge.with_cost(MAP, ROUTING, "PID1", "PID3", 11))
    after = get(server, COST_MAP, If_None_Match=before.headers["ETag"])
    assert after.status == 200 and document(after)["cost-map"]["PID1"] == {"PID1": 1, "PID2": 5, "PID3": 11}
    server.update(server.knowledge.with_cost(MAP, ROUTING, "PID1", "PID3", 10))
    assert get(server, COST_MAP, If_None_Match=before.headers["ETag"]).status == 304


def test_ranks_follow_the_costs_that_they_are_made_of() -> None:
    server = service()
    server.update(server.knowledge.with_cost(MAP, ROUTING, "PID1", "PID3", 0))
    answer = document(get(server, "/ord/routingcost"))
    assert answer["meta"]["cost-type"] == {"cost-mode": "ordinal", "cost-metric": "routingcost"}
    assert answer["cost-map"]["PID1"] == {"PID1": 2, "PID2": 3, "PID3": 1}


def test_another_network_map_changes_the_tags_that_depend_on_it_and_drops_costs_of_pids_that_are_gone() -> None:
    server = service()
    before = document(get(server, COST_MAP))
    left = {"PID1": PIDS["PID1"], "PID3": PIDS["PID3"]}
    server.update(server.knowledge.with_network_map(NetworkMap(MAP, left)))
    after = document(get(server, COST_MAP))
    assert after["cost-map"] == {"PID1": {"PID1": 1, "PID3": 10}, "PID3": {"PID1": 20}}
    assert after["meta"]["dependent-vtags"] == [document(get(server, "/networkmap"))["meta"]["vtag"]]
    assert after["meta"]["dependent-vtags"] != before["meta"]["dependent-vtags"]


def test_what_cannot_be_known_is_refused_by_name() -> None:
    with pytest.raises(AltoDataError, match=r"there is no network map 'x'; there are: my-default"):
        knowledge().with_cost("x", ROUTING, "PID1", "PID1", 1)
    with pytest.raises(AltoDataError, match=r"my-default-network-map has no PID 'PID9'"):
        knowledge().with_cost(MAP, ROUTING, "PID1", "PID9", 1)
    with pytest.raises(AltoDataError, match=r"my-default-network-map has no PID 'PID9'"):
        knowledge().with_cost_map(MAP, ROUTING, {"PID9": {"PID1": 1}})
    with pytest.raises(AltoDataError, match="is in no PID"):
        Knowledge().with_network_map(NetworkMap("m", {"A": {"ipv4": ["192.0.2.0/24"]}}))
    with pytest.raises(AltoDataError, match="neither a typed address nor a typed prefix"):
        knowledge().with_endpoint_property("priv:x", {"192.0.2.1": "1"})
    with pytest.raises(AltoDataError, match="no name of a global property"):
        knowledge().with_endpoint_property("my-map.pid", {})
    with pytest.raises(AltoDataError):
        knowledge().with_endpoint_costs(
            CostType("routingcost", CostMode.ORDINAL), {("ipv4:192.0.2.1", "ipv4:192.0.2.1"): 1.5}
        )
    with pytest.raises(AltoDataError, match=r"'192\.0\.2\.1' is no typed address"):
        knowledge().with_endpoint_costs(ROUTING, {("ipv4:192.0.2.1", "192.0.2.1"): 1})


def test_a_server_that_has_too_much_to_do_says_when_to_come_again_or_where_to_go() -> None:
    assert (overloaded(5).status, overloaded(5).headers["Retry-After"]) == (503, "5")
    assert (elsewhere("https://b.example/x").status, elsewhere("https://b.example/x").headers["Location"]) == (
        307,
        "https://b.example/x",
    )
