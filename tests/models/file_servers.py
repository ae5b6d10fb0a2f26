"""Servers on loopback: one of files, and one that answers as the Hugging Face hub does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from urllib.parse import unquote

COMMIT = 'c0ffee' + '0' * 34


@dataclass
class Served:
    """What a server has, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path; of the hub, by name in its one repository, org/name."""

    cut: int | None = None
    """Bytes after which connections end."""

    headers: dict[str, str | None] = field(default_factory=dict)
    """Sent besides; None leaves one out."""

    longer: bytes = b''
    """Sent, in chunks, behind what HEAD tells of a file."""

    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'


class _Files(BaseHTTPRequestHandler):
    """Sends files."""

    protocol_version = 'HTTP/1.1'

    served: Served

    def log_message(self, *words: object) -> None: ...

    def do_GET(self) -> None:
        self.served.asked.append(f'{self.command} {self.path}')
        self.answer(unquote(self.path.partition('?')[0]))

    do_HEAD = do_GET

    def answer(self, path: str) -> None:
        if path in self.served.redirects:
            return self.send(302, b'', Location=self.served.redirects[path])
        body = self.served.files.get(path)
        return self.send(404, b'no') if body is None else self.send(200, body)

    def send(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        told = {'Content-Length': str(len(body)), 'Content-Type': 'application/octet-stream'}
        if self.served.longer and self.command == 'GET' and code == 200:
            del told['Content-Length']
            told['Transfer-Encoding'] = 'chunked'
            body = b''.join(
                b'%x\r\n%b\r\n' % (len(each), each) for each in (body, self.served.longer, b'')
            )
        for name, value in {**told, **headers, **self.served.headers}.items():
            if value is not None:
                self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(body[: self.served.cut])
        # else it is kept for the next file
        self.close_connection |= self.served.cut is not None


class _Hub(_Files):
    """Answers about one repository with one commit."""

    def answer(self, path: str) -> None:
        if path.startswith(('/api/models/org/name/tree', '/api/models/org/name/revision')):
            listed = [
                {'type': 'file', 'path': name, 'rfilename': name, 'size': len(body), 'oid': '0'}
                for name, body in self.served.files.items()
            ]
            whole = {'id': 'org/name', 'sha': COMMIT, 'siblings': listed}
            return self.send(200, dumps(listed if '/tree/' in path else whole).encode())
        repository, _, rest = path.lstrip('/').partition('/resolve/')
        revision, _, name = rest.partition('/')
        if repository != 'org/name':
            return self.send(401, b'', X_Error_Code='RepoNotFound')
        if revision not in ('main', 'v1', COMMIT):
            return self.send(404, b'', X_Error_Code='RevisionNotFound')
        body = self.served.files.get(name)
        if body is None:
            return self.send(404, b'', X_Error_Code='EntryNotFound', X_Repo_Commit=COMMIT)
        # large files are called by their SHA-256, small ones by what git calls them
        blob = sha1(b'blob %d\0' % len(body) + body).hexdigest()
        tag = blob if name.endswith('.json') else sha256(body).hexdigest()
        return self.send(200, body, ETag=f'"{tag}"', X_Repo_Commit=COMMIT)


class _Server(ThreadingHTTPServer):
    """Says nothing about connections that a client has closed."""

    def handle_error(self, request: object, client_address: object) -> None: ...


@contextmanager
def serve(*, hub: bool = False) -> Iterator[Served]:
    """Serve files until the block ends."""
    served = Served()
    handler = type('Handler', (_Hub if hub else _Files,), {'served': served})
    with _Server(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        served.port = server.server_address[1]
        yield served
        server.shutdown()
        thread.join()
