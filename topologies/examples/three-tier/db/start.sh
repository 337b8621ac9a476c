# The server that PRIMARY names begins a database, every other one copies it and follows. With
# COMMIT=sync the primary acknowledges nothing that a follower has not written as well.
set -eu
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
followers=
if [ "$NETEMU_SERVICE-1.$NETEMU_REGION ${COMMIT:-async}" = "$PRIMARY sync" ]; then
    followers='*'
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ "$NETEMU_SERVICE-1.$NETEMU_REGION" = "$PRIMARY" ]; then
        initdb --username=postgres --auth=trust --locale=C.UTF-8 --no-sync
        printf 'host all all all trust\nhost replication all all trust\n' >> "$PGDATA/pg_hba.conf"
        echo "CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL)" \
            | postgres --single -j postgres >/dev/null
    else
        until pg_basebackup -h "$PRIMARY" -U postgres -D "$PGDATA" -R --checkpoint=fast; do
            rm -rf "$PGDATA"
            sleep 0.2
        done
    fi
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp \
    -c synchronous_standby_names="$followers"
