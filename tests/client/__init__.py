"""The load generator of a city, against local servers over real sockets."""
