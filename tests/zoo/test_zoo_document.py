from pathlib import Path

from kdzoo.zoo.document import page
from kdzoo.zoo.entries import ENTRIES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"


def test_the_page_is_what_the_entries_make():
    assert DOCS.read_text(encoding="utf-8") == page(), "run: python -m kdzoo.zoo.document > docs/zoo.md"


def test_every_entry_is_on_the_page():
    text = page()
    assert all(f"| `{name}` |" in text for name in ENTRIES)
    assert text.count("\n| `") == len(ENTRIES)
