"""What `dyncast test` makes of pytest's report."""

from testbed.cli.machine.run_tests import Outcome, read_outcome, unexcused

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest">
  <testcase classname="tests.a" name="passes"/>
  <testcase classname="tests.a" name="fails"><failure message="assert 1 == 2"/></testcase>
  <testcase classname="tests.a" name="breaks"><error message="fixture"/></testcase>
  <testcase classname="tests.a" name="expected"><skipped type="pytest.xfail" message="known"/></testcase>
  <testcase classname="tests.b" name="lacks"><skipped message="capability netem is missing: unknown"/></testcase>
  <testcase classname="tests.b" name="silent"><skipped message="Open vSwitch is not running"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted():
    outcome = read_outcome(REPORT)
    assert (outcome.passed, outcome.failed) == (2, 2)
    assert str(outcome) == "2 passed, 2 failed, 2 skipped"


def test_only_a_lacking_optional_capability_excuses_a_skip():
    assert unexcused(read_outcome(REPORT).skips) == [("tests.b::silent", "Open vSwitch is not running")]
    assert unexcused([("t", "needs root, whatever netem says")]) != []


def test_outcomes_of_tiers_add_up():
    assert str(Outcome(1, 0, (("a", "b"),)) + Outcome(2, 1)) == "3 passed, 1 failed, 1 skipped"
