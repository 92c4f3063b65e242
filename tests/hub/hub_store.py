"""What a Hub holds: repositories, their commits on branches and pull requests, and the bytes of their files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".npz")


@dataclass(frozen=True)
class StoredFile:
    """One file of a commit: its Git blob, and the SHA-256 where it is stored as LFS."""

    content: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def oid(self) -> str:
        """The digest that a client compares with its own: of the Git blob, or of the LFS object."""
        return self.sha256 if self.lfs else git_blob_sha1(self.content)


@dataclass(frozen=True)
class Commit:
    """One state of a branch."""

    sha: str
    message: str
    files: Mapping[str, StoredFile]


@dataclass
class Repository:
    """Branches and pull requests, each a list of commits, the newest last."""

    name: str
    private: bool = False
    owner: str = "org"
    revisions: dict[str, list[Commit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit("main", "initial commit", {})

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, a pull request or a SHA names."""
        if revision in self.revisions:
            return self.revisions[revision][-1]
        return next((one for history in self.revisions.values() for one in history if one.sha == revision), None)

    def branch(self, name: str, start: str = "main") -> None:
        """Start a branch or a pull request at another one's newest commit."""
        self.revisions[name] = list(self.revisions[start])

    def commit(self, revision: str, message: str, files: Mapping[str, StoredFile]) -> Commit:
        """Add a commit with exactly these files."""
        history = self.revisions.setdefault(revision, [])
        listing = [[path, file.oid] for path, file in sorted(files.items())]
        identity = json.dumps([self.name, history[-1].sha if history else "", len(history), message, listing])
        history.append(Commit(hashlib.sha1(identity.encode()).hexdigest(), message, dict(files)))
        return history[-1]

    @property
    def pull_requests(self) -> list[str]:
        return [name for name in self.revisions if name.startswith("refs/pr/")]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code, self.message = status, code, message


def git_blob_sha1(content: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str, size: int) -> bool:
    """Whether the Hub wants a file as LFS: by its suffix, or because it is large."""
    return path.endswith(LFS_SUFFIXES) or size > 10_000_000


def apply_commit(repository: Repository, revision: str, lines: Iterable[bytes], objects: Mapping[str, bytes]) -> Commit:
    """A commit from its newline-separated JSON: a header, then files.

    Args:
        repository: Gets the commit.
        revision: Branch or pull request.
        lines: One JSON object each.
        objects: Uploaded LFS objects by SHA-256.
    """
    history = repository.revisions[revision]
    files = dict(history[-1].files)
    message = ""
    for line in filter(None, lines):
        item = json.loads(line)
        key, value = item["key"], item["value"]
        if key == "header":
            message = value["summary"]
            parent = value.get("parentCommit")
            if parent and not history[-1].sha.startswith(parent):
                raise Refused(412, message="A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[value["path"]] = StoredFile(base64.b64decode(value["content"], validate=True), lfs=False)
        elif key == "lfsFile":
            content = objects.get(value["oid"])
            if content is None or len(content) != value["size"]:
                raise Refused(400, message=f"LFS object {value['oid']} was not uploaded")
            files[value["path"]] = StoredFile(content, lfs=True)
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
        else:
            raise Refused(400, message=f"unknown operation {key}")
    return repository.commit(revision, message, files)
