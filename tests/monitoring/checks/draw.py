"""Pictures of the dashboards for the documentation: the panels as they lie in Grafana, drawn from what Prometheus saw."""

import datetime
import math
import pathlib
import re

import boards
import matplotlib
from matplotlib import dates, pyplot, ticker
from PIL import Image
from units import written

matplotlib.use("Agg")
TO = pathlib.Path(__file__).resolve().parents[3] / "docs" / "pictures"
# Inches: a column and a row of the grid, and what lies between panels.
COLUMN, ROW, GAP = 0.6, 0.34, 0.07
SCALE = 100
# Of a legend; what is beyond is left out.
MOST_ROWS = 4
PAGE, PANEL, EDGE, TEXT, QUIET = "#111217", "#181b1f", "#2a2d33", "#d4d5dd", "#8e9199"
HUES = {"green": "#73bf69", "blue": "#5794f2", "orange": "#ff9830", "red": "#f2495c"}
LINES = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37c2d4", "#96d98d", "#ffa6b0", "#8ab8ff"]
pyplot.rcParams.update({"font.size": 8, "text.color": TEXT, "font.family": "DejaVu Sans", "axes.edgecolor": EDGE})


def all_boards(prometheus, begin, end):
    TO.mkdir(parents=True, exist_ok=True)
    for name in boards.NAMES:
        Board(boards.load(name), prometheus, begin, end).save(TO / f"dashboard-{name}.png")


