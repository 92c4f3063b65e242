"""Images that lie many to a file: tar shards (``wds:``), and Hub data sets as Arrow files (``hf:``).

Both are read alike. Once, an index is made: of each image the file, its place in it, its label and its name, sorted as
the files of class folders are. From then on an image is so many bytes of a file, read at its place; neither `tarfile`
nor pyarrow nor the ``datasets`` library takes part, and nothing that a process was forked with is shared.
"""

from __future__ import annotations

from .opening import open_shards, require_held_out, splits_there
