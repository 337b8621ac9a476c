"""The edge's companion: tells what HAProxy thinks, keeps the UDP path on healthy servers, drains."""
