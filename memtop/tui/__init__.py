"""The screen: Textual widgets over the values that model and render make."""
