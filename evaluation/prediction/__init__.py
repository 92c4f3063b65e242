"""Answers to images without labels; see ``kdzoo.predict``."""
