"""The commands `import` and `export`: files in and out of a running service, over HTTP."""
