"""Pages for annotators and engineers. They hold no rules: they show what the rooms below answer."""
