"""Losses, recipes and teachers of the user's own: what they become, and what is said of those that cannot run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import kdzoo
from kdzoo.base.errors import KdzooError
from kdzoo.base.settings import Given
from kdzoo.cli.main import main
from kdzoo.engine.phases import check_terms
from kdzoo.engine.teachers import weights_sha256
from kdzoo.planning.default_recipe import plan_verb
from kdzoo.planning.models import teachers_of
from kdzoo.planning.resolution import resolve
from kdzoo.recipes.description import describe_recipe
from kdzoo.recipes.recipe import Shapes
from kdzoo.recipes.recipe_file import export_recipe, load_recipe
from kdzoo.zoo import forward_with_features, load_model
from kdzoo.zoo.features import forward_with_dense
from kdzoo.zoo.own_teacher import load_own_teacher

DOCS = Path(__file__).parents[2] / "docs"
HEAD = "import kdzoo\nimport torch\nfrom torch import nn\n"
LOSS = f"""{HEAD}class Mine(kdzoo.Loss):
    def terms(self, phase, step):
        return {{'mine': step.student().logits.mean()}}
"""
RECIPE = "RECIPE = kdzoo.own_recipe('mine', 'Mine.', Mine)\n"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "mine.py") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def refusal(call: Callable[[], object]) -> str:
    """What is refused and the way out, in one text of one line each."""
    with pytest.raises(KdzooError) as caught:
        call()
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return f"{caught.value.message} ({caught.value.hint})"


def on_digits(recipe: str, **given: object) -> kdzoo.Plan:
    settings = {"student.model": "cifar_resnet8", "data.dataset": "digits", "teachers.models": ("cifar_resnet14",)}
    settings |= {path.replace("__", "."): value for path, value in given.items()}
    return resolve(recipe, given={path: Given(value, "test") for path, value in settings.items()})


def test_a_loss_becomes_a_recipe_that_follows_the_data_as_its_base_does() -> None:
    init = "def __init__(self, temperature: float = 9.0, shapes=None):\n        super().__init__()\n"
    init += "        self.told = temperature, shapes\n\n    "
    row = "[('training.epochs', 3, 'ours: few')]"
    path = write(LOSS.replace("def terms", f"{init}def terms") + RECIPE.replace("Mine)", f"Mine, {row})"))
    mine, base = on_digits(path), on_digits("function_matching")
    ours, theirs = mine.settings(), base.settings()
    assert {name for name in theirs if name in ours and ours[name] != theirs[name]} <= {
        *("training.epochs", "training.evaluate_every_epochs", "schedule.warmup_epochs", "objective.temperature")
    }
    assert (ours["training.epochs"], mine.sources["training.epochs"]) == (3, "mine: ours: few")
    assert ours["objective.temperature"] == 9.0, "a default of its own is not the base's"
    objective = mine.recipe.objective.build(Shapes(10, 1, 64, (64,), 100))
    assert objective.told == (9.0, Shapes(10, 1, 64, (64,), 100))
    assert on_digits(path, objective__temperature="2.5").recipe.objective.temperature == 2.5  # type: ignore[attr-defined]
    assert "objective.temperature is a number" in refusal(lambda: on_digits(path, objective__temperature="hot"))
    assert mine.fixed()["recipe.sha256"] == mine.to_dict()["recipe_code"]["sha256"]
    assert not list(Path().glob("__pycache__"))
    write(Path(path).read_text() + "# changed\n")
    assert on_digits(path).fixed()["recipe.sha256"] != mine.fixed()["recipe.sha256"]


def test_it_is_described_by_its_own_head_and_not_copied() -> None:
    path = write('"""Head.\n\nDeviations:\n    1. None.\n"""\n' + LOSS + RECIPE)
    described = describe_recipe(load_recipe(path).recipe)
    assert described["deviations"] == ["None."]
    assert described["settings"]["optimizer.nesterov"]["citation"] == "ours: the usual of SGD"
    assert "copy and edit the file itself" in refusal(lambda: export_recipe(load_recipe(path).recipe))


def test_a_paper_written_as_kdzoos_own_is_a_file_too() -> None:
    (dkd,) = blocks("adding-a-recipe.md", "python")
    text = re.sub(r"^from \.(?=\w)", "from kdzoo.recipes.", dkd.replace("from ..", "from kdzoo."), flags=re.MULTILINE)
    loaded = load_recipe(write(text, "dkd.py"))
    assert loaded.changed == frozenset()
    assert len(describe_recipe(loaded.recipe)["deviations"]) == 5
    assert on_digits("dkd.py").recipe.name == "dkd"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def (\n", "mine.py, line 1 is not Python: invalid syntax"),
        ("x = 1\0\n", "is not Python"),
        ("x = 1\nraise ValueError('boom')\n", "mine.py, line 2: ValueError: boom (that is Python of your own"),
        ("import sys\nsys.exit(3)\n", "mine.py, line 2: SystemExit: 3"),
        ("import nothing_like_this\n", "mine.py, line 1: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("x = 1\n", "mine.py defines no recipe (end it with RECIPE = "),
        (LOSS + RECIPE.replace("RECIPE", "MINE"), "has the recipes MINE and none called RECIPE"),
        (LOSS + RECIPE + RECIPE.replace("RECIPE", "OTHER"), "defines 2 recipes: RECIPE, OTHER"),
        (LOSS + RECIPE.replace("'mine'", "'meal_v2'"), "cannot be called 'meal_v2'"),
        (
            LOSS + "from dataclasses import replace\n" + RECIPE + "RECIPE = replace(RECIPE, name='crd')\n",
            "mine.py calls its recipe crd, as kdzoo's own",
        ),
        (LOSS + RECIPE.replace(", Mine)", ", Mine, base='meal_v9')"), "mine.py: there is no recipe 'meal_v9'"),
        (LOSS + RECIPE.replace(", Mine)", ", 'Mine')"), "mine.py: Mine is no loss (write class NAME(kdzoo.Loss))"),
        (LOSS + RECIPE.replace(", Mine)", ", nn.Module)"), "mine.py: Module is no loss"),
        (
            LOSS.replace("(self, phase, step)", "(self, step)") + RECIPE,
            "Mine.terms cannot be called as terms(phase, st",
        ),
        (LOSS.replace("def terms", "def loss") + RECIPE, "Mine has no terms (write def terms(self, phase, step))"),
        (
            LOSS + "    def __init__(self, weight: float): ...\n" + RECIPE,
            "Mine(weight) has no default (its arguments are",
        ),
        (LOSS + "    def __init__(self, weight=1.0): ...\n" + RECIPE, "Mine(weight) has no type"),
        (LOSS + "    def __init__(self, weight: int = 'a'): ...\n" + RECIPE, "Mine(weight) is an integer, got 'a'"),
        (LOSS + RECIPE.replace("Mine)", "Mine, [('optimizer.lr', 0.1, 'why')])"), "optimizer.lr = 0.1 has no citation"),
        (LOSS + RECIPE.replace("Mine)", "Mine, [('optimizer.rate', 1, 'ours: a')])"), "no setting optimizer.rate"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(text: str, said: str) -> None:
    assert said in refusal(lambda: load_recipe(write(text)))
    again = refusal(lambda: load_recipe("mine.py"))
    assert said in again, "what failed is not taken for loaded"


def test_a_file_that_is_not_there_is_one_line() -> None:
    assert "nowhere/mine.py cannot be read: No such file" in refusal(lambda: load_recipe("nowhere/mine.py"))
    Path("folder.py").mkdir()
    assert "folder.py cannot be read: Is a directory" in refusal(lambda: load_recipe("folder.py"))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (None, "Mine.terms gave None"),
        ({}, "Mine.terms gave no term (return"),
        (torch.zeros(()), "Mine.terms gave Tensor"),
        (
            {"mine": torch.zeros(3)},
            "the term 'mine' of Mine is a tensor of shape (3,), not a tensor of one number (its mean",
        ),
        ({"mine": 0.5}, "the term 'mine' of Mine is float"),
        ({"mine": torch.zeros(())}, "no term of Mine depends on what is trained"),
    ],
)
def test_what_cannot_be_minimised_is_one_line(terms: object, said: str) -> None:
    assert said in refusal(lambda: check_terms(terms, "Mine"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return {'mine': step.student().logits @ step.images}", "mine.py, line 8: RuntimeError: "),
        (
            "return {'mine': step.student().logits.mean() * float('nan')}",
            "the 'mine' term of phase 'student' became nan",
        ),
    ],
)
def test_a_loss_that_fails_in_the_run_is_one_line(
    line: str, said: str, few_digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = LOSS.replace("(kdzoo.Loss):\n", "(kdzoo.Loss):\n    uses_teachers = False\n\n")
    write(re.sub("return .*", line, alone) + RECIPE)
    options = ("--data", str(few_digits), "--epochs", "1", "--image-size", "16", "--workers", "0", "--device", "cpu")
    assert main(["train", "--model", "cifar_resnet8", "--recipe", "mine.py", *options, "--out", "run"]) == 1
    shown = [text for text in capsys.readouterr().err.splitlines() if text.startswith(("error:", "hint:", "Trace"))]
    assert [text.split(":")[0] for text in shown] == ["error", "hint"]
    assert said in shown[0]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a package with a recipe where installed ones are found."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    added = []

    def add(package: str, text: str, name: str = "mine") -> None:
        folder = tmp_path / "site" / f"{package}-1.2.dist-info"
        folder.mkdir()
        added.append(package)
        folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        folder.joinpath("entry_points.txt").write_text(f"[kdzoo.recipes]\n{name} = {package}\n")
        (tmp_path / "site" / f"{package}.py").write_text(text)

    yield add
    for package in added:
        sys.modules.pop(package, None)


def test_a_package_brings_a_recipe_that_is_imported_when_it_is_named(install: Callable[..., None]) -> None:
    install("shipped", LOSS + RECIPE)
    (listed,) = [one for one in kdzoo.list_recipes() if one.name == "mine"]
    assert (listed.summary, listed.year) == ("of the package shipped 1.2; 'kdzoo recipes show mine' loads it", None)
    assert "shipped" not in sys.modules
    plan = on_digits("mine", training__epochs=2)
    assert plan.to_dict()["recipe_code"]["name"] == "shipped 1.2"
    assert (plan.origin, len(plan.fixed()["recipe.sha256"])) == ("mine", 64)
    assert "base: mine" in export_recipe(load_recipe("mine").recipe)
    assert "did you mean 'mine'" in refusal(lambda: load_recipe("mime"))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("raise OSError('no')\n", "mine", "the recipe mine of the package shipped 1.2 cannot be loaded: OSError: no"),
        ("x = 1\n", "mine", "shipped is no recipe"),
        (LOSS + RECIPE, "other", "it calls itself mine"),
    ],
)
def test_a_package_that_brings_none_is_one_line(install: Callable[..., None], text: str, name: str, said: str) -> None:
    install("shipped", text, name)
    assert said in refusal(lambda: load_recipe(name))


def test_names_that_clash_are_said(install: Callable[..., None]) -> None:
    install("one", LOSS + RECIPE)
    install("two", LOSS + RECIPE)
    install("three", LOSS + RECIPE, "meal_v2")
    assert "one 1.2 and two 1.2 both bring a recipe mine" in refusal(lambda: load_recipe("mine"))
    assert load_recipe("meal_v2").recipe.code is None
    (clash,) = [one.summary for one in kdzoo.list_recipes() if one.name == "meal_v2" and one.year is None]
    assert clash == "of the package three 1.2, out of reach: kdzoo's own has this name"


def test_python_that_nobody_named_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    write("from pathlib import Path\nPath('ran').touch()\n", "evil.py")
    Path("evil.yaml").write_text("base: function_matching\nteachers:\n  models: [evil.py:teacher]\n")
    said = refusal(lambda: resolve("evil.yaml", given={"data.dataset": Given("digits", "--data")}))
    assert "evil.yaml names the teacher evil.py:teacher, Python that is run where you name it only" in said
    Path("run").mkdir()
    Path("run/config.json").write_text(json.dumps({"origin": "evil.py", "settings": {}}))
    said = refusal(lambda: plan_verb("distill", None, given={}, resumed=Path("run")))
    assert "the run in run has the recipe evil.py, Python that is run" in said
    assert "--recipe evil.py" in said
    for settings in ('recipe = "evil.py"', 'teacher = ["evil.py:teacher"]', "set = {'teachers.models' = 'evil.py:a'}"):
        Path("kdzoo.toml").write_text(f"[distill]\n{settings}\n")
        assert main(["distill", "--data", "digits"]) == 2
        assert "error: kdzoo.toml names Python (" in capsys.readouterr().err
    assert "is run as a teacher alone" in refusal(lambda: load_model("evil.py:teacher"))
    assert "evil.py is Python, and does not say which teacher" in refusal(lambda: load_model("evil.py"))
    assert not Path("ran").exists()


TEACHERS = (
    HEAD
    + """
