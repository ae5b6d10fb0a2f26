"""A store that speaks as much of S3 as GDAL and obstore need, on loopback and in memory."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest


@dataclass
class Store:
    """What is stored, and what goes wrong."""

    objects: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)
    forbidden: bool = False
    """Whether everything is refused."""

    left: float = float('inf')
    """Bytes that are taken before every connection breaks."""

    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    store: Store

    def log_message(self, format: str, *args: object) -> None: ...

    def answer(self, status: int, body: bytes = b'', /, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        if 'Content_Length' not in headers:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        key = 'AKIDSECRET'
        self.answer(
            status,
            f'<Error><Code>{code}</Code><AWSAccessKeyId>{key}</AWSAccessKeyId></Error>'.encode(),
        )

    def handle_any(self) -> None:
        store = self.store
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(int(min(length, max(store.left, 0))))
        store.left -= length
        if store.left < 0:
            self.close_connection = True
            return
        store.hosts.add(self.headers['Host'])
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = unquote(url.path).lstrip('/').partition('/')
        if store.forbidden:
            return self.refuse(403, 'AccessDenied')
        if bucket != 'bucket':
            return self.refuse(404, 'NoSuchBucket')
        if not key:
            return self.list_all(query)
        getattr(self, f'{self.command.lower()}_object')(key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def list_all(self, query: dict[str, list[str]]) -> None:
        prefix = query.get('prefix', [''])[0]
        flat = 'delimiter' not in query
        found = ''.join(
            f'<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>"x"</ETag>'
            '<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>'
            for key, body in sorted(self.store.objects.items())
            if key.startswith(prefix) and (flat or '/' not in key.removeprefix(prefix))
        )
        text = (
            f'<ListBucketResult><Name>bucket</Name><Prefix>{escape(prefix)}</Prefix>'
            f'<IsTruncated>false</IsTruncated>{found}</ListBucketResult>'
        )
        self.answer(200, text.encode(), Content_Type='application/xml')

    def get_object(self, key: str, query: object, body: bytes) -> None:
        content = self.store.objects.get(key)
        if content is None:
            return self.refuse(404, 'NoSuchKey')
        facts = {
            'ETag': f'"{md5(content).hexdigest()}"', 'Accept_Ranges': 'bytes',
            'Last_Modified': 'Thu, 01 Jan 2026 00:00:00 GMT', **self.store.metadata[key],
        }  # fmt: skip
        if self.command == 'HEAD':
            return self.answer(200, b'', Content_Length=str(len(content)), **facts)
        if match := re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range') or ''):
            start, stop = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
            facts['Content_Range'] = f'bytes {start}-{stop}/{len(content)}'
            return self.answer(206, content[start : stop + 1], **facts)
        self.answer(200, content, **facts)

    head_object = get_object

    def put_object(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        if 'uploadId' in query:
            self.store.uploads[query['uploadId'][0]][int(query['partNumber'][0])] = body
            return self.answer(200, ETag='"part"')
        self.keep(key, body)

    def keep(self, key: str, body: bytes, answer: bytes = b'') -> None:
        metadata = {n: v for n, v in self.headers.items() if n.lower().startswith('x-amz-meta-')}
        self.store.metadata.setdefault(key, {})
        if metadata or not answer:
            self.store.metadata[key] = metadata
        self.store.objects[key] = body
        self.store.writes.append(key)
        self.answer(200, answer, ETag='"new"')

    def post_object(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        if 'uploads' in query:
            self.store.uploads[key] = {}
            self.store.metadata[key] = {
                n: v for n, v in self.headers.items() if n.lower().startswith('x-amz-meta-')
            }
            text = f'<R><UploadId>{escape(key)}</UploadId></R>'
            return self.answer(200, text.encode())
        parts = self.store.uploads.pop(query['uploadId'][0])
        self.keep(key, b''.join(parts[n] for n in sorted(parts)), b'<R><ETag>"new"</ETag></R>')

    def delete_object(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        if 'uploadId' in query:
            self.store.uploads.pop(query['uploadId'][0], None)
        else:
            self.store.objects.pop(key, None)
        self.answer(204)


class _Server(ThreadingHTTPServer):
    """Says nothing about connections that a client has closed."""

    def handle_error(self, request: object, client_address: object) -> None: ...


@contextmanager
def serve_objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Serve an empty bucket called 'bucket'; GDAL and obstore find it by the environment."""
    store = Store()
    handler = type('Handler', (_Handler,), {'store': store})
    with _Server(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        store.port = server.server_address[1]
        point_at(monkeypatch, store.port)
        yield store
        server.shutdown()
        thread.join()


def point_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Set what GDAL needs for a store on loopback, and nothing else."""
    for name in ('AWS_ENDPOINT_URL', 'AWS_PROFILE', 'AWS_REGION', 'AWS_CA_BUNDLE', 'HTTP_PROXY'):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        'AWS_S3_ENDPOINT': f'127.0.0.1:{port}', 'AWS_HTTPS': 'NO', 'AWS_VIRTUAL_HOSTING': 'NO',
        'AWS_ACCESS_KEY_ID': 'testing', 'AWS_SECRET_ACCESS_KEY': 'VERYSECRET',
        'AWS_DEFAULT_REGION': 'us-east-1',
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
