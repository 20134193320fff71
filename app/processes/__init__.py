"""What runs: the supervisor, its parts, the sockets they listen on, and the HTTP server."""
