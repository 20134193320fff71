"""The commands that run the service: `serve`, its parts apart, `migrate` and `key`."""
