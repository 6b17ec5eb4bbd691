"""Who may hold a secret, and how it is kept."""
