"""Numbers as Grafana writes them, as far as our dashboards use its units."""

DAY = 86400
# From which on, of what size, called what.
TIMES = [
    (1e-6, 1e-6, "µs"),
    (1e-3, 1e-3, "ms"),
    (1, 1, "s"),
    (60, 60, "min"),
    (3600, 3600, "h"),
    (DAY, DAY, "d"),
    (14 * DAY, 7 * DAY, "w"),
]
SIZES = ["B", "KiB", "MiB", "GiB", "TiB"]


def scaled(value, step, names, decimals):
    index = 0
    while abs(value) >= step and index < len(names) - 1:
        value, index = value / step, index + 1
    return f"{trimmed(value, decimals)}{names[index]}"


def trimmed(value, decimals):
    """Three figures that count, or as many decimals as were asked for."""
    if decimals is not None:
        return f"{value:.{int(decimals)}f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def seconds(value, decimals):
    if value == 0:
        return "0 s"
    _, size, name = max((one for one in TIMES if one[0] <= abs(value)), default=TIMES[0])
    return f"{trimmed(value / size, decimals)} {name}"


def written(value, unit, decimals=None):
    """A value with its unit."""
    if unit == "locale":
        return f"{value:,.0f}"
    if unit == "percentunit":
        return f"{trimmed(value * 100, decimals)} %"
    if unit == "percent":
        return f"{trimmed(value, decimals)} %"
    if unit in ("s", "ms"):
        return seconds(value if unit == "s" else value / 1000, decimals)
    if unit in ("bytes", "Bps"):
        return scaled(value, 1024, [f" {name}" for name in SIZES], decimals) + ("/s" if unit == "Bps" else "")
    rate = {"reqps": " req/s", "cps": " /s"}.get(unit, "")
    return scaled(value, 1000, ["", "k", "M", "G"], decimals) + rate
