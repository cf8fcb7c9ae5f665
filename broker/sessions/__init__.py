"""Who may be with whom, and do what."""
