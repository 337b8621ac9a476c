"""The edge's companion: tells what HAProxy thinks, points UDP at healthy servers, drains."""
