"""Rare classes shown more often: which image comes next, and what is pasted into it."""
