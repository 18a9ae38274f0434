"""A whole system: one key, one process, one table, one section of the report. One line registers it."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

from testbed import systems
from testbed.analysis.html_report.blocks.page import Note
from testbed.analysis.system import ReportSection, SystemAnalysis
from testbed.experiment.launch.running import Running
from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.system import System
from testbed.records.columns import SECONDS, Table, number, whole
from testbed.records.writer import RecordWriter
from testbed.runtime.document import ProcessConfig
from testbed.runtime.lifecycle import announce_ready, run_recorded

TABLES = {"ticks": Table("tick", {"time_s": number(SECONDS, "when", required=True), "number": whole("from 0")})}


class TickerScenario(Scenario):
    tick_s: float | None = None
    """How long from one tick to the next; none: nothing ticks."""


class RunningTicker(Running):
    def start(self) -> None:
        tick_s, folder = TickerScenario.of(self.testbed.plan.scenario).tick_s, self.testbed.folder
        if tick_s is not None:
            self.testbed.processes.start(
                self.testbed.plan.sites[0], "tests.ticker", TickerConfig("ticker", folder, tick_s)
            )
            self.testbed.processes.wait_ready(["ticker"], timeout_s=20)


class Ticker(System):
    name, keys, work, running = "ticker", TickerScenario, ("tick_s",), RunningTicker


class TickerAnalysis(SystemAnalysis):
    sections = (ReportSection(45, "ticks", "Ticks", lambda report: [Note(f"{len(report.run.ticks)} ticks")]),)


@dataclass(frozen=True)
class TickerConfig(ProcessConfig):
    tick_s: float


async def tick(config: TickerConfig, records: RecordWriter) -> None:
    announce_ready(config)
    for count in range(sys.maxsize):
        records.write("ticks", {"time_s": time.monotonic(), "number": count})
        await asyncio.sleep(config.tick_s)


SYSTEM, ANALYSIS = Ticker(), TickerAnalysis()
systems.register("ticker", tables="tests.ticker", experiment="tests.ticker", analysis="tests.ticker")
if __name__ == "__main__":
    sys.exit(run_recorded(TickerConfig, tick, sys.argv))
