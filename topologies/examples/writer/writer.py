"""Writes one thing after the other in four threads, to what TARGET names, and tells how each went:
a line of JSON, with the ID of every write that was acknowledged."""

import http.client
import json
import os
import socket
import threading
import time
from urllib.parse import urlsplit

TARGET = urlsplit(os.environ["TARGET"])
THREADS, PATIENCE_S, REST_S = 4, 1.0, 0.05
BEGAN = f"{time.time_ns():x}"  # IDs of another start are others
speaking = threading.Lock()


def write_by_http(name):
    """An item, as the API of the example takes it."""
    connection = http.client.HTTPConnection(TARGET.hostname, TARGET.port or 80, timeout=PATIENCE_S)
    try:
        connection.request("POST", TARGET.path, name)
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status == 201 else f"status {status}"


def write_to_redis(name):
    """A key."""
    where = TARGET.hostname, TARGET.port or 6379
    with socket.create_connection(where, timeout=PATIENCE_S) as connection:
        connection.sendall(f"SET {name} 1\r\n".encode())
        answer = connection.recv(100).decode().strip()
    return "" if answer == "+OK" else answer or "closed"


def tell(**told):
    with speaking:
        print(json.dumps(told), flush=True)  # noqa: T201


def write_all(thread, write):
    n = 0
    while True:
        name, n = f"{BEGAN}-{thread}-{n}", n + 1
        began = time.monotonic()
        try:
            error = write(name)
        except OSError as failure:
            error = str(failure) or type(failure).__name__
        ms = round((time.monotonic() - began) * 1000, 1)
        if error:
            tell(ok=False, error=error, ms=ms)
        else:
            tell(wrote=name, ok=True, ms=ms)
        time.sleep(REST_S)


write = {"http": write_by_http, "redis": write_to_redis}[TARGET.scheme]
for thread in range(THREADS):
    threading.Thread(target=write_all, args=(thread, write)).start()
