"""The built-in server of a service: HTTP by uvicorn, TCP echo and UDP echo on port 7 (RFC 862)."""
