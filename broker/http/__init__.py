"""The broker's HTTP side: pages, JSON API, signalling."""
