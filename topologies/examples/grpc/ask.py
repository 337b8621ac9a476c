"""A user's client: one story a run, told in lines of JSON on stdout."""

import asyncio
import json
import sys
import time

import grpc
import websockets

RPC, SOCKET = "rpc.shop.test:80", "ws://ws.shop.test/"


def say(**said):
    sys.stdout.write(json.dumps({"t": time.monotonic_ns(), **said}) + "\n")
    sys.stdout.flush()


def unary():
    """Calls on one channel, ten a second."""
    with grpc.insecure_channel(RPC) as channel:
        call = channel.unary_unary("/lab.Echo/Unary")
        for _ in range(int(sys.argv[2])):
            try:
                say(answer=call(b"hello", timeout=2).decode())
            except grpc.RpcError as error:
                say(error=error.code().name)
            time.sleep(0.1)


def stream():
    """One stream, with a silence at its beginning, until it breaks; then one call on the same
    channel."""
    with grpc.insecure_channel(RPC) as channel:
        try:
            for item in channel.unary_stream("/lab.Echo/Stream")(sys.argv[2].encode()):
                say(item=item.decode())
        except grpc.RpcError as error:
            say(error=error.code().name)
        again = channel.unary_unary("/lab.Echo/Unary")(b"again", timeout=2, wait_for_ready=True)
        say(again=again.decode())


async def socket():
    """Says a word, is silent, says another, and so on until it is closed; then a new one."""
    async with websockets.connect(SOCKET, ping_interval=None) as connection:
        try:
            while True:
                await connection.send("hello")
                say(answer=await connection.recv())
                await asyncio.sleep(float(sys.argv[2]))
        except websockets.ConnectionClosed as closed:
            say(closed=closed.rcvd.code if closed.rcvd else 1006)
    async with websockets.connect(SOCKET) as connection:
        await connection.send("again")
        say(again=await connection.recv())


if sys.argv[1] == "socket":
    asyncio.run(socket())
else:
    {"unary": unary, "stream": stream}[sys.argv[1]]()
