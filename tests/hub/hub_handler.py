"""The requests that a Hub answers; see ``hub_server``."""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from hub_store import Refused, Repository, apply_commit, is_lfs

if TYPE_CHECKING:
    from hub_server import Fault, HubServer

NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = (
    ("GET", r"/api/whoami-v2", "who"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "check_card"),
    ("POST", rf"/api/models/{NAME}/preupload/{REVISION}", "upload_modes"),
    ("POST", rf"/api/models/{NAME}/commit/{REVISION}", "commit"),
    ("POST", rf"/api/models/{NAME}/branch/{REVISION}", "branch"),
    ("GET", rf"/api/models/{NAME}/refs", "refs"),
    ("GET", rf"/api/models/{NAME}/tree/{REVISION}(/(?P<folder>.+))?", "tree"),
    ("POST", rf"/api/models/{NAME}/paths-info/{REVISION}", "paths_info"),
    ("GET", rf"/api/models/{NAME}(/revision/{REVISION})?", "info"),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("PUT", r"/lfs-objects/(?P<oid>[0-9a-f]{64})", "lfs_put"),
    ("POST", r"/lfs-verify", "lfs_verify"),
    ("GET", r"/lfs-objects/(?P<oid>[0-9a-f]{64})", "lfs_get"),
    ("GET", rf"/{NAME}/resolve/{REVISION}/(?P<path>.+)", "resolve"),
    ("GET", r"/", "home"),
)


