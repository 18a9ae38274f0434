"""The update stream in a directory."""

from __future__ import annotations

from testbed.alto.updates.directory_entry import stream_entry


def test_the_directory_has_what_the_rfc_s_example_has() -> None:
    uses = ["my-network-map", "my-routingcost-map", "my-simple-filtered-cost-map"]
    uri = "https://alto.example.com/updates/costs"
    assert stream_entry("update-my-costs", uri, uses, whole_only=["my-simple-filtered-cost-map"]).document() == {
        "uri": uri,
        "media-type": "text/event-stream",
        "accepts": "application/alto-updatestreamparams+json",
        "uses": uses,
        "capabilities": {
            "incremental-change-media-types": {
                "my-network-map": "application/merge-patch+json",
                "my-routingcost-map": "application/merge-patch+json",
            },
            "support-stream-control": True,
        },
    }
