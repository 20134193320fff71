"""annotation-budget: decides which pairs of LLM responses are worth a human's label."""

__distribution__ = "annotation-budget"
