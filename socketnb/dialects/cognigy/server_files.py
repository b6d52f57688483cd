"""The file storage of a simulated endpoint: upload tokens, uploaded files, and the limits of size and type."""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from socketnb.model.actions import Setting
from socketnb.model.effects import HttpCall, HttpReply
from socketnb.model.json import JsonObjectOut

if TYPE_CHECKING:
    from socketnb.dialects.base import NewId, Settings

OPTIONS: dict[str, Setting] = {
    "max_file_size": Setting("the size of the largest file to accept, in bytes", type=int, default=10 * 2**20),
    "file_types": Setting("the media types of files to accept; * stands for any text", type=tuple, default=("*",)),
}
MAX_FILES = 16
"""The number of uploaded files kept."""


class Files:
    """The uploaded files of an endpoint. `ids` returns a new unique string at each call."""

    def __init__(self, ids: NewId, options: Settings) -> None:
        self._ids = ids
        self._max_size: int = options["max_file_size"]
        self._types: tuple[str, ...] = options["file_types"]
        self._tokens: deque[str] = deque(maxlen=MAX_FILES)
        self._files: dict[str, tuple[str, str, bytes]] = {}

    def new_token(self, endpoint: str) -> HttpReply:
        """Allow one more upload. `endpoint` is the URL of the endpoint."""
        self._tokens.append(self._ids())
        return HttpReply(200, {"fileUploadUrl": f"{endpoint}/fileupload", "token": self._tokens[-1]})

    def upload(self, request: HttpCall, endpoint: str) -> HttpReply:
        """Store a file and return its description, or refuse it."""
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            return HttpReply(401, {"error": "unknown upload token"})
        if request.file is None:
            return HttpReply(400, {"error": "the form needs the field `file`"})
        name, media_type, content = request.file
        if len(content) > self._max_size:
            return HttpReply(413, {"error": f"the file is larger than {self._max_size} bytes"})
        if not any(fnmatchcase(media_type.lower(), accepted.lower()) for accepted in self._types):
            return HttpReply(415, {"error": f"files of the type {media_type} are not accepted"})
        file_id = self._ids()
        self._files[file_id] = request.file
        if len(self._files) > MAX_FILES:
            del self._files[next(iter(self._files))]
        file: JsonObjectOut = {
            "fileName": name,
            "mimeType": media_type,
            "size": len(content),
            "url": f"{endpoint}/files/{file_id}",
            "status": "scanned",
        }
        return HttpReply(200, {"runtimeFileId": file_id, **file})

    def get(self, file_id: str) -> HttpReply | None:
        """Return a stored file, or None if there is no such file."""
        file = self._files.get(file_id)
        return HttpReply(200, file=file) if file else None
