import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kdzoo.base.run_record import read_run
from kdzoo.evaluation.overview import ComparedModel, verdict, write_overview
from kdzoo.evaluation.run_sections import differences

LABELS = ComparedModel("on labels", "baseline", 78_042, 95.0, 0.2, 360, 6.0, None)


@pytest.mark.parametrize(
    ("top1", "num_images", "expected"),
    [
        (96.0, 360, "1.00 points above the one trained on labels (96.00 % against 95.00 %): 360 images leave ±3.0"),
        (94.0, 360, "1.00 points below"),
        (99.5, 360, "beyond the ±2.4 points that 360 images leave open: distillation helped"),
        (80.0, 360, "beyond the ±4.7 points that 360 images leave open: distillation did harm"),
        (96.0, 50_000, "distillation helped"),
        (95.0, 360, "as often right as the one trained on labels (95.00 %)"),
    ],
)
def test_the_verdict_says_who_is_ahead_and_whether_that_means_anything(
    top1: float, num_images: int, expected: str
) -> None:
    baseline = replace(LABELS, num_images=num_images)
    assert expected in verdict(baseline, replace(baseline, name="distilled", role="student", top1=top1))


def test_the_verdict_s_margin_is_that_of_two_shares() -> None:
    margin = 100 * 1.959964 * math.sqrt(0.95 * 0.05 / 360 + 0.9 * 0.1 / 360)
    assert f"±{margin:.1f} points" in verdict(LABELS, replace(LABELS, top1=90.0))


@pytest.mark.parametrize(("loss", "word"), [(0.1, "lower"), (0.3, "higher"), (0.2, "no other")])
def test_the_verdict_compares_cross_entropies_too(loss: float, word: str) -> None:
    assert f"Its cross-entropy is {word}: {loss:.3f} against 0.200" in verdict(LABELS, replace(LABELS, loss=loss))


def test_differing_settings_are_named_with_both_values(make_run: Callable[..., Path]) -> None:
    first = make_run("a", settings={"optimizer.lr": {"value": 0.1, "source": "x"}, "run.seed": {"value": 0}})
    second = make_run("b", settings={"optimizer.lr": {"value": 0.2, "source": "x"}, "run.seed": {"value": 0}, "new": 1})
    found = differences(read_run(first), read_run(second))
    assert found == [("optimizer.lr", "0.1", "0.2"), ("new", "not there", "1")]


def test_the_page_shows_every_model_and_links_to_its_report(make_run: Callable[..., Path], tmp_path: Path) -> None:
    one, two = make_run("student one"), make_run("two")
    (one / "report.html").write_text("there")
    models = [
        ComparedModel("<b>teachers</b>", "ensemble", 350_324, 98.33, 0.05, 360, None, None),
        replace(LABELS, run=str(one)),
        ComparedModel("distilled", "student", 78_042, 96.11, 0.12, 360, 12.0, str(two)),
    ]
    page = write_overview(
        tmp_path / "report.html", title="A & B", lede=["x < y"], models=models, compared=("on labels", "distilled")
    ).read_text()
    assert re.findall(r'href="([^"]*)"', page) == ["student%20one/report.html"]
    assert "<b>teachers" not in page
    for shown in ("&lt;b&gt;teachers", "A &amp; B", "x &lt; y", "350\u2009324", "98.33 %", "0.1200", "12.0 s"):
        assert shown in page, shown
    assert "the same views of them" not in page.split("Nowhere")[0]
    assert "<script" not in page


def test_equal_views_are_claimed_only_where_the_settings_say_so(make_run: Callable[..., Path], tmp_path: Path) -> None:
    def page(**changes: object) -> str:
        folder = tmp_path / f"case{len(list(tmp_path.iterdir()))}"
        runs = []
        for name, extra in (("a", {}), ("b", changes)):
            settings = {"objective.t": {"value": name, "source": "x"}, "run.seed": {"value": 0, "source": "x"}, **extra}
            runs.append(make_run(f"{folder.name}/{name}", settings=settings))
        models = [replace(LABELS, name=run.name, run=str(run)) for run in runs]
        path = write_overview(folder / "p.html", title="t", lede=[], models=models, compared=("a", "b"))
        return path.read_text()

    assert "the same views of them" in page()
    assert "the same views of them" not in page(**{"run.seed": {"value": 1, "source": "x"}})
