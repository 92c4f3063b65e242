"""The settings that the engine understands. They name no paper; recipes fill them and cite their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ..base.setting_values import (
    Count,
    CountFromZero,
    Decay,
    Epochs,
    Fraction,
    LearningRate,
    Passes,
    Period,
    PositiveFraction,
    Range,
    WeightDecay,
)


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """An optimiser and its base learning rate.

    Attributes:
        name: ``sgd``, ``adam`` or ``adamw``, torch's own.
        lr: Base learning rate at the global batch size that the recipe states.
        momentum: SGD's momentum, or Adam's first beta.
        beta2: Adam's second beta.
        nesterov: SGD only.
        weight_decay: Decay of the parameters that are decayed.
        decay_norm_and_bias: Whether one-dimensional parameters (BatchNorm's affine, biases) are decayed too.
        layer_decay: Of the student's learning rate, a factor for each layer between a parameter and the output (BEiT,
            arXiv 2106.08254, §3.1): below 1, layers near the images move less.
    """

    name: Literal["sgd", "adam", "adamw"]
    lr: LearningRate
    momentum: Decay
    weight_decay: WeightDecay
    nesterov: bool = False
    beta2: Decay = 0.999
    decay_norm_and_bias: bool = True
    layer_decay: PositiveFraction = 1.0


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """How the learning rate moves; a pure function of the position in the run.

    Attributes:
        name: ``constant``, ``milestones``, ``cosine``, ``exponential``, or ``cosine_milestones``, which is the product
            of both.
        milestones: Epochs (0-based) from whose start on the rate is multiplied by ``gamma`` once more each.
        gamma: Factor at a milestone, or once a period of the exponential schedule.
        period_epochs: The exponential schedule's period.
        staircase: Whether the exponential schedule moves in steps (once a period) or smoothly.
        warmup_epochs: Linear rise over these first epochs, a step at a time; a cosine then spans the rest.
        warmup_start: Where the rise starts, as a fraction of the base rate.
        final: The cosine's last value, as a fraction of the base rate.
        update: Whether a cosine moves each ``step`` or each ``epoch``.
    """

    name: Literal["constant", "milestones", "cosine", "exponential", "cosine_milestones"]
    milestones: Annotated[tuple[int, ...], Range(0, 10**6)] = ()
    gamma: PositiveFraction = 0.1
    period_epochs: Passes = 1.0
    staircase: bool = True
    warmup_epochs: Period = 0.0
    warmup_start: Fraction = 0.0
    final: Fraction = 0.0
    update: Literal["step", "epoch"] = "step"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The length, size and numerics of a run.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a global batch, all processes and accumulated parts together.
        accumulate: Parts a process's share of the batch is run in, one after the other.
        precision: ``fp32``, ``bf16`` or ``fp16`` (with loss scaling).
        clip_norm: Largest gradient norm of a phase, or None.
        ema_decay: Decay of the exponential moving average of the student's weights, or None for no average.
        channels_last: Whether images and convolutions are laid out NHWC in memory.
        compile: Whether the student runs through torch.compile.
        deterministic: Whether only deterministic kernels are used, so that a resumed run is the same to the bit.
        sync_batchnorm: Whether BatchNorm statistics span all processes.
        evaluate_every_epochs: Epochs between evaluations; the last epoch is always evaluated; 0 for the last only.
        checkpoint_every_steps: Steps between checkpoints inside an epoch; 0 for the ends of epochs only.
        log_every_steps: Steps between lines of metrics.
        export: Which weights ``model/`` gets: those of the ``last`` evaluation or of the ``best``; the average's where
            there is one.
        views_per_decode: Views of an image side by side in a batch: the loader decodes an image once for them. Over as
            many epochs each image is shown as often as with one, in the same views.
        patience: The run ends early after this many evaluations on end that were not the best so far; 0: never.
        max_unreadable_fraction: The run stops when more than this fraction of the training images cannot be decoded.
    """

    epochs: Epochs
    batch_size: Count
    accumulate: Count = 1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    clip_norm: Annotated[float, Range(0, 1e9, above_low=True)] | None = None
    ema_decay: Decay | None = None
    channels_last: bool = True
    compile: bool = False
    deterministic: bool = True
    sync_batchnorm: bool = False
    evaluate_every_epochs: CountFromZero = 1
    checkpoint_every_steps: CountFromZero = 0
    log_every_steps: Count = 50
    export: Literal["last", "best"] = "last"
    views_per_decode: Count = 1
    patience: CountFromZero = 0
    max_unreadable_fraction: Fraction = 0.001
