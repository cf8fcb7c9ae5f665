"""Schema changes, oldest first; run by `broker.database` when it opens."""
