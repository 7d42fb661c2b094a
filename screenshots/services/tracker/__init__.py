"""A tracking service whose pool worker keeps what its threads have freed."""
