"""netemu: a true small model of a multi-region service, and what a failover does to it."""

__version__ = "0.1.0"
