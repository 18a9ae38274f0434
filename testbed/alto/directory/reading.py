"""A directory read from JSON that somebody wrote: a server's, or an operator's file (RFC 7285, section 9.2.2).

Fields that are not known are passed over (8.3.7); what is known and wrong is an error that names its path.
"""

from __future__ import annotations

from testbed.alto.costs.cost_type import CostType
from testbed.alto.directory.directory import Directory
from testbed.alto.directory.entries import Capabilities, ResourceEntry
from testbed.alto.errors import AltoDataError
from testbed.alto.names import is_received_pid_name
from testbed.alto.typed_fields import texts, typed

_LISTS = ("cost-type-names", "testable-cost-type-names", "prop-types")


def read_directory(document: object) -> Directory:
    """Return the directory that a document is. Raises AltoDataError."""
    members = typed(document, dict, "the directory")
    meta = typed(members.get("meta", {}), dict, "meta")
    resources = typed(members.get("resources"), dict, "resources")
    cost_types = typed(meta.get("cost-types", {}), dict, "meta/cost-types")
    default = meta.get("default-alto-network-map")
    return Directory(
        tuple(_entry(resource_id, entry) for resource_id, entry in resources.items()),
        {name: _cost_type(name, said) for name, said in cost_types.items()},
        None if default is None else typed(default, str, "meta/default-alto-network-map"),
    )


def _cost_type(name: str, said: object) -> CostType:
    path = f"meta/cost-types/{name}"
    members = typed(said, dict, path)
    for field in ("cost-metric", "cost-mode"):
        typed(members.get(field), str, f"{path}/{field}")
    try:
        return CostType.of(members)
    except AltoDataError as error:
        raise AltoDataError(f"{path}: {error}") from None


def _entry(resource_id: str, said: object) -> ResourceEntry:
    path = f"resources/{resource_id}"
    if not is_received_pid_name(resource_id):
        raise AltoDataError(f"{path}: {resource_id!r} is no resource ID (RFC 7285, section 10.2)")
    members = typed(said, dict, path)
    return ResourceEntry(
        resource_id,
        typed(members.get("uri"), str, f"{path}/uri"),
        typed(members.get("media-type"), str, f"{path}/media-type").lower(),
        typed(members.get("accepts", ""), str, f"{path}/accepts").lower(),
        _capabilities(members.get("capabilities", {}), f"{path}/capabilities"),
        texts(members.get("uses", []), f"{path}/uses"),
    )


def _capabilities(said: object, path: str) -> Capabilities:
    members = typed(said, dict, path)
    for name in _LISTS:
        if name in members:
            texts(members[name], f"{path}/{name}")
    if "max-cost-types" in members:
        typed(members["max-cost-types"], int, f"{path}/max-cost-types")
    for domain, names in typed(members.get("mappings", {}), dict, f"{path}/mappings").items():
        texts(names, f"{path}/mappings/{domain}")
    return Capabilities(members)
