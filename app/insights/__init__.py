"""Figures: progress, agreement, the label-efficiency curve, live events and metrics."""
