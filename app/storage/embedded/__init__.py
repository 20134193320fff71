"""The embedded PostgreSQL.

``postgres`` starts and stops the server; ``guard`` is a small process that keeps the server from
outliving the service. ``folder`` knows the data folder, ``cluster`` the database's files,
``binaries`` where PostgreSQL is installed, and ``user`` whom it runs as.
"""
