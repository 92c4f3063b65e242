import json
import math
import random
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kdzoo.base.errors import RunError
from kdzoo.evaluation.examples import Belief, Example
from kdzoo.evaluation.report import write_report

MakeRun = Callable[..., Path]
HOSTILE = "<script>alert('x')</script><img src=https://example.org/x onerror=alert(1)>\"'&{{ 7 * 7 }}{% include 'x' %}"


class Page(HTMLParser):
    """Collects a page's elements and its visible text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.text += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def attributes(self) -> Iterator[tuple[str, str]]:
        for _, attributes in self.elements:
            yield from ((name, value or "") for name, value in attributes.items())


def assert_self_contained(page: Page) -> None:
    assert not page.tags() & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for name, value in page.attributes():
        assert not name.startswith("on"), name
        if name in ("src", "srcset", "data", "poster", "background", "xlink:href"):
            assert value.startswith("data:image/png;base64,"), value
        if name == "href":
            assert not re.match(r"[a-z]+:|//", value), value
        if name == "style":
            assert "url(" not in value
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert "default-src 'none'" in str(policies[0])
    styles = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    assert styles
    assert not any(word in style for style in styles for word in ("url(", "@import"))


def test_a_finished_run_shows_its_numbers_curves_settings_and_teachers(make_run: MakeRun) -> None:
    page = Page(write_report(make_run()))
    assert_self_contained(page)
    for shown in ("cifar_resnet8", "meal_v2", "digits", "96.39 %", "98.33 %", "97.20 %", "KDZOO_EPOCHS", "§6.1"):
        assert shown in page.text, shown
    for shown in ("apache-2.0", "not stated", "1\u2009437 images", "Loss term soft_label", "Loss term discriminator"):
        assert shown in page.text, shown
    assert page.source.index("channels_last") > page.source.index("left at kdzoo") > page.source.index("KDZOO_EPOCHS")
    assert "This report is partial" not in page.text
    assert "Resume" not in page.text
    for used in ("kdzoo predict ", " photos/", "timm.create_model('local-dir:"):
        assert used in page.text.split("Go on with it")[1], used
    assert page.source.count('class="chart"') == 9  # top-1, top-5, loss, two terms, cross-entropy, lr, speed, wait


def test_an_unfinished_run_says_how_far_it_came_and_how_to_go_on(make_run: MakeRun) -> None:
    page = Page(write_report(make_run(epochs=7)))
    assert "After 7 of 30 epochs" in page.text
    assert "result.json is not there: the run is not finished" in page.text
    assert "kdzoo distill --recipe meal_v2 --out 'runs/my run' --resume" in page.text


def test_one_teacher_is_not_shown_twice(make_run: MakeRun) -> None:
    one = {"reference": "only", "top1": 97.5, "promised_top1": None, "num_images": 360, "licence": "mit"}
    page = Page(write_report(make_run(teacher_reports=[one, {**one, "reference": "ensemble"}])))
    assert page.source.count('<li class="teacher">') == 1
    assert page.source.count('<li class="ensemble">') == 0


def test_without_teachers_there_is_no_table_of_them(make_run: MakeRun) -> None:
    page = Page(write_report(make_run(recipe="supervised", teacher_reports=[])))
    assert "Promised" not in page.text
    assert "teachers" not in page.text.split("Settings")[0]


def test_hostile_text_stays_text_wherever_it_stands(make_run: MakeRun, tmp_path: Path) -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {poison(key) if key not in KEPT else key: poison(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return value + HOSTILE if isinstance(value, str) and value not in KEPT else value

    KEPT = {
        *(
            "settings",
            "value",
            "source",
            "student.model",
            "data.dataset",
            "training.epochs",
            "teacher_reports",
            "class_names",
        ),
        *("reference", "ensemble", "top1", "top5", "promised_top1", "num_images", "licence", "recipe", "name", "path"),
        *("train_data", "val_data", "num_classes", "notes", "warnings", "sessions", "command", "versions", "platform"),
        *("python", "devices", "git_revision", "started", "kind", "epoch", "step", "lr", "loss", "train", "eval"),
        *("model", "architecture", "image", "reason", "unreadable", "optimizer.lr"),
    }
    folder = make_run(warnings=["careful"])
    for name in ("config.json", "environment.json", "model/config.json"):
        (folder / name).write_text(json.dumps(poison(json.loads((folder / name).read_text()))))
    lines = [poison(json.loads(line)) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines.append({"kind": "unreadable", "step": 3, "image": HOSTILE, "reason": HOSTILE})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    example = Example(
        Image.new("RGB", (8, 8)), HOSTILE, HOSTILE, (Belief(HOSTILE, 60.0),), (Belief(HOSTILE, 50.0),), "mistake"
    )
    page = Page(write_report(folder, examples=[example]))
    assert_self_contained(page)
    assert page.text.count("<script>alert('x')</script>") > 40
    assert page.text.count("{{ 7 * 7 }}") > 40
    assert all(tag != "img" or str(a["src"]).startswith("data:") for tag, a in page.elements)


@pytest.mark.parametrize(
    "name", ["config.json", "environment.json", "metrics.jsonl", "speed.jsonl", "model/config.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "binary", "list"])
def test_a_missing_or_damaged_file_gives_a_partial_report_that_names_it(
    make_run: MakeRun, name: str, damage: str
) -> None:
    folder = make_run()
    path, content = folder / name, (folder / name).read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[:-9], "binary": b"\xff\x00\xfe", "list": b"[1, 2]"}[damage])
    page = Page(write_report(folder))
    assert_self_contained(page)
    assert "This report is partial" in page.text
    assert name in page.text


def test_values_of_any_other_kind_never_break_the_report(make_run: MakeRun) -> None:
    rng = random.Random(0)
    odd = [None, True, -1, 0, 1e308, "nan", "text", [], [1, "a", None], {}, {"value": 3}, math.pi]

    def spoil(value: Any) -> Any:
        if rng.random() < 0.12:
            return rng.choice(odd)
        if isinstance(value, dict):
            return {key: spoil(item) for key, item in value.items()}
        return [spoil(item) for item in value] if isinstance(value, list) else value

    clean = make_run()
    documents = {path: json.loads(path.read_text()) for path in clean.rglob("*.json")}
    logs = {path: [json.loads(line) for line in path.read_text().splitlines()] for path in clean.rglob("*.jsonl")}
    for _ in range(60):
        for path, document in documents.items():
            path.write_text(json.dumps({key: spoil(item) for key, item in document.items()}))
        for path, lines in logs.items():
            path.write_text("".join(json.dumps(spoil(line)) + "\n" for line in lines[:20]))
        assert_self_contained(Page(write_report(clean)))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match="holds no run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_written_whole_or_not_at_all(make_run: MakeRun) -> None:
    folder = make_run()
    path = write_report(folder)
    before = path.read_text()
    write_report(folder)
    assert [entry.name for entry in folder.iterdir() if "report" in entry.name] == ["report.html"]
    strip = re.compile(r"on \d{4}-\d\d-\d\d \d\d:\d\d UTC")
    assert strip.sub("", path.read_text()) == strip.sub("", before)


def test_pictures_are_inline_and_say_right_or_wrong(make_run: MakeRun) -> None:
    image = Image.new("RGB", (600, 300), (200, 30, 30))
    right = Example(image, "a.png", "cat", (Belief("cat", 80.0),), (Belief("cat", 70.0),), "even")
    wrong = Example(image, "b.png", "cat", (Belief("dog", 90.0),), (), "mistake")
    page = Page(write_report(make_run(), examples=[right, wrong]))
    assert_self_contained(page)
    assert "✓ cat" in page.text
    assert "✗ dog" in page.text
    assert page.text.count("teachers, on average") == 1
    assert "1 spread evenly over the held-out images, then the 1 mistakes" in page.text
