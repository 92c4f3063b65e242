"""Downloading one file over HTTP: with progress, resumed where it broke, whole or not at all."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ..base.digests import sha256_of
from ..base.errors import ModelError, RunError, UsageError
from ..base.writing import make_folder, move_into_place, open_scratch, write_file

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes of the whole file, None where the server does not say."""

MAX_BYTES = 4 * 2**30
TIMEOUT_S = 30.0
ATTEMPTS = 4
PAUSE_S = 0.5
_CHUNK = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class _Known:
    """What the unfinished download beside a part file is of: only the same bytes are gone on with."""

    url: str
    validator: str


class _Broken(Exception):
    """The connection ended too early, or the server could not answer now: worth another try."""


def check_address(address: str) -> str:
    """An ``http:`` or ``https:`` address without a user's name and password.

    Raises:
        UsageError: It is another one.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{address!r} is not an address that can be downloaded from", hint="it begins with https://")
    if parts.username or parts.password:
        raise UsageError(
            f"the address at {parts.hostname} holds a password, which would be written down with the model",
            hint="use one without, or download the file by hand: kdzoo pull --convert FILE --as NAME",
        )
    return address


def fetch(url: str, target: Path, *, progress: Progress | None = None) -> str:
    """Download a file to ``target``, going on from ``target`` + ``.part`` where an earlier try broke.

    A part is gone on with only if the server says that it still has the same file (``If-Range``).

    Args:
        url: ``http:`` or ``https:``; a redirect never leaves https.
        target: Is not there before the last byte is.
        progress: See ``Progress``.

    Returns:
        The file's SHA-256.

    Raises:
        ModelError: The server has no such file, or the connection broke and did not come back; the part stays.
        RunError: There is no room; nothing stays.
    """
    check_address(url)
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    make_folder(target.parent, option="KDZOO_HOME")
    try:
        return _until_whole(url, target, part, note, progress or (lambda done, total: None))
    finally:
        if _size(part) == 0:
            for path in (part, note):
                path.unlink(missing_ok=True)


def _until_whole(url: str, target: Path, part: Path, note: Path, progress: Progress) -> str:
    reason, failures = "", 0
    while failures < ATTEMPTS:
        before = _size(part)
        try:
            _attempt(url, part, note, progress)
            digest = sha256_of(part)
            move_into_place(part, target, option="KDZOO_HOME")
            return digest
        except _Broken as error:
            reason = str(error)
            failures = 0 if _size(part) > before else failures + 1
            time.sleep(PAUSE_S * max(failures, 1))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            part.unlink(missing_ok=True)
            raise RunError(
                f"there is no room for {target.name} in {target.parent} ({error.strerror})",
                hint="free some space, or set KDZOO_HOME to a folder on another disk",
            ) from error
    have = _size(part)
    kept = f"{have / 1e6:.1f} MB are kept: run it again to go on" if have else "try again later, or use --mirror"
    raise ModelError(f"{url} could not be downloaded: {reason}", hint=kept)


def _attempt(url: str, part: Path, note: Path, progress: Progress) -> None:
    known, have = _read_note(note, url), _size(part)
    headers = {"User-Agent": "kdzoo", "Accept-Encoding": "identity"}
    if have and known:
        headers |= {"Range": f"bytes={have}-", "If-Range": known.validator}
    elif have:
        part.unlink()
        have = 0
    try:
        response = _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
                raise _Broken("the part that was there fits the file no more") from error
            if error.code >= 500 or error.code in (408, 429):
                raise _Broken(f"the server answered {error.code} ({error.reason})") from error
            raise ModelError(
                f"{url} is not there: the server answered {error.code} ({error.reason})",
                hint="check --mirror; with the file at hand: kdzoo pull --convert FILE --as NAME",
            ) from error
    except (OSError, http.client.HTTPException) as error:  # no name, no route, refused, timed out, not HTTP
        cause = getattr(error, "reason", error)
        raise _Broken(str(cause) or type(error).__name__) from error
    with response:
        start, total = _extent(response, have)
        if total is not None and total > MAX_BYTES:
            raise ModelError(f"{url} has {total} bytes: no weights of the zoo are that large", hint="check --mirror")
        if total is not None and total - start > shutil.disk_usage(part.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _write_note(note, url, response)
        _receive(response, part, start, total, progress)
    stated = response.headers.get("Content-MD5")
    if stated and start == 0 and base64.b64decode(stated, validate=False) != _md5(part):
        part.unlink()
        raise _Broken("what arrived is not what the server says that it sent (Content-MD5)")


def _receive(response: Any, part: Path, start: int, total: int | None, progress: Progress) -> None:
    done = start
    progress(done, total)
    with open_scratch(part, keep=start > 0) as file:
        try:
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                if done > MAX_BYTES or (total is not None and done > total):
                    raise ModelError(f"{response.url} sends more bytes than it should", hint="check --mirror")
                progress(done, total)
        finally:
            file.flush()
    if total is not None and done < total:
        raise _Broken(f"the connection broke after {done / 1e6:.1f} of {total / 1e6:.1f} MB")


def _read(response: IO[bytes]) -> bytes:
    try:
        return response.read(_CHUNK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"the connection broke ({error})") from error


def _extent(response: Any, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin, and how many the whole file has."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != have:
            raise ModelError(f"{response.url} answers with another piece than was asked for", hint="run it again")
        return have, int(match[3])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https" and urlsplit(req.full_url).scheme == "https":
            raise ModelError(f"{req.full_url} leads away from https, to {newurl}", hint="check the address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """An opener of http and https alone, through the environment's proxies."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoDowngrade(),
    ):
        opener.add_handler(handler)
    return opener


def _read_note(note: Path, url: str) -> _Known | None:
    try:
        record = json.loads(note.read_text(encoding="utf-8"))
        known = _Known(str(record["url"]), str(record["validator"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if known.url == url and known.validator else None


def _write_note(note: Path, url: str, response: Any) -> None:
    etag = response.headers.get("ETag") or ""
    # RFC 9110, 13.1.5: a weak tag does not say that the bytes are the same.
    validator = etag if etag.startswith('"') else response.headers.get("Last-Modified") or ""
    write_file(note, json.dumps({"url": url, "validator": validator}), option="KDZOO_HOME")


def _md5(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