class Board:
    def __init__(self, board, prometheus, begin, end):
        self.board, self.prometheus, self.begin, self.end = board, prometheus, begin, end
        bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
        self.size = (24 * COLUMN + 2 * GAP, bottom * ROW + 0.5)
        self.figure = pyplot.figure(figsize=self.size, dpi=SCALE, facecolor=PAGE)
        self.figure.text(0.008, 1 - 0.3 / self.size[1], board["title"], fontsize=13, weight="bold")
        for panel in board["panels"]:
            self.panel(panel)

    def save(self, path):
        self.figure.savefig(path, facecolor=PAGE)
        pyplot.close(self.figure)
        Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)

    def box(self, pos, left=0.0, bottom=0.0, right=0.0, top=0.0):
        """Axes over a part of the grid, less these margins in inches."""
        width, height = self.size
        x, y = GAP + pos["x"] * COLUMN + left, height - 0.5 - (pos["y"] + pos["h"]) * ROW + bottom
        w, h = pos["w"] * COLUMN - GAP - left - right, pos["h"] * ROW - GAP - bottom - top
        return self.figure.add_axes((x / width, y / height, w / width, h / height))

    def panel(self, panel):
        pos = panel["gridPos"]
        if panel["type"] == "row":
            strip = blank(self.box(pos))
            strip.text(0.004, 0.45, f"▾ {panel['title']}", fontsize=9.5, weight="bold", va="center", transform=strip.transAxes)
            return
        frame = blank(self.box(pos))
        frame.set_facecolor(PANEL)
        frame.patch.set_visible(True)
        x, y = 0.08 / (pos["w"] * COLUMN), 1 - 0.16 / (pos["h"] * ROW)
        frame.text(x, y, panel["title"], fontsize=8.5, va="center", transform=frame.transAxes)
        draw = {"stat": self.number, "timeseries": self.lines, "bargauge": self.bars, "table": self.table, "heatmap": self.heat}
        draw[panel["type"]](panel, pos)

    def asked(self, panel):
        """Label and points of every series of a panel."""
        for target in panel["targets"]:
            query = boards.substituted(target["expr"], "10s", f"{round(self.end - self.begin)}s")
            # What is asked of a moment is asked of one in which there was traffic.
            found = self.prometheus.now(query, self.end) if target.get("instant") else self.prometheus.over(query, self.begin, self.end)
            for labels, points in found:
                label = re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m.group(1), ""), target.get("legendFormat") or "")
                yield label, labels, [(float(at), float(value)) for at, value in points if not math.isnan(float(value))]

    def number(self, panel, pos):
        unit, defaults = panel["fieldConfig"]["defaults"]["unit"], panel["fieldConfig"]["defaults"]
        points = next((points for _, _, points in self.asked(panel) if points), [])
        if not points:
            return
        colour = level(points[-1][1], defaults)
        spark = blank(self.box(pos, 0.02, 0.02, 0.02, 0.65))
        spark.plot(*zip(*points), color=colour, linewidth=1)
        spark.fill_between([at for at, _ in points], [value for _, value in points], color=colour, alpha=0.18)
        spark.set_ylim(0, max(max(value for _, value in points), 1e-9) * 1.15)
        spark.margins(x=0)
        room = blank(self.box(pos))
        text = written(points[-1][1], unit, defaults.get("decimals"))
        room.text(0.5, 0.56, text, fontsize=20, weight="bold", color=colour, ha="center", va="center", transform=room.transAxes)

    def lines(self, panel, pos):
        defaults, options = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["defaults"].get("custom", {})
        found = sorted(((label, points) for label, _, points in self.asked(panel) if points), key=lambda one: one[0])
        overrides = panel["fieldConfig"].get("overrides", [])
        named = {one["matcher"]["options"]: one["properties"][0]["value"]["fixedColor"] for one in overrides}
        colours = [HUES[named[label]] if label in named else LINES[n % len(LINES)] for n, (label, _) in enumerate(found)]
        rows = legend_rows(found, pos)
        axes = self.box(pos, 0.62, 0.32 + 0.16 * rows, 0.12, 0.34)
        plain(axes)
        if options.get("stacking", {}).get("mode") == "normal":
            moments = sorted({at for _, points in found for at, _ in points})
            stacks = [[dict(points).get(at, 0.0) for at in moments] for _, points in found]
            axes.stackplot([clock(at) for at in moments], stacks, colors=colours, alpha=0.55, linewidth=0)
        else:
            for (_, points), colour in zip(found, colours):
                axes.plot([clock(at) for at, _ in points], [value for _, value in points], color=colour, linewidth=1.2)
        top = max((value for _, points in found for _, value in points), default=0)
        dashed = options.get("thresholdsStyle", {}).get("mode") == "dashed"
        for step in defaults.get("thresholds", {}).get("steps", []) if dashed else []:
            # One that is far off would press the lines flat.
            if step["value"] is not None and step["value"] <= max(top * 3, 1e-9):
                axes.axhline(step["value"], color=HUES[step["color"]], linewidth=0.8, linestyle=(0, (4, 4)))
        axes.set_ylim(bottom=0, top=None if axes.get_ylim()[1] > 0 and top > 0 else 1)
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: written(value, defaults["unit"])))
        axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
        self.time(axes)
        legend(self.box(pos, 0.12, 0.04, 0.1, pos["h"] * ROW - GAP - 0.1 - 0.16 * rows), [label for label, _ in found], colours, pos)

    def time(self, axes):
        axes.set_xlim(clock(self.begin), clock(self.end))
        axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=2, maxticks=5))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))

    def bars(self, panel, pos):
        defaults = panel["fieldConfig"]["defaults"]
        found = sorted(((label, points[-1][1]) for label, _, points in self.asked(panel) if points), key=lambda one: (-one[1], one[0]))
        axes = blank(self.box(pos, 0.12, 0.08, 0.12, 0.36))
        most = defaults.get("max") or max((value for _, value in found), default=1) or 1
        for n, (label, value) in enumerate(found):
            axes.barh(n, 1, height=0.42, color=EDGE)
            axes.barh(n, min(value / most, 1), height=0.42, color=level(value, defaults))
            axes.text(0, n - 0.27, label, fontsize=6.5, color=QUIET, va="bottom")
            axes.text(1, n - 0.27, written(value, defaults["unit"]), fontsize=7, ha="right", va="bottom")
        axes.set_xlim(0, 1)
        axes.set_ylim(max(len(found), 4) - 0.6, -0.8)

    def table(self, panel, pos):
        found = [(labels, points[-1][1]) for _, labels, points in self.asked(panel) if points]
        columns = sorted({key for labels, _ in found for key in labels}) + ["Value"]
        axes = blank(self.box(pos, 0.12, 0.08, 0.12, 0.4))
        lines = int(pos["h"] * ROW / 0.2) - 3
        told = [[labels.get(key, "") for key in columns[:-1]] + [f"{value:g}"] for labels, value in found[:lines]]
        if not told:
            axes.text(0.5, 0.5, "No data", fontsize=9, color=QUIET, ha="center", va="center")
        for y, cells in enumerate([columns] + told if told else []):
            style = {"color": TEXT} if y else {"color": QUIET, "weight": "bold"}
            for x, cell in enumerate(cells):
                axes.text(x / len(columns), 1 - (y + 0.5) / (lines + 1), cell, fontsize=7, va="center", **style)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)

    def heat(self, panel, pos):
        found = sorted((float(labels["le"]), dict(points)) for _, labels, points in self.asked(panel) if labels.get("le"))
        moments = sorted({at for _, points in found for at in points})
        counts = [[points.get(at, 0.0) for at in moments] for _, points in found]
        cells = [[max(high - low, 0.0) for high, low in zip(row, below)] for row, below in zip(counts, [[0.0] * len(moments)] + counts)]
        axes = plain(self.box(pos, 0.62, 0.32, 0.12, 0.34))
        span = (dates.date2num(clock(self.begin)), dates.date2num(clock(self.end)), -0.5, len(found) - 0.5)
        shown = [[math.sqrt(value) if value else math.nan for value in row] for row in cells]
        axes.imshow(shown, aspect="auto", origin="lower", cmap="inferno", extent=span)
        self.time(axes)
        axes.set_yticks(range(0, len(found), 2), ["∞" if math.isinf(le) else written(le, "bytes") for le, _ in found][::2])
        axes.grid(False)


def clock(at):
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def blank(axes):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.patch.set_visible(False)
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def plain(axes):
    axes.set_facecolor(PANEL)
    axes.grid(color=EDGE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET, labelsize=6.5, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def level(value, defaults):
    """The colour of the highest step that the value reaches."""
    colour = "green"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return HUES[colour]


def placed(labels, pos):
    """Where the entries of a legend stand: row and inches from the left."""
    row, x, room = 0, 0.0, pos["w"] * COLUMN - 0.4
    for label in labels:
        width = 0.3 + 0.053 * len(label)
        if x and x + width > room:
            row, x = row + 1, 0.0
        yield row, x
        x += width


def legend_rows(found, pos):
    return min(MOST_ROWS, max((row for row, _ in placed([label for label, _ in found], pos)), default=0) + 1)


def legend(axes, labels, colours, pos):
    blank(axes)
    axes.set_xlim(0, pos["w"] * COLUMN - GAP - 0.22)
    axes.set_ylim(legend_rows([(label, None) for label in labels], pos), 0)
    for (row, x), label, colour in zip(placed(labels, pos), labels, colours):
        if row < MOST_ROWS:
            axes.plot([x, x + 0.14], [row + 0.5] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.text(x + 0.19, row + 0.5, label, fontsize=6.8, color=TEXT, va="center")
