"""Reports of recordings: what grew, how sure that is, and why; as text, Markdown and JSON."""
