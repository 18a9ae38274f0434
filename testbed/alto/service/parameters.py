"""Input parameters of each service: RFC 7285, 11.3.1.3, 11.3.2.3, 11.4.1.3, 11.5.1.3; RFC 8189, 4.1.2; RFC 9240."""

from __future__ import annotations

from testbed.alto import names
from testbed.alto.costs import constraints
from testbed.alto.costs.cost_type import CostMode
from testbed.alto.maps.addresses import is_typed_address
from testbed.alto.service.request_forms import Array, Fields, Form, Required, Text

_MODES = frozenset(mode.value for mode in CostMode)
_PIDS = Array(Text(names.is_received_pid_name))
_ADDRESSES = Array(Text(is_typed_address))
_CONSTRAINTS = Array(Text(lambda text: constraints.parse(text) is not None))
_COST_TYPE = Form(
    {"cost-metric": Required(Text(names.is_cost_metric)), "cost-mode": Required(Text(lambda mode: mode in _MODES))}
)
_MULTI_COSTS: Fields = {
    "cost-type": _COST_TYPE,
    "multi-cost-types": Array(_COST_TYPE, at_least=1),
    "testable-cost-types": Array(_COST_TYPE, at_least=1),
    "constraints": _CONSTRAINTS,
    "or-constraints": Array(Array(_CONSTRAINTS.element, at_least=1), at_least=1),
}
_SINGLE_COST: Fields = {"cost-type": Required(_COST_TYPE), "constraints": _CONSTRAINTS}
_PID_FILTER: Fields = {"pids": Form({"srcs": Required(_PIDS), "dsts": Required(_PIDS)})}
_ENDPOINT_FILTER: Fields = {"endpoints": Required(Form({"srcs": _ADDRESSES, "dsts": _ADDRESSES}))}

NETWORK_MAP_FILTER = Form({"pids": Required(_PIDS), "address-types": Array(Text(names.is_address_type))})
COST_MAP_FILTER = Form({**_SINGLE_COST, **_PID_FILTER})
MULTI_COST_MAP_FILTER = Form({**_MULTI_COSTS, **_PID_FILTER})
ENDPOINT_COSTS = Form({**_SINGLE_COST, **_ENDPOINT_FILTER})
MULTI_ENDPOINT_COSTS = Form({**_MULTI_COSTS, **_ENDPOINT_FILTER})
ENDPOINT_PROPERTIES = Form(
    {
        "properties": Required(Array(Text(names.is_property), at_least=1)),
        "endpoints": Required(Array(_ADDRESSES.element, at_least=1)),
    }
)
PROPERTY_MAP_FILTER = Form({"entities": Required(Array(Text(), 1)), "properties": Required(Array(Text(), 1))})
