"""What the dashboards are built with: a panel is a title, a sentence, a unit and queries.

Queries are PromQL with three words of our own, so that selectors stand in one place:
  {NS}, {NS, x="y"}    the chosen namespaces
  {POD}, {POD, x="y"}  the chosen pods
  [I]                  the interval that rates are taken over
"""

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries

SOURCE = models.DataSourceRef(type_val="prometheus", uid="$datasource")
WORDS = {
    "{NS": '{namespace=~"$namespace"',
    "{POD": '{namespace=~"$namespace", pod=~"$pod"',
    "[I]": "[$__rate_interval]",
}
# What a colour means is the same on every panel.
COLOURS = {"allow": "green", "redact": "blue", "deny": "orange", "escaped": "red", "failed": "orange", "blocked": "green"}
WIDTH = 24


def expression(text):
    """PromQL, with our words replaced."""
    for word, stands_for in WORDS.items():
        text = text.replace(word, stands_for)
    return " ".join(text.split())


def targets(panel, asked, instant=False, form=queries.PromQueryFormat.TIME_SERIES):
    """`asked`: pairs of legend and query."""
    for index, (legend, query) in enumerate(asked):
        target = prometheus.Dataquery().expr(expression(query)).legend_format(legend).ref_id(chr(ord("A") + index)).format(form)
        panel.with_target(target.instant() if instant else target.range())
    return panel


def steps(*values, first="green"):
    """Thresholds: the first colour, then from each value on its own."""
    all_steps = [models.Threshold(value=None, color=first)] + [models.Threshold(value=v, color=c) for v, c in values]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(all_steps)


def common_parts(panel, title, says, unit, width, height, most=None):
    """What every panel has."""
    panel.title(title).description(says).datasource(SOURCE).unit(unit).span(width).height(height)
    return panel if most is None else panel.max(most)


def lines(title, says, unit, *asked, width=8, height=8, stacked=False, limits=(), most=None, least=0):
    """Lines over time; `limits` are drawn as dashes."""
    panel = common_parts(timeseries.Panel(), title, says, unit, width, height, most)
    panel.line_width(1).fill_opacity(30 if stacked else 8).show_points(kinds.VisibilityMode.NEVER).min(least)
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    panel.legend(
        common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM).show_legend(True)
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(steps(*limits)).thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    for name, colour in COLOURS.items():
        panel.override_by_name(name, [models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return targets(panel, asked)


def number(title, says, unit, query, limits=(), width=4, height=4, decimals=None):
    """One number, coloured by how bad it is."""
    panel = common_parts(stat.Panel(), title, says, unit, width, height)
    panel.color_mode(kinds.BigValueColorMode.VALUE).graph_mode(kinds.BigValueGraphMode.AREA).thresholds(steps(*limits))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    if decimals is not None:
        panel.decimals(decimals)
    return targets(panel, [("", query)])


def bars(title, says, unit, *asked, width=8, height=8, limits=(), first="green", most=None):
    """The present values, longest first as they come."""
    panel = common_parts(bargauge.Panel(), title, says, unit, width, height, most).min(0)
    panel.orientation(kinds.VizOrientation.HORIZONTAL).display_mode(kinds.BarGaugeDisplayMode.BASIC).thresholds(steps(*limits, first=first))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    return targets(panel, asked, instant=True)


def rows(title, says, unit, *asked, hide=("Time",), width=8, height=8):
    """A table of the present values, one series a line."""
    panel = common_parts(table.Panel(), title, says, unit, width, height)
    panel.with_transformation(models.DataTransformerConfig("organize", {"excludeByName": {name: True for name in hide}}))
    return targets(panel, asked, instant=True, form=queries.PromQueryFormat.TABLE)


def distribution(title, says, unit, query, width=8, height=8):
    """How a histogram's buckets fill over time."""
    panel = common_parts(heatmap.Panel(), title, says, unit, width, height)
    panel.y_axis(heatmap.YAxisConfig().unit(unit))
    return targets(panel, [("{{le}}", query)], form=queries.PromQueryFormat.HEATMAP)


def quantiles(histogram, selector):
    """The usual three of a histogram, as pairs of legend and query."""
    return [
        (f"p{round(q * 100)}", f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket{selector}[I])))") for q in (0.5, 0.9, 0.99)
    ]


def variable(name, label, query):
    """A list to choose from, everything at first."""
    every = models.VariableOption(text="All", value="$__all", selected=True)
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


def build(uid, title, says, sections):
    """A dashboard of rows: pairs of a name and its panels, which flow from left to right."""
    ours = "portcullis_streams_limit|portcullis_certificates_ads_streams|portcullis_probe_escapes|envoy_http_ext_proc_streams_started"
    board = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(says)
        .tags(["portcullis"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("namespace", "Namespace", f'label_values({{__name__=~"{ours}"}}, namespace)'))
        .with_variable(variable("pod", "Pod", f'label_values({{__name__=~"{ours}", namespace=~"$namespace"}}, pod)'))
        .link(dashboard.DashboardLink("Portcullis").type(models.DashboardLinkType.DASHBOARDS).tags(["portcullis"]).as_dropdown(True))
    )
    for name, panels in sections:
        board.with_row(dashboard.Row(name))
        for panel in panels:
            board.with_panel(panel)
    return board.build()
