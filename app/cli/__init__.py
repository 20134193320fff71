"""The command line: a folder for each family of commands.

A family's ``commands.py`` declares its commands and their options. It imports the rest of the
family, and everything outside ``app.cli``, only when a command runs. So `--help` is instant, the
API's process never loads what the embedder or the planner needs, and ``installation`` is checked
before any other file of ours is trusted.
"""
