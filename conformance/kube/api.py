# SPDX-License-Identifier: Apache-2.0
"""A small client of the Kubernetes API: JSON over HTTPS with a client certificate.

Every thread has a connection of its own. A read is sent again after a lost connection; a write is
not: it raises Unsure, for it may or may not have happened.
"""

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse


class ApiError(Exception):
    """The API server answered, and the answer is an error."""

    def __init__(self, call, code, status):
        self.code = code
        self.reason = status.get("reason", "") if isinstance(status, dict) else ""
        message = status.get("message", status) if isinstance(status, dict) else status
        super().__init__(f"{call}: {code} {self.reason}: {str(message)[:300]}")


class Unsure(Exception):
    """A write of which nobody knows whether it happened: no answer, or a server error."""


class Api:
    def __init__(self, port, certificates, user):
        self.port = port
        self._tls = ssl.create_default_context(cafile=f"{certificates}/ca.crt")
        self._tls.load_cert_chain(f"{certificates}/{user}.crt", f"{certificates}/{user}.key")
        self._local = threading.local()

    def connect(self, timeout_s):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s,
                                           context=self._tls)

    def call(self, method, path, body=None, content="application/json", accept="application/json",
             timeout_s=40):
        """One request: the answer, decoded. Raises ApiError, or OSError when there is no answer."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect(timeout_s)
        headers = {"Accept": accept}
        data = None
        if body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = content
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._local.connection = None
            raise OSError(f"{method} {path}: {error or type(error).__name__}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text.decode(errors="replace")
        if response.status >= 400:
            raise ApiError(f"{method} {path}", response.status, answer)
        return answer

    def get(self, path, accept="application/json", patience_s=90):
        """A read; while the store is away it is tried again, for patience_s at most."""
        until = time.monotonic() + patience_s
        while True:
            try:
                return self.call("GET", path, accept=accept)
            except (OSError, ApiError) as error:
                passing = not isinstance(error, ApiError) or error.code in (429, 500, 503, 504)
                if not passing or time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def write(self, method, path, body=None, content="application/json"):
        """A write, sent once. Raises Unsure where its outcome is unknown."""
        try:
            return self.call(method, path, body, content)
        except OSError as error:
            raise Unsure(str(error)) from error
        except ApiError as error:
            if error.code >= 500 or error.code == 429:
                raise Unsure(str(error)) from error
            raise

    def find(self, path):
        """The object, or None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def exists(self, path):
        return self.find(path) is not None

    def pages(self, path, limit):
        """The pages of a list."""
        token = ""
        while True:
            query = urllib.parse.urlencode({"limit": limit, "continue": token})
            page = self.get(f"{path}?{query}")
            yield page
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def watch(self, path, version):
        """A stream of the events after version."""
        return Watch(self.connect(None), path, version)


class Watch:
    """Iterates over events until the server ends the stream; close() may come from any thread."""

    def __init__(self, connection, path, version):
        self._connection = connection
        query = urllib.parse.urlencode({"watch": 1, "resourceVersion": version,
                                        "timeoutSeconds": 3600})
        try:
            connection.request("GET", f"{path}?{query}", headers={"Accept": "application/json"})
            self._response = connection.getresponse()
            if self._response.status >= 400:
                raise ApiError(f"watch {path}", self._response.status,
                               json.loads(self._response.read()))
        except http.client.HTTPException as error:
            connection.close()
            raise OSError(f"watch {path}: {error}") from error
        except BaseException:
            connection.close()
            raise
        # The response may take the connection's socket over: kept here for close().
        self._socket = connection.sock or self._response.fp.raw._sock

    def __iter__(self):
        """One JSON object a line. Raises OSError when the stream breaks."""
        pending = b""
        while True:
            try:
                piece = self._response.read1(1 << 20)
            except http.client.HTTPException as error:
                raise OSError(f"watch: {error}") from error
            if not piece:
                return
            pending += piece
            *whole, pending = pending.split(b"\n")
            for line in whole:
                if line:
                    yield json.loads(line)

    def close(self):
        """Ends the iteration. Past TLS, whose own shutdown is not for two threads."""
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass
