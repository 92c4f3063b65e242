"""Read a pickled dict of arrays without unpickling: an interpreter for the few opcodes that such a file needs.

Nothing here imports, looks up or calls what a file names. A global is compared with a short list and becomes a member
of an enumeration; REDUCE and BUILD recognise the shapes that numpy and Paddle write and make plain records of them.
Anything else is refused. `kdzoo.zoo.pdparams` runs it in a process of its own, which is why this package imports
nothing but the standard library, and nothing of kdzoo.

Formats: pickle protocols 2 to 4 (Python's pickletools documents the opcodes); numpy's ndarray and dtype states;
Paddle's `.pdparams`, in which strings are latin-1 where protocol 2 wrote them.
"""
