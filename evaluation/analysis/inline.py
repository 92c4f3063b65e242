"""The charts as inline SVG."""

from __future__ import annotations

from markupsafe import Markup

from ..curves import line_chart
from .charts import Chart, Lines
from .scatter import scatter_chart


def inline(chart: Chart) -> Markup:
    """The chart as an HTML figure."""
    if not isinstance(chart, Lines):
        return scatter_chart(chart)
    return line_chart(
        chart.title,
        chart.series,
        x_label=chart.x_label,
        unit=chart.unit,
        log_if_wide=chart.log_if_wide,
        from_zero=chart.from_zero,
        last_values=chart.last_values,
    )
