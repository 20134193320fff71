"""What every request passes: problems, strict JSON, paging, health, middleware, rate limits."""
