"""Figures: progress, agreement, the curve, live events, and what a Prometheus scrapes."""
