"""An ingest service: its queues are bounded, and what it frees is trapped between headers."""
