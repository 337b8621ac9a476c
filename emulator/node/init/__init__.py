"""PID 1 of every host: starts daemons, kills them when told, reaps, restarts none."""
