"""Data sets as the Hugging Face Hub keeps them, images and labels in parquet files, into class folders.

`unpack` is `kdzoo data unpack`. What is read: ``datasets`` writes an image as struct{bytes, path} and a class as an
integer, whose names stand as JSON in the file's own metadata (key ``huggingface``, ``info.features``) or in the
front matter of README.md (``dataset_info.features``). pyarrow, an optional dependency, is imported where it is used.
"""

from __future__ import annotations

from .unpacking import Unpacked, unpack
