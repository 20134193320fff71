"""What runs: the supervisor and its parts, the API's socket, and the HTTP server."""
