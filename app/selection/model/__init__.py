"""The preference model: a Bayesian Bradley–Terry head on features of prompt and response."""
