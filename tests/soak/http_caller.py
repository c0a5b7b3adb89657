"""One caller over HTTP/1.1, with its connection: just enough to see every byte and every way in which an answer ends."""

import asyncio
import json


class Broken(Exception):
    """An answer that is none: it ended before its end, or is no HTTP."""


class Caller:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.host, self.port = host, int(port)
        self.reader = self.writer = None

    def close(self):
        if self.writer:
            # At once, as a caller that goes away does.
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def get(self, path):
        answer = await self.request("GET", path, b"", {})
        self.close()
        return answer

    async def post(self, path, body, headers):
        headers = {"content-type": "application/json", **headers}
        return await self.request("POST", path, json.dumps(body).encode(), headers)

    async def request(self, method, path, body, headers):
        """Gives (status, headers, text)."""
        try:
            return await self._request(method, path, body, headers)
        except (OSError, asyncio.IncompleteReadError, ValueError) as fault:
            raise Broken(f"{type(fault).__name__}: {fault}") from fault

    async def _request(self, method, path, body, headers):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split(" ")[1])
        got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if "chunked" in got.get("transfer-encoding", ""):
            text = await self._chunks()
        else:
            text = await self.reader.readexactly(int(got["content-length"]))
        if got.get("connection") == "close":
            self.close()
        return status, got, text.decode()

    async def _chunks(self):
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)
