"""Pages of one file: the template, the look and the policy that all reports share."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from .. import __version__
from ..base.regular_files import refuse_special
from ..base.writing import write_file

_THUMBNAIL = 160  # pixels; twice what is shown, for sharp screens


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=count, duration=duration)
    return environment


def render(template: str, **content: Any) -> Markup:
    """A template beside this module with its content; every value is escaped unless it is already ``Markup``."""
    return Markup(_environment().get_template(template).render(**content))


def write_page(path: Path, template: str, **content: Any) -> Path:
    """Render a template to one self-contained file, whole or not at all.

    Every value is escaped unless it is already ``Markup``; the page's policy forbids scripts and
    anything from elsewhere.

    Args:
        path: The file.
        template: Name of the template beside this module.
        content: What it shows.

    Raises:
        RunError: The file cannot be written.
    """
    refuse_special(path, what="the page")
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = render(template, version=__version__, written=written, **content)
    # A lone surrogate (a file name in another encoding) has no UTF-8 form.
    write_file(path, text.encode("utf-8", errors="replace"))
    return path


def data_uri(image: Image.Image) -> Markup:
    """A thumbnail as the ``src`` of an ``<img>``: PNG, at most 160 pixels a side, never enlarged."""
    small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return Markup("data:image/png;base64,") + Markup(base64.b64encode(buffer.getvalue()).decode())


def count(value: object) -> str:
    """A count with thin groups of three: 1 437."""
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8.4 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
