"""The table of verbs: what the root help shows of each, and where it lives. Reading it imports no verb."""

from __future__ import annotations

from typing import NamedTuple

TRAIN, EVALUATE, ZOO, TOOLS = "Train", "Evaluate", "Zoo", "Tools"
SECTIONS = (TRAIN, EVALUATE, ZOO, TOOLS)


class Verb(NamedTuple):
    """One verb.

    Attributes:
        section: Heading in the root help.
        summary: One line.
        module: Module of this package that holds it.
        attribute: Name of its click command in that module.
    """

    section: str
    summary: str
    module: str
    attribute: str = "command"


VERBS: dict[str, Verb] = {
    "distill": Verb(TRAIN, "Train a student from teachers, with a recipe.", "distill"),
    "train": Verb(TRAIN, "Train on labels: a teacher, or the baseline a student must beat.", "train"),
    "recipes": Verb(TRAIN, "List recipes, show one with its citations, copy one to edit.", "recipes"),
    "label": Verb(TRAIN, "Store a teacher's labels once, for many students.", "label"),
    "curate": Verb(TRAIN, "Choose unlabeled images to distil on.", "curate"),
    "eval": Verb(EVALUATE, "Measure top-1 and top-5 on labelled data.", "eval"),
    "predict": Verb(EVALUATE, "Name classes, or find boxes and masks, in images without labels.", "predict"),
    "transfer": Verb(EVALUATE, "Measure a backbone on other tasks.", "transfer"),
    "compare": Verb(EVALUATE, "Compare two models by what was measured of them.", "compare"),
    "report": Verb(EVALUATE, "Write one page over runs and results, with pictures.", "report"),
    "reproduce": Verb(EVALUATE, "Re-run a table of a paper, ours beside theirs.", "reproduce"),
    "models": Verb(ZOO, "List the zoo: numbers, sizes, licences; show one model.", "models"),
    "pull": Verb(ZOO, "Fetch a distilled backbone.", "pull"),
    "publish": Verb(ZOO, "Publish a model with its evidence.", "publish"),
    "export": Verb(ZOO, "Write a model as ONNX, torch.export or safetensors.", "export"),
    "demo": Verb(TOOLS, "The whole story on embedded real images, in about two minutes.", "demo"),
    "data": Verb(TOOLS, "Check a data set before training on it.", "data"),
    "doctor": Verb(TOOLS, "Check the installation, devices, folders and space.", "doctor"),
    "completion": Verb(TOOLS, "Print the shell's completion script.", "completion"),
}
