import math
import re
import xml.etree.ElementTree as ET

import pytest

from kdzoo.engine.metrics.intervals import wilson
from kdzoo.evaluation.charts import Level, Lines, Series
from kdzoo.evaluation.dots import Score, dot_plot
from kdzoo.evaluation.drawing import draw
from kdzoo.evaluation.page import count, duration
from kdzoo.evaluation.scales import linear_scale, log_scale, number


def line_chart(title: str, series: list[Series], levels: tuple[Level, ...] = (), x_label: str = "epochs") -> str:
    return draw(Lines(title=title, series=tuple(series), x_label=x_label, levels=levels))


def svg_of(chart: str) -> ET.Element:
    return ET.fromstring(re.findall(r"<svg viewBox=\"0 0 360.*?</svg>", chart, re.DOTALL)[0])


def line_points(chart: str) -> list[tuple[float, float]]:
    path = next(p for p in svg_of(chart).iter("path") if p.get("class") == "line c0")
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d") or "")]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.1, 0.10001), (-3, 1e6), (1e-9, 3e-9), (5, 5), (0, 0), (97.3, 100)]
)
def test_a_linear_scale_covers_its_values_with_a_few_round_ticks(low: float, high: float) -> None:
    scale = linear_scale(low, high, 10, 110)
    assert 10 - 1e-6 <= scale(low) <= scale(high) <= 110 + 1e-6
    assert 2 <= len(scale.ticks) <= 7
    assert scale.ticks[0] <= low
    assert scale.ticks[-1] >= high * (1 - 1e-12)
    labels = [number(tick, scale.step) for tick in scale.ticks]
    assert len(set(labels)) == len(labels)


def test_equal_factors_take_equal_lengths_on_a_logarithmic_scale() -> None:
    scale = log_scale(1e-4, 0.1, 0, 300)
    assert scale(1e-3) - scale(1e-4) == pytest.approx(scale(0.1) - scale(0.01))
    assert scale.ticks == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1))


def test_higher_values_stand_higher_and_later_ones_further_right() -> None:
    points = line_points(line_chart("t", [Series("s", ((1, 0.0), (2, 5.0), (3, 2.0)))], x_label="epochs"))
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[1][1] < points[2][1] < points[0][1]


def test_a_value_that_is_not_finite_interrupts_the_line() -> None:
    chart = line_chart("t", [Series("s", ((1, 1.0), (2, math.nan), (3, 2.0)))], x_label="steps")
    path = next(p for p in svg_of(chart).iter("path") if p.get("class") == "line c0")
    assert (path.get("d") or "").count("M") == 2
    assert "nan" not in chart


def test_a_long_series_is_thinned_to_means_with_the_range_around_them() -> None:
    values = tuple((float(i), math.sin(i)) for i in range(9000))
    chart = line_chart("t", [Series("s", values)], x_label="steps")
    assert len(line_points(chart)) == 120
    assert any("band" in (p.get("class") or "") for p in svg_of(chart).iter("path"))
    assert len(chart) < 15_000


def test_series_differ_by_dashes_and_not_by_colour_alone() -> None:
    lines = [Series(f"s{i}", ((0, i), (1, i + 1.0))) for i in range(7)]
    dashes = [p.get("stroke-dasharray") for p in svg_of(line_chart("t", lines, x_label="x")).iter("path")]
    assert len({dash for dash in dashes if dash is not None}) == 7


def test_a_chart_speaks_its_last_values() -> None:
    chart = line_chart("Loss", [Series("a", ((0, 1.0), (1, 0.25)))], x_label="epochs", levels=(Level("limit", 0.1),))
    assert svg_of(chart).get("aria-label") == "Loss: a ends at 0.25"
    assert "limit <b>0.1</b>" in chart


def test_nothing_recorded_is_said() -> None:
    assert "nothing was recorded" in line_chart("t", [Series("s", ((0, math.nan),))], x_label="x")


def test_the_interval_is_wilson_s() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, Table I, method 3: 81 of 263.
    low, high = wilson(100 * 81 / 263, 263)
    assert (low, high) == (pytest.approx(25.53, abs=0.01), pytest.approx(36.62, abs=0.01))
    assert wilson(100.0, 148)[1] == pytest.approx(100.0)
    assert wilson(0.0, 148) == (pytest.approx(0.0, abs=1e-9), pytest.approx(2.53, abs=0.01))


def test_a_better_model_stands_further_right() -> None:
    rows = dot_plot(
        [Score("a", "teacher", 90.0, 100), Score("b", "student", 80.0, 0), Score("c", "student", math.nan, 9)]
    )
    marks = [float(x) for x in re.findall(r'class="mark" style="left:([\d.]+)%', rows)]
    assert len(marks) == 2
    assert marks[0] > marks[1]
    assert dot_plot([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.44, "8.4 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (273_600, "3 d 4 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert [number(v) for v in (0.0, -0.5, 1437.0, 1e-5, 2.5e9, math.inf)] == [
        *("0", "−0.5", "1437", "1e-5", "2.5e9", "not finite"),
    ]
    assert count(1437) == "1\u2009437"
