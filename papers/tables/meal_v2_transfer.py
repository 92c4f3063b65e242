"""The transfer tables of MEAL V2: classification, detection, and the data sets (Tables 6 to 8)."""

from __future__ import annotations

from .table import Column, Reference, Row, Table, Transfer

_T6 = {"voc2007": "voc2007", "cub200": "cub200", "birdsnap": "birdsnap", "cifar10": "cifar10"}
_FINETUNE = "200 epochs, batch 128, SGD 0.01, weight decay 1e-4, 224 px (Appendix A)"
_LINEAR = "as the fine-tuning, learning rate 0.1, the last layer alone (Appendix A)"
_SMALL_TRANSFER = "'kdzoo transfer' measures backbones; a small size of it is its own digits task"


def _t6(label: str, numbers: tuple[float, float, float, float], takes: Transfer) -> Row:
    return Row(label=label, numbers=dict(zip(_T6, numbers, strict=True)), takes=takes, small=_SMALL_TRANSFER)


def _transfer6(backbone: str, mode: str) -> Transfer:
    if mode == "linear":
        return Transfer(
            tasks=_T6, backbone=backbone, baseline="resnet50.tv_in1k", options=("--mode", "linear"), protocol=_LINEAR
        )
    return Transfer(
        tasks=_T6, backbone=backbone, baseline="resnet50.tv_in1k", options=("--mode", "finetune"), protocol=_FINETUNE
    )


TABLE_6 = Table(
    number="6",
    title="Transfer to other classification tasks",
    citation="MEAL V2, Table 6",
    columns=(
        Column("voc2007", "VOC2007"),
        Column("cub200", "CUB200-2011"),
        Column("birdsnap", "Birdsnap"),
        Column("cifar10", "CIFAR-10"),
    ),
    rows=(
        _t6(
            "From Scratch",
            (72.20, 58.90, 66.97, 94.71),
            Transfer(
                tasks=_T6,
                backbone="resnet50.tv_in1k",
                baseline="random",
                options=("--mode", "finetune"),
                protocol=_FINETUNE,
            ),
        ),
        _t6("Fine-tune, base model", (94.00, 80.70, 75.28, 97.24), _transfer6("resnet50.tv_in1k", "finetune")),
        _t6("Fine-tune, ours", (95.10, 83.70, 75.55, 97.26), _transfer6("meal_v2_resnet50", "finetune")),
        _t6("Freeze backbone, base model", (87.50, 66.27, 55.01, 81.69), _transfer6("resnet50.tv_in1k", "linear")),
        _t6("Freeze backbone, ours", (90.80, 68.29, 53.56, 84.16), _transfer6("meal_v2_resnet50", "linear")),
    ),
    notes=(
        "VOC2007 is multi-label; the paper names no metric ('accuracy'), its values look like mAP",
        "the learning rate's schedule is not given",
    ),
)

_COCO = ("AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
_DETECTRON = "RetinaNet with detectron2's own hyper-parameters (§7)"
_STAGE_1 = f"{_DETECTRON}; the backbone's first stage is frozen"


def _t7(label: str, backbone: str, protocol: str, *numbers: float) -> Row:
    return Row(
        label=label,
        numbers=dict(zip(_COCO, numbers, strict=True)),
        takes=Transfer(
            tasks={"AP": "coco"},
            backbone=backbone,
            baseline="resnet50.tv_in1k",
            options=("--detector", "retinanet", "--freeze", "first" if protocol == _STAGE_1 else "none"),
            protocol=protocol,
        ),
        small=_SMALL_TRANSFER,
    )


TABLE_7 = Table(
    number="7",
    title="Transfer to COCO detection with RetinaNet",
    citation="MEAL V2, Table 7",
    columns=tuple(Column(name, name, unit="AP") for name in _COCO),
    rows=(
        _t7(
            "Fine-tune all layers, base model",
            "resnet50.tv_in1k",
            _DETECTRON,
            *(37.234, 56.436, 39.769, 22.899, 41.167, 47.576),
        ),
        _t7(
            "Fine-tune all layers, ours",
            "meal_v2_resnet50",
            _DETECTRON,
            *(37.501, 56.829, 40.148, 21.483, 41.264, 48.655),
        ),
        _t7(
            "Freeze first stage, base model",
            "resnet50.tv_in1k",
            _STAGE_1,
            *(37.253, 56.636, 39.912, 22.143, 41.567, 47.322),
        ),
        _t7(
            "Freeze first stage, ours", "meal_v2_resnet50", _STAGE_1, *(37.501, 56.850, 40.245, 22.471, 41.410, 48.853)
        ),
    ),
    notes=("the two rows of MEAL V2 have the same AP, 37.501, as printed",),
)

TABLE_8 = Table(
    number="8",
    title="The data sets of the transfer experiments",
    citation="MEAL V2, Appendix A, Table 8",
    columns=(
        Column("classes", "classes", unit="", better=None),
        Column("property", "property", unit="", better=None),
        Column("train", "train (+val) images", unit="", better=None),
        Column("test", "test images", unit="", better=None),
    ),
    rows=tuple(
        Row(
            label=label,
            numbers={"classes": classes, "property": kind, "train": train, "test": test},
            takes=Reference("sizes of data sets; 'kdzoo data check' counts yours"),
        )
        for label, classes, kind, train, test in (
            ("VOC 2007", 20, "Multi-object", 5011, 4952),
            ("CUB200-2011", 200, "Fine-grained", 5994, 5794),
            ("Birdsnap", 500, "Fine-grained", 47386, 2443),
            ("CIFAR-10", 10, "Standard", 50000, 10000),
            ("MS COCO", 80, "Detection", 123287, 40775),
        )
    ),
)
