"""Gathers what a diagnosis goes by: what was watched, what was looked at, what is around it."""
