"""annotation-budget: decides which pairs of LLM responses are worth a human's label."""

from importlib.metadata import version

__version__ = version("annotation-budget")
