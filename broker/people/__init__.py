"""Who the technicians are and how they sign in."""