class HubHandler(BaseHTTPRequestHandler):
    """One connection. ``hub`` is set on a subclass."""

    hub: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: object) -> None:
        pass

    def handle_request(self) -> None:
        from hub_server import Seen

        length = int(self.headers.get("Content-Length") or 0)
        self.body = (
            self.read_chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        )
        split = urlsplit(self.path)
        self.query = parse_qs(split.query)
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        user = self.hub.users.get(self.token, ("unknown",))[0] if self.token else None
        line = f"{self.command} {self.path}"
        agent, span = str(self.headers.get("User-Agent")), self.headers.get("Range")
        self.hub.requests.append(Seen(line, user, agent, span))
        self.fault: Fault | None = self.hub.fault_of(line)
        try:
            if self.fault and self.fault.status:
                raise Refused(self.fault.status, self.fault.code, self.fault.message)
            if self.token and user == "unknown":
                raise Refused(401, message="Invalid credentials in Authorization header")
            # A data set is answered as a model of its name would be.
            self.route(re.sub(r"^/datasets/", "/", split.path.replace("/api/datasets/", "/api/models/", 1)))
        except Refused as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            body = json.dumps({"error": error.message or error.code}).encode()
            self.reply(body, error.status, {key: value for key, value in headers.items() if value}, damaged=False)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def route(self, path: str) -> None:
        method = "GET" if self.command == "HEAD" else self.command
        for verb, pattern, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                groups = {key: unquote(value) for key, value in match.groupdict().items() if value is not None}
                with self.hub.lock:
                    answer = getattr(self, action)(**groups)
                if answer is not None:
                    self.reply(*answer) if isinstance(answer, tuple) else self.reply(json.dumps(answer).encode())
                return
        raise Refused(404, "RepoNotFound", "Repository not found")

    def reply(
        self, body: bytes, status: int = 200, headers: dict[str, str] | None = None, *, damaged: bool = True
    ) -> None:
        fault = self.fault if damaged else None
        if fault and fault.corrupt and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        cut = fault.break_after if fault and fault.break_after is not None else None
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None and self.command != "HEAD":
            self.wfile.flush()
            self.close_connection = True

    # Who may do what

    def repository(self, name: str, *, write: bool = False) -> Repository:
        found = self.hub.repositories.get(name)
        user, organisations, may_write = self.hub.users.get(self.token, (None, (), False))
        member = found is not None and (found.owner in organisations or found.owner == user)
        if found is None or (found.private and not member):
            raise Refused(404 if user else 401, "RepoNotFound", "Repository not found")
        if write and user is None:
            raise Refused(401, message="Invalid username or password.")
        if write and not (may_write and (member or "create_pr" in self.query)):
            raise Refused(403, message="You don't have the rights to write to this repository")
        return found

    def at(self, name: str, revision: str, *, write: bool = False) -> tuple[Repository, Any]:
        repository = self.repository(name, write=write)
        commit = repository.at(revision)
        if commit is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, commit

    # What is asked

    def home(self) -> Any:
        return b"", 200, {}

    def who(self) -> Any:
        if self.token not in self.hub.users:
            raise Refused(401, message="Invalid username or password.")
        name, organisations, may_write = self.hub.users[self.token]
        role = "write" if may_write else "read"
        return {
            "type": "user",
            "name": name,
            "orgs": [{"name": one} for one in organisations],
            "auth": {"accessToken": {"displayName": "tests", "role": role}},
        }

    def create(self) -> Any:
        asked = json.loads(self.body)
        user, organisations, may_write = self.hub.users.get(self.token, (None, (), False))
        if user is None:
            raise Refused(401, message="Invalid username or password.")
        owner = asked.get("organization") or user
        if not may_write or owner not in (*organisations, user):
            raise Refused(403, message=f"You don't have the rights to create a model under the namespace {owner!r}")
        name = f"{owner}/{asked['name']}"
        answer = {"url": f"{self.hub.endpoint}/{name}", "id": name}
        if name in self.hub.repositories:
            return json.dumps({**answer, "error": "You already created this model repo"}).encode(), 409, {}
        self.hub.repositories[name] = Repository(name, asked.get("visibility") == "private", owner)
        return answer

    def check_card(self) -> Any:
        content = json.loads(self.body)["content"]
        parts = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            head = yaml.safe_load(parts[1]) if parts else None
        except yaml.YAMLError as error:
            raise Refused(400, message=f"the YAML does not parse: {error}") from error
        errors = [] if isinstance(head, dict) else ["the card has no YAML head"]
        if isinstance(head, dict):
            if head.get("license") == "other" and not re.fullmatch(r"[a-z0-9.-]+", str(head.get("license_name"))):
                errors.append('"license_name" must be a short lower-case name where license is "other"')
            for model in head.get("model-index", []):
                for result in model["results"]:
                    if not (result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]):
                        errors.append("a result of the model-index lacks its task or dataset")
                    for metric in result["metrics"]:
                        if not isinstance(metric["value"], int | float) or not metric["type"]:
                            errors.append("a metric of the model-index is no number")
        found = [{"message": one} for one in errors]
        return json.dumps({"errors": found, "warnings": []}).encode(), 400 if found else 200, {}

    def upload_modes(self, name: str, revision: str) -> Any:
        _, commit = self.at(name, revision, write=True)
        files = []
        for one in json.loads(self.body)["files"]:
            stored = commit.files.get(one["path"])
            mode = "lfs" if is_lfs(one["path"], one["size"]) else "regular"
            oid = {"oid": stored.oid} if stored else {}
            files.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, **oid})
        return {"files": files}

    def commit(self, name: str, revision: str) -> Any:
        repository, _ = self.at(name, revision, write=True)
        answer = {}
        if self.query.get("create_pr") == ["1"]:
            number = len(repository.pull_requests) + 1
            repository.branch(f"refs/pr/{number}", revision)
            revision = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.hub.endpoint}/{name}/discussions/{number}"
        made = apply_commit(repository, revision, self.body.split(b"\n"), self.hub.objects)
        return {"commitUrl": f"{self.hub.endpoint}/{name}/commit/{made.sha}", "commitOid": made.sha, **answer}

    def branch(self, name: str, revision: str) -> Any:
        repository = self.repository(name, write=True)
        if revision in repository.revisions:
            raise Refused(409, message="Reference already exists")
        repository.branch(revision)
        return {}

    def refs(self, name: str) -> Any:
        history = self.repository(name).revisions
        found = [
            {"name": one, "ref": one if one.startswith("refs/") else f"refs/heads/{one}", "targetCommit": all_[-1].sha}
            for one, all_ in history.items()
        ]
        mine = [one for one in found if one["ref"].startswith("refs/heads/")]
        return {"branches": mine, "converts": [], "tags": [], "pullRequests": [x for x in found if x not in mine]}

    def tree(self, name: str, revision: str, folder: str | None = None) -> Any:
        _, commit = self.at(name, revision)
        inside = "" if folder is None else f"{folder}/"
        rows: list[dict[str, Any]] = []
        for path, file in sorted(commit.files.items()):
            if not path.startswith(inside):
                continue
            for depth in range(1, path.count("/") + 1):
                above = {"type": "directory", "path": "/".join(path.split("/")[:depth]), "oid": "0" * 40, "size": 0}
                if len(above["path"]) > len(inside) and above not in rows and "recursive" in self.query:
                    rows.append(above)
            row = {"type": "file", "path": path, "size": len(file.content), "oid": file.oid}
            if file.lfs:
                row["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": 134}
            rows.append(row)
        return rows

    def paths_info(self, name: str, revision: str) -> Any:
        asked = json.loads(self.body)["paths"]
        self.query["recursive"] = ["true"]
        return [row for row in self.tree(name, revision) if row["path"] in asked]

    def info(self, name: str, revision: str = "main") -> Any:
        repository, commit = self.at(name, revision)
        siblings = [
            {"rfilename": path, "size": len(file.content), "blobId": file.oid}
            | ({"lfs": {"sha256": file.sha256, "size": len(file.content), "pointerSize": 134}} if file.lfs else {})
            for path, file in sorted(commit.files.items())
        ]
        return {"id": name, "modelId": name, "sha": commit.sha, "private": repository.private, "siblings": siblings}

    def lfs_batch(self, name: str) -> Any:
        self.repository(name)  # who proposes a pull request uploads too
        if not self.hub.users.get(self.token, (None, (), False))[2]:
            raise Refused(403, message="You don't have the rights to upload")
        objects = []
        for one in json.loads(self.body)["objects"]:
            answer = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.objects:
                upload = {"href": f"{self.hub.endpoint}/lfs-objects/{one['oid']}"}
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.endpoint}/lfs-verify"}}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    def lfs_put(self, oid: str) -> Any:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, message="the object has another SHA-256")
        self.hub.objects[oid] = self.body
        return b"", 200, {}

    def lfs_verify(self) -> Any:
        asked = json.loads(self.body)
        if len(self.hub.objects.get(asked["oid"], b"")) != asked["size"]:
            raise Refused(404, message="no such object")
        return {}

    def resolve(self, name: str, revision: str, path: str) -> Any:
        _, commit = self.at(name, revision)
        file = commit.files.get(path)
        if file is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        digest = "0" * len(file.oid) if self.fault and self.fault.wrong_digest else file.oid
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        if not file.lfs:
            return self.ranged(file.content, headers)
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(file.content))}
        return b"", 302, {**headers, "Location": f"{self.hub.storage}/lfs-objects/{file.sha256}"}

    def lfs_get(self, oid: str) -> Any:
        return self.ranged(self.hub.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def ranged(self, content: bytes, headers: dict[str, str]) -> Any:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        headers = {**headers, "Content-Type": "application/octet-stream"}
        if not match:
            return content, 200, headers
        first, last = int(match[1]), int(match[2] or len(content) - 1)
        if first >= len(content):
            raise Refused(416, message="range not satisfiable")
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return content[first : last + 1], 206, headers
