"""Connections that programs outside of the lab make from one of its hosts: SOCKS5 and HTTP."""
