"""Media types of ALTO: RFC 7285, section 14.1, RFC 9240 and RFC 8895."""

from __future__ import annotations

from typing import Final

DIRECTORY: Final = "application/alto-directory+json"
NETWORK_MAP: Final = "application/alto-networkmap+json"
NETWORK_MAP_FILTER: Final = "application/alto-networkmapfilter+json"
COST_MAP: Final = "application/alto-costmap+json"
COST_MAP_FILTER: Final = "application/alto-costmapfilter+json"
ENDPOINT_PROPERTIES: Final = "application/alto-endpointprop+json"
ENDPOINT_PROPERTY_PARAMS: Final = "application/alto-endpointpropparams+json"
ENDPOINT_COSTS: Final = "application/alto-endpointcost+json"
ENDPOINT_COST_PARAMS: Final = "application/alto-endpointcostparams+json"
ERROR: Final = "application/alto-error+json"

PROPERTY_MAP: Final = "application/alto-propmap+json"
PROPERTY_MAP_PARAMS: Final = "application/alto-propmapparams+json"

UPDATE_STREAM: Final = "text/event-stream"
UPDATE_STREAM_PARAMS: Final = "application/alto-updatestreamparams+json"
UPDATE_STREAM_CONTROL: Final = "application/alto-updatestreamcontrol+json"
MERGE_PATCH: Final = "application/merge-patch+json"


def essence(header: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()
