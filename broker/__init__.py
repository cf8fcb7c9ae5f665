"""Ayuda's session broker."""
