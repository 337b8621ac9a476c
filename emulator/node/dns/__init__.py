"""The authoritative name server of a lab: health-checked, latency-routed answers.

Pure core (`zone`, `policy`, `health`, `routing`, `wire`, `message`), thin shell (`checker`,
`server`, `__main__`). One process, one thread: an answer sees the routing either before or after
a switch, never half of it.
"""
