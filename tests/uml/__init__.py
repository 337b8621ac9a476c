"""A kernel with netem where the machine's own has none: User-mode Linux, an ordinary process.

    python -m tests.uml [PYTEST ARGUMENTS]    boots it, runs pytest in it, ends with its exit code

Debian's package `user-mode-linux` has the kernel and its modules. The root file system is the
machine's own, read-only, so that what runs inside is this very checkout and its environment.
"""