def named():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    return kdzoo.OwnTeacher(network, image_size=8, class_names=("a", "b", "c", "d"))
def pair():
    return kdzoo.OwnTeacher(lambda images: (images.mean(dim=(2, 3)), images.flatten(1)), image_size=8, licence="mit")
def mapped():
    return kdzoo.OwnTeacher(lambda images: images[:, :, ::2, ::2], image_size=8, gives="features")
def convolved():
    return kdzoo.OwnTeacher(nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU()), image_size=16, gives="features")
def scalar():
    return kdzoo.OwnTeacher(lambda images: images.mean(), image_size=8)
def infinite():
    return kdzoo.OwnTeacher(lambda images: images.flatten(1) / 0, image_size=8)
def raising():
    return kdzoo.OwnTeacher(lambda images: images @ images[0, 0, 1:], image_size=8)
def bare():
    return nn.Linear(3, 4)
def huge():
    return kdzoo.OwnTeacher(nn.Identity(), image_size=100_000)
def misnamed():
    return kdzoo.OwnTeacher(lambda images: images.flatten(1), image_size=8, class_names=["a"])
def failing():
    raise KeyError("weights")
"""
)


def test_a_callable_becomes_a_teacher() -> None:
    path = write(TEACHERS)
    named, pair, mapped = (load_own_teacher(f"{path}:{name}") for name in ("named", "pair", "mapped"))
    assert (named.num_classes, named.class_names, named.preprocessing.input_size) == (
        4,
        ("a", "b", "c", "d"),
        (3, 8, 8),
    )
    images = torch.rand(5, 3, 8, 8)
    logits, features = forward_with_features(pair.model, images)
    assert torch.equal(logits, images.mean(dim=(2, 3)))
    assert torch.equal(features, images.flatten(1))
    assert (pair.licence, pair.model.num_features) == ("mit", 192)
    logits, features, (kept,) = forward_with_dense(mapped.model, images)
    assert mapped.num_classes == 0
    assert torch.equal(kept, images[:, :, ::2, ::2])
    assert torch.equal(logits, features)
    assert torch.allclose(features, kept.mean(dim=(2, 3)))
    headless = load_own_teacher(f"{path}:pair", num_classes=0).model
    assert torch.equal(forward_with_features(headless, images)[0], images.flatten(1))
    assert load_own_teacher(f"{path}:named", num_classes=7).model(images).shape == (5, 7)


def test_its_digest_holds_its_file_and_its_weights() -> None:
    path = write(TEACHERS)
    before, again = (weights_sha256(load_own_teacher(f"{path}:named").model) for _ in range(2))
    assert before == again
    with torch.no_grad():
        changed = load_own_teacher(f"{path}:named").model
        changed.answer[1].bias += 1  # type: ignore[index, operator, union-attr]
    write(TEACHERS + "# changed\n")
    assert len({before, weights_sha256(changed), weights_sha256(load_own_teacher(f"{path}:named").model)}) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nam", "mine.py has no function nam (did you mean 'named'?"),
        ("scalar", "mine.py:scalar: it gives a tensor of shape () for 2 images"),
        ("infinite", "mine.py:infinite: it gives what is no finite number"),
        ("raising", "RuntimeError: "),
        ("bare", "mine.py:bare gives Linear, and no teacher (let the function return kdzoo.OwnTeacher("),
        ("huge", "images of 100000 px"),
        ("misnamed", "mine.py:misnamed names 1 classes and has 192 logits"),
        ("failing", "KeyError: 'weights'"),
    ],
)
def test_what_cannot_be_a_teacher_is_one_line(name: str, said: str) -> None:
    assert said in refusal(lambda: load_own_teacher(f"{write(TEACHERS)}:{name}"))


def test_features_are_not_read_of_a_teacher_that_gives_none() -> None:
    write(TEACHERS)
    reads = SimpleNamespace(features=True, dense=False)
    objective = SimpleNamespace(task="classification", reads=reads)
    recipe: Any = SimpleNamespace(name="crd", objective=objective, teachers=SimpleNamespace(view="student"))
    plan: Any = SimpleNamespace(teachers=("mine.py:named",), recipe=recipe)
    assert "mine.py:named answers with logits alone, crd reads features" in refusal(lambda: teachers_of(plan))
    plan.teachers = ("mine.py:pair",)
    assert len(teachers_of(plan)) == 1


def test_features_of_a_callable_are_learnt(few_digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(TEACHERS)
    call = ["distill", "--recipe", "features", "--teacher", "mine.py:convolved", "--student", "cifar_resnet8"]
    call += ["--data", str(few_digits), "--epochs", "1", "--image-size", "16", "--workers", "0", "--device", "cpu"]
    call += ["--trust-teacher", "--out", "run"]
    assert main([*call, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("starts: ")
    assert "mine.py:convolved, 168" in " ".join(shown.split())
    assert main(call) == 0
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert all(line["dense_cosine"] > 0 for line in lines if line["kind"] == "train")
