"""Making a paper's table again: what it takes, running it, and the paper's numbers beside ours.

``choices`` says what was asked for; ``jobs`` turns a row into training runs; ``needs`` shows what they need and cost;
``carry_out`` runs them; ``record`` keeps the results. Everything that needs torch is imported when it is used.
"""

from __future__ import annotations

from .choices import Choices

__all__ = ["Choices"]
