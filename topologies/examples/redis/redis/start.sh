# The server that PRIMARY names is one, every other one copies it and follows. Each write is in the
# append-only file before it is acknowledged, so that it survives a loss of power here.
set -eu
if [ "$NETEMU_SERVICE-1.$NETEMU_REGION" != "$PRIMARY" ]; then
    set -- --replicaof "$PRIMARY" 6379
fi
exec redis-server --protected-mode no --repl-diskless-sync-delay 0 --save '' --appendonly yes --appendfsync always "$@"
