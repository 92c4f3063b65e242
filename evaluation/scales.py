"""Axes: from values to positions on the page, with ticks at round numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from values to positions.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Position of ``low``.
        end: Position of ``high``.
        ticks: Round values inside the scale.
        step: Distance of the ticks; 0 for a logarithmic scale.
        logarithmic: Whether equal factors take equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    step: float = 0.0
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The position of a value; values beyond the scale stay at its ends."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start + share * (self.end - self.start)


def round_step(span: float, ticks: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that cuts ``span`` into at most ``ticks`` parts."""
    rough = span / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 2.5, 5) if factor * power >= rough * (1 - 1e-9)), 10 * power)


def linear_scale(low: float, high: float, start: float, end: float, *, ticks: int = 4, tight: bool = False) -> Scale:
    """A linear scale over [low, high].

    Args:
        low: Smallest value.
        high: Largest value; where it equals ``low``, some room is made around both.
        start: Position of the low end.
        end: Position of the high end.
        ticks: About how many intervals the ticks make.
        tight: End exactly at ``low`` and ``high`` rather than at the next round numbers.
    """
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    step = round_step(high - low, ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = [k * step for k in range(first, last + 1)]
    if tight:
        marks = [mark for mark in marks if low - 1e-9 * step <= mark <= high + 1e-9 * step]
    else:
        low, high = marks[0], marks[-1]
    return Scale(low, high, start, end, tuple(marks), step)


def log_scale(low: float, high: float, start: float, end: float) -> Scale:
    """A logarithmic scale over [low, high], both positive, widened to whole decades; a tick a decade, at most six."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 6))
    marks = tuple(10.0**k for k in range(first, last + 1, every))
    return Scale(10.0**first, 10.0**last, start, end, marks, logarithmic=True)


def number(value: float, step: float = 0.0) -> str:
    """A number for a reader: ``step`` fixes the decimals of a tick, otherwise four significant digits."""
    if not math.isfinite(value):
        return "not finite"
    if step >= 1e-5 and abs(value) < 1e6:
        text = f"{value:.{_decimals(step)}f}"
    elif step and abs(value) > step / 2:
        places = math.floor(math.log10(abs(value))) - math.floor(math.log10(step) + 1e-9)
        text = _power(f"{value:.{max(0, places) + 1}e}")
    elif value and not 1e-3 <= abs(value) < 1e6:
        text = _power(f"{value:.2e}")
    else:
        text = f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return text.replace("-", "−") if float(text) < 0 else text.removeprefix("-")


def _power(text: str) -> str:
    """A number in scientific notation without padding: ``2.50e-05`` as ``2.5e-5``."""
    digits, _, power = text.partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def _decimals(step: float) -> int:
    return next((places for places in range(6) if abs(round(step, places) - step) < 1e-9 * step), 6)
