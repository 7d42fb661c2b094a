"""A benchmark of ever more streams that lets the frames of a level go, but never collects them."""
