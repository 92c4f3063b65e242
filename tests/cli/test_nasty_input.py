"""What nobody means to type, on every option of the verbs: one clear line, never a bug, a hang or a traceback."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kdzoo.cli.main import main
from kdzoo.cli.root import root

TEXTS = (
    *("", "-1", "nan", "9" * 5000, "a\0b", "\x1b[31mred\nerror: forged", "\u202etxt", "\udcff", "~nobody/x"),
    *("/dev/null", "fifo", "zero", "loop", "file/below", "deep.yaml", "x" * 300, "a/" * 2500),
)
BASES = {
    "train": ["--model", "local-dir:no_such", "--data", "no_such", "--dry-run"],
    "distill": ["--recipe", "no_such", "--dry-run"],
    "label": ["--recipe", "no_such", "--dry-run"],
    "recipes show": ["no_such"],
    "curate": ["--unlabeled", "no_such", "--against", "no_such", "--teacher", "no_such", "--out", "no/such"],
    "eval": ["no_such", "--on", "no_such"],
    "compare": ["no_such", "no_such"],
    "report": ["no_such"],
    "reproduce": ["no_such", "5", "--dry-run"],
    "publish": ["no_such", "--repo", "a/b", "--dry-run"],
    "export": ["no_such", "--format", "safetensors", "--out", "a.safetensors"],
    "transfer digits": ["--backbone", "no_such", "--dry-run"],
    "transfer coco": ["--backbone", "no_such", "--dry-run"],
}
"""Commands that end before any work, by what is not there."""


def command_of(words: str) -> click.Command:
    """The click command behind a verb's words."""
    found: click.Command = root
    context = click.Context(root)
    for word in words.split():
        assert isinstance(found, click.Group)
        inner = found.get_command(context, word)
        assert inner is not None
        found, context = inner, click.Context(inner, parent=context)
    return found


def lines_of(verb: str) -> Iterator[list[str]]:
    """The verb with each of its options set to each text, and to its argument too."""
    base = BASES[verb]
    for parameter in command_of(verb).params:
        if isinstance(parameter.type, click.Choice) or getattr(parameter, "is_flag", False):
            continue
        for text in TEXTS:
            if isinstance(parameter, click.Argument):
                options = base[next((n for n, word in enumerate(base) if word.startswith("--")), len(base)) :]
                yield [*verb.split(), *options, "--", *[text] * (1 if verb != "compare" else 2)]
                continue
            name = parameter.opts[-1] if parameter.opts[-1] != "assignments" else "--set"
            value = f"training.epochs={text}" if name == "--set" else text
            left = list(base)
            if name in left:
                del left[left.index(name) : left.index(name) + 2]
            yield [*verb.split(), *left, name, *[value] * max(1, parameter.nargs)]


@pytest.fixture
def odd_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what a path may lead to."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("zero").symlink_to("/dev/zero")
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    Path("file").write_text("no run", encoding="utf-8")
    Path("deep.yaml").write_text("base: " + "[" * 5000, encoding="utf-8")
    Path("deep.toml").write_text("a = " + "[" * 5000 + "]" * 5000, encoding="utf-8")
    return tmp_path


def assert_one_clear_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that has to fail; its error line."""
    code = main(arguments)
    seen = capsys.readouterr()
    shown = f"{arguments!r:.300} gave {code}: {seen.err[-600:]}"
    assert code in (1, 2) or ("--dry-run" in arguments and code == 0), shown
    planned = "--dry-run" in arguments and seen.out.startswith("cannot start: ")
    errors = [line for line in seen.err.split("\n") if line.startswith("error: ")]
    assert len(errors) == (code != 0 and not planned), shown
    assert "bug in kdzoo" not in seen.err, shown
    assert "Traceback" not in seen.err, shown
    assert all(len(line) < 2100 for line in errors), shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", seen.err + seen.out), shown
    return "".join(errors)


@pytest.mark.parametrize("verb", BASES)
def test_no_text_is_a_bug(verb: str, odd_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = 0
    for arguments in lines_of(verb):
        assert_one_clear_line(arguments, capsys)
        tried += 1
    assert tried >= len(TEXTS)


@pytest.mark.parametrize(
    "out", ["x" * 300, "a/" * 2500, "/dev/null", "fifo", "loop", "zero", "file", "file/below", "a\0b"]
)
@pytest.mark.parametrize(
    "command",
    [
        ["train", "--model", "cifar_resnet8", "--data", "digits", "--epochs", "1", "--out"],
        ["demo", "--quick", "--out"],
        ["curate", "--unlabeled", "folder", "--against", "digits", "--teacher", "cifar_resnet8", "--out"],
        ["reproduce", "meal_v2", "5", "--scale", "small", "--out"],
        ["recipes", "copy", "gaze"],
        ["export", "folder", "--format", "safetensors", "--out"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_place_to_write_is_a_bug(
    command: list[str], out: str, odd_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_clear_line([*command, out], capsys)
    assert Path("/dev/null").is_char_device()
    assert Path("file").read_text(encoding="utf-8") == "no run"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[train]\nepochs = 1\nepochs = 2\n", "Cannot overwrite a value"),
        ("[train]\nbatch-size = 1\nbatch_size = 2\n", "train.batch_size stands twice"),
        ("[train]\nepochs = " + "9" * 5000, "is not TOML"),
        ("[train]\nepochs = 0x" + "f" * 5000, "no setting takes"),
        ("[train]\nset = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ('[train]\nmodel = "a\\u0000b"', "there is no model 'a\\x00b'"),
        ('[train]\nmodel = "\\u001b[2Jx"', "\\x1b[2Jx"),
    ],
)
def test_a_config_file_is_named(content: str, said: str, odd_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.toml").write_text(content, encoding="utf-8")
    line = assert_one_clear_line(["train", "--config", "own.toml", "--data", "digits", "--dry-run"], capsys)
    assert said in line


def test_a_result_that_cannot_be_written_out_is_named(odd_files: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """As ``kdzoo recipes list --json > /dev/full`` is."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        code = main(["recipes", "list", "--format", "json"])
        monkeypatch.undo()
    seen = capsys.readouterr()
    assert code == 1
    assert "the result could not be written to standard output: No space left" in seen.err


def test_names_from_elsewhere_do_not_steer_the_terminal(odd_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kdzoo.cli.output import print_fields, print_json, print_rows
    from kdzoo.engine.progress import Progress, say

    evil = "\x1b[2J\x9b31m\u202ecat\nerror: forged"
    for form in ("table", "json", "csv"):
        print_rows([{"name": evil}], {"name": "name"}, form)
    print_fields({"name": evil})
    print_json({"name": evil})
    say(evil)
    Progress(1, "training", 1).say(evil)
    seen = capsys.readouterr()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", seen.out + seen.err)
    assert not re.search("(?m)^error: forged", seen.out + seen.err)
    assert "\\u202ecat\\u000aerror" in seen.out


def test_everything_is_printed_in_one_way() -> None:
    """No verb prints past ``echo``, ``print_rows`` and their like, nor the engine past ``say``."""
    place = Path(main.__code__.co_filename).parent
    allowed = {"output.py", "commands.py", "completion.py", "reference.py"}
    wrong = [
        f"{path.name}: {line}"
        for path in sorted(place.glob("*.py"))
        if path.name not in allowed
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<![\w.])print\(|click\.echo\(|sys\.std(out|err)\.write", line)
    ]
    assert wrong == []
