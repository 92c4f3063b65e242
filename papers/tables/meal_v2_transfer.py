"""The transfer tables of MEAL V2: classification, detection, and the data sets (Tables 6 to 8)."""

from __future__ import annotations

from .table import Column, NotRun, Row, Table, Transfer, row

_T6 = (
    Column("voc2007", "VOC2007"),
    Column("cub200", "CUB200-2011"),
    Column("birdsnap", "Birdsnap"),
    Column("cifar10", "CIFAR-10"),
)
_BASE, _OURS = "resnet50.tv_in1k", "meal_v2_resnet50"
_FINETUNE = "200 epochs, batch 128, SGD 0.01, weight decay 1e-4, 224 px (Appendix A)"
_LINEAR = "as the fine-tuning, learning rate 0.1, the last layer alone (Appendix A)"
_SMALL_TRANSFER = "'kdzoo transfer' measures backbones; a small size of it is its own digits task"


def _t6(label: str, backbone: str, mode: str, *numbers: float, baseline: str = _BASE) -> Row:
    takes = Transfer(
        tasks={column.key: column.key for column in _T6},
        backbone=backbone,
        baseline=baseline,
        options=("--mode", mode),
        protocol=_LINEAR if mode == "linear" else _FINETUNE,
    )
    return row(_T6, label, takes, *numbers, small=_SMALL_TRANSFER)


TABLE_6 = Table(
    number="6",
    title="Transfer to other classification tasks",
    citation="MEAL V2, Table 6",
    columns=_T6,
    rows=(
        _t6("From Scratch", _BASE, "finetune", 72.20, 58.90, 66.97, 94.71, baseline="random"),
        _t6("Fine-tune, base model", _BASE, "finetune", 94.00, 80.70, 75.28, 97.24),
        _t6("Fine-tune, ours", _OURS, "finetune", 95.10, 83.70, 75.55, 97.26),
        _t6("Freeze backbone, base model", _BASE, "linear", 87.50, 66.27, 55.01, 81.69),
        _t6("Freeze backbone, ours", _OURS, "linear", 90.80, 68.29, 53.56, 84.16),
    ),
    notes=(
        "VOC2007 is multi-label; the paper names no metric ('accuracy'), its values look like mAP",
        "the learning rate's schedule is not given",
    ),
)

_T7 = tuple(Column(name, name, unit="AP") for name in ("AP", "AP50", "AP75", "AP small", "AP medium", "AP large"))
_DETECTRON = "RetinaNet with detectron2's own hyper-parameters (§7)"
_FROZEN = f"{_DETECTRON}; the backbone's first stage is frozen"


def _t7(label: str, backbone: str, freeze: str, *numbers: float) -> Row:
    takes = Transfer(
        tasks={"AP": "coco"},
        backbone=backbone,
        baseline=_BASE,
        options=("--detector", "retinanet", "--freeze", freeze),
        protocol=_FROZEN if freeze == "first" else _DETECTRON,
    )
    return row(_T7, label, takes, *numbers, small=_SMALL_TRANSFER)


TABLE_7 = Table(
    number="7",
    title="Transfer to COCO detection with RetinaNet",
    citation="MEAL V2, Table 7",
    columns=_T7,
    rows=(
        _t7("Fine-tune all layers, base model", _BASE, "none", 37.234, 56.436, 39.769, 22.899, 41.167, 47.576),
        _t7("Fine-tune all layers, ours", _OURS, "none", 37.501, 56.829, 40.148, 21.483, 41.264, 48.655),
        _t7("Freeze first stage, base model", _BASE, "first", 37.253, 56.636, 39.912, 22.143, 41.567, 47.322),
        _t7("Freeze first stage, ours", _OURS, "first", 37.501, 56.850, 40.245, 22.471, 41.410, 48.853),
    ),
    notes=("the two rows of MEAL V2 have the same AP, 37.501, as printed",),
)

_T8 = tuple(
    Column(key, heading, unit="", better=None)
    for key, heading in (
        ("classes", "classes"),
        ("property", "property"),
        ("train", "train (+val) images"),
        ("test", "test images"),
    )
)
_SIZES = NotRun("sizes of data sets; 'kdzoo data check' counts yours")

TABLE_8 = Table(
    number="8",
    title="The data sets of the transfer experiments",
    citation="MEAL V2, Appendix A, Table 8",
    columns=_T8,
    rows=(
        row(_T8, "VOC 2007", _SIZES, 20, "Multi-object", 5011, 4952),
        row(_T8, "CUB200-2011", _SIZES, 200, "Fine-grained", 5994, 5794),
        row(_T8, "Birdsnap", _SIZES, 500, "Fine-grained", 47386, 2443),
        row(_T8, "CIFAR-10", _SIZES, 10, "Standard", 50000, 10000),
        row(_T8, "MS COCO", _SIZES, 80, "Detection", 123287, 40775),
    ),
)
