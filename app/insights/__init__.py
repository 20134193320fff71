"""Figures: progress, agreement, live events, and what an operator's Prometheus scrapes."""
