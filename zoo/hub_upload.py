"""Sending a package to the Hub: one commit, whole or not at all, and none where nothing changed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..base.digests import git_sha1
from ..base.errors import KdzooError, ModelError, UsageError
from ..base.redact import HIDDEN, redact
from .publishing import Package

_LOGIN = "log in with a token that may write: hf auth login"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a package was published, and how.

    Attributes:
        repository: ``ORG/NAME``.
        url: Where to look at it.
        commit: Its commit.
        changed: Whether a commit was made; False where the Hub had the same files already.
        revision: Branch or pull request, as a model reference takes it; None for the default branch.
        pull_request: Address of the pull request, or None.
    """

    repository: str
    url: str
    commit: str
    changed: bool
    revision: str | None = None
    pull_request: str | None = None

    @property
    def reference(self) -> str:
        """The model reference that loads it."""
        return f"hf-hub:{self.repository}" + (f"@{self.revision}" if self.revision else "")


def check_login(package: Package) -> str:
    """The name of the token's owner, before anything is sent.

    Raises:
        ModelError: Nobody is logged in, the Hub cannot be reached, or the package would give the token away.
    """
    token = get_token()
    with clear_hub_errors(package.repository):
        if not token:
            raise ModelError("publishing needs a login on the Hub, and there is none", hint=_LOGIN)
        if any(token.encode() in content for content in (package.card, package.config)):
            raise ModelError("the run's records hold the Hub's token, and are not sent", hint="take it out of the run")
        return str(HfApi().whoami()["name"])


def upload(
    package: Package,
    *,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
) -> Published:
    """Send a package as one commit.

    Args:
        package: From ``prepare``.
        private: Make a new repository private. Asked of a public one, it is an error.
        revision: Branch, made from the default one where it is not there; None for the default one.
        create_pr: Propose it as a pull request to an existing repository.
        message: Of the commit.

    Raises:
        UsageError: ``create_pr`` with a revision.
        ModelError: No permission, no such repository, the connection broke, or the Hub refused; nothing was changed.
    """
    if create_pr and revision:
        raise UsageError("a pull request goes to the default branch", hint="leave out --revision or --create-pr")
    check_login(package)
    name, api = package.repository, HfApi()
    with clear_hub_errors(name):
        if not create_pr:
            _make_repository(api, name, private, revision)
        before = api.repo_info(name, revision=revision)
        same = _same_pull_request(api, package) if create_pr else None
        if same:
            return same
        made = api.create_commit(
            name, _operations(package), commit_message=redact(message or package.headline), revision=revision,
            create_pr=create_pr,
        )  # fmt: skip
    pull_request = str(made.pr_url) if made.pr_url else None
    return Published(
        repository=name,
        url=pull_request or f"{constants.ENDPOINT}/{name}",
        commit=str(made.oid),
        changed=made.oid != before.sha,
        revision=made.pr_revision or revision,
        pull_request=pull_request,
    )


def _operations(package: Package) -> list[CommitOperationAdd]:
    return [
        CommitOperationAdd("README.md", package.card),
        CommitOperationAdd("config.json", package.config),
        CommitOperationAdd("model.safetensors", str(package.weights)),
    ]


def _make_repository(api: HfApi, name: str, private: bool, revision: str | None) -> None:
    try:
        existing = api.repo_info(name)
    except RepositoryNotFoundError:
        api.create_repo(name, private=private or None, exist_ok=True)
    else:
        if private and not existing.private:
            raise ModelError(
                f"{name} exists and is public: --private cannot hide it",
                hint="change its visibility in its settings on the Hub, or publish under another name",
            )
    if revision:
        api.create_branch(name, branch=revision, exist_ok=True)


def _same_pull_request(api: HfApi, package: Package) -> Published | None:
    """The default branch or an earlier pull request that holds these very files."""
    refs = api.list_repo_refs(package.repository, include_pull_requests=True)
    requests = sorted(refs.pull_requests or [], key=lambda one: int(one.ref.rpartition("/")[2]), reverse=True)
    wanted = [operation.path_in_repo for operation in _operations(package)]
    small = {"README.md": package.card, "config.json": package.config}
    for ref in [*(one for one in refs.branches if one.name == "main"), *requests]:
        revision = None if ref.ref == "refs/heads/main" else ref.ref
        tree: list[Any] = list(api.list_repo_tree(package.repository, revision=revision))
        found = {one.path: one.lfs.sha256 if getattr(one, "lfs", None) else getattr(one, "blob_id", "") for one in tree}
        files = {row["path"]: row["sha256"] for row in package.files()}
        same = all(
            found.get(path) in (files[path], git_sha1(small[path]) if path in small else None) for path in wanted
        )
        if same:
            address = f"{constants.ENDPOINT}/{package.repository}"
            number = ref.ref.rpartition("/")[2]
            pull_request = f"{address}/discussions/{number}" if revision else None
            return Published(
                repository=package.repository,
                url=pull_request or address,
                commit=ref.target_commit,
                changed=False,
                revision=revision,
                pull_request=pull_request,
            )
    return None


@contextlib.contextmanager
def clear_hub_errors(name: str) -> Iterator[None]:
    """Turn what the Hub and the connection answer into one clear line each. No token gets into it."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except KdzooError:
        raise
    except LocalTokenNotFoundError as error:
        raise ModelError("publishing needs a login on the Hub, and there is none", hint=_LOGIN) from error
    except OfflineModeIsEnabled as error:
        raise ModelError("HF_HUB_OFFLINE is set, and publishing needs the Hub", hint="unset HF_HUB_OFFLINE") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no such revision", hint="check --revision") from error
    except Exception as error:
        if not (_is_of_the_connection(error) or isinstance(error, HfHubHTTPError | RuntimeError | ValueError)):
            raise
        raise _explained(error, name) from error


def _is_of_the_connection(error: BaseException) -> bool:
    """Whether it is the HTTP library's or the system's; which library that is depends on the client's version."""
    return isinstance(error, OSError) or type(error).__module__.startswith("httpx")


def _explained(error: BaseException, name: str) -> ModelError:
    """The HTTP status decides; the client wraps a failed upload's in a RuntimeError."""
    answer: BaseException | None = error
    while answer is not None and getattr(answer, "response", None) is None:
        if _is_of_the_connection(answer):
            return ModelError(
                f"the connection to {constants.ENDPOINT} failed ({type(answer).__name__}) while {name} was published",
                hint="publish again: what has arrived is not sent twice",
            )
        answer = answer.__cause__
    response: Any = getattr(answer, "response", None)
    status = response.status_code if response is not None else None
    said = str(getattr(answer, "server_message", None) or (error if status is None else "")).strip().splitlines()
    token = get_token()
    line = redact(said[0].replace(token, HIDDEN) if token else said[0]) if said else ""
    line = f" ({line})" if line else ""
    if status == 401:
        return ModelError(f"the Hub does not accept the login{line}", hint=_LOGIN)
    if status == 403:
        return ModelError(f"your login may not write to {name}{line}", hint="use a token of a member with write access")
    if status == 404:
        return ModelError(f"there is no repository {name} on the Hub, or it is private", hint="check the name")
    if status is not None and status >= 500:
        return ModelError(
            f"the Hub failed with status {status} while {name} was published", hint="try again in a few minutes"
        )
    if status is not None:
        return ModelError(f"the Hub refused {name} with status {status}{line}", hint="see what it says")
    return ModelError(f"the Hub refused {name}{line}", hint="see what it says")
