"""`rtp_quality.png`: loss, jitter and delay of RTP streams (RFC 3550), per service, one way and round trip."""

from __future__ import annotations

from pathlib import Path

from testbed.analysis.measures.summary import streams
from testbed.analysis.plots import style
from testbed.analysis.run_data.flow_kinds import WAYS
from testbed.analysis.run_data.loading import RunData

NAME = "rtp_quality.png"


def draw(run: RunData, path: Path) -> None:
    """Draw the picture. Raises NothingToDrawError when there were no streams."""
    table = streams(run)
    if table.empty:
        raise style.NothingToDrawError("there were no RTP streams")
    title = f"RTP streams: {run.scenario}, policy {run.policy}"
    with style.canvas(path, 9.6, 3.6, title, style.marks(run)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        colours = {service: style.SERIES[index % 8] for index, service in enumerate(sorted(table["service"].unique()))}
        for axes, column, heading, label in (
            (panels[0], "loss_percent", "Loss", "packets lost (%)"),
            (panels[1], "jitter_ms", "Interarrival jitter", "jitter (ms)"),
            (panels[2], "delay_mean_ms", "Delay", "mean delay of a stream (ms)"),
        ):
            end = style.value_axis(axes, label, table[column].dropna().to_numpy())
            for (service, direction), group in table.groupby(["service", "direction"]):
                values = group[column].dropna().to_numpy()
                if len(values):
                    style.share_curve(
                        axes,
                        values,
                        len(group),
                        end,
                        color=colours[service],
                        linestyle="-" if direction == "echo" else "--",
                        label=f"{service}, {WAYS.get(direction, direction)}: {len(group):,} streams",
                    )
            axes.set_title(heading)
        style.share_axis(panels[0], "share of streams")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(4, max(1, len(names))))
