"""The web pages: files that the broker serves, no Python."""
