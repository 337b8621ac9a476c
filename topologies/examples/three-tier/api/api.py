"""Items in PostgreSQL. Reads are answered from the region's own database, writes go to the primary:
that one if it was promoted, else the one that PRIMARY names."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

PRIMARY = os.environ["PRIMARY"]


def connect(host):
    return psycopg2.connect(
        host=host, user="postgres", connect_timeout=1, options="-c statement_timeout=2000"
    )


def ask(host, statement, values=()):
    connection = connect(host)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def is_primary(host):
    return ask(host, "SELECT NOT pg_is_in_recovery()") == [(True,)]


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self.attempt(lambda: ask("db", "SELECT count(*) FROM items") and {})
        elif self.path == "/items":
            self.attempt(lambda: {"items": ask("db", "SELECT count(*) FROM items")[0][0]})
        else:
            self.answer(404, {"error": "no such thing"})

    def do_POST(self):
        name = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

        def write():
            where = "db" if is_primary("db") else PRIMARY
            ask(where, "INSERT INTO items (name) VALUES (%s)", (name,))
            return {"written": name}

        self.attempt(write, 201)

    def attempt(self, do, good=200):
        try:
            self.answer(good, do())
        except psycopg2.Error as error:
            self.answer(503, {"error": str(error).strip()})

    def answer(self, status, body):
        data = json.dumps({**body, "server": os.environ["NETEMU_HOST"]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code="-", size="-"):
        if str(code) >= "400" and self.path != "/healthz":
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a peer that left is no news
            super().handle_error(request, client_address)


print("serving on 8080")  # noqa: T201
Server(("", 8080), Api).serve_forever()
