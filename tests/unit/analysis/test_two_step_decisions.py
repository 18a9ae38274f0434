"""Two rows of a flow, the site's and the instance's, read as one decision of the ingress."""

from __future__ import annotations

import pandas as pd

from testbed.analysis.dyncast.decisions.two_step_decisions import as_one


def decisions(*rows: tuple[float, str, int, str | None, str]) -> pd.DataFrame:
    columns = ["time_s", "d_router", "src_port", "d_bid", "egress"]
    flow = {"service": "render", "proto": "tcp", "src": "10.1.0.10", "d_sid": "203.0.113.10", "dst_port": 80}
    return pd.DataFrame(rows, columns=columns).assign(**flow)


def test_the_egress_s_choice_is_that_of_the_ingress() -> None:
    rows = decisions((1.0, "home", 1, None, "big"), (1.1, "home", 2, None, "big"), (1.2, "big", 2, "b", "big"),
                     (1.3, "big", 1, "a", "big"))  # fmt: skip
    found = as_one(rows)
    assert found[["time_s", "d_router", "src_port", "d_bid"]].to_numpy().tolist() == [
        [1.2, "home", 2, "b"],
        [1.3, "home", 1, "a"],
    ]


def test_what_no_egress_took_stays_and_a_later_choice_of_the_egress_alone_is_its_own() -> None:
    rows = decisions((1.0, "home", 1, None, "big"), (2.0, "home", 2, None, "big"), (2.1, "big", 2, "a", "big"),
                     (5.0, "big", 2, "b", "big"))  # fmt: skip
    found = as_one(rows)
    assert found["d_router"].tolist() == ["home", "home", "big"]
    assert found["d_bid"].isna().tolist() == [True, False, False]


def test_decisions_in_one_step_stay_as_they_are() -> None:
    rows = decisions((1.0, "home", 1, "a", "big"))
    assert as_one(rows) is rows
