"""A user's server: gRPC on 50051, whose one method names the server that answers and whose stream
does so every 100 ms, or after a silence; a WebSocket on 8765 that gives back what it gets."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import websockets

NAME = os.environ["NETEMU_HOST"].encode()


def unary(request, context):
    return NAME + b" " + request


def stream(request, context):
    """Silent for as many seconds as asked for, then on and on."""
    yield NAME
    time.sleep(float(request))
    while context.is_active():
        yield NAME
        time.sleep(0.1)


def serve_rpc():
    server = grpc.server(ThreadPoolExecutor(16))
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("lab.Echo", methods)])
    server.add_insecure_port("0.0.0.0:50051")
    server.start()
    return server


async def echo(socket):
    async for message in socket:
        await socket.send(f"{NAME.decode()} {message}")


async def serve_socket():
    async with websockets.serve(echo, "0.0.0.0", 8765):
        await asyncio.Future()


kept = serve_rpc()
asyncio.run(serve_socket())
