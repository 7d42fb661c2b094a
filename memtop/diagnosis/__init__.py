"""Why memory grows, and what to do about it: from evidence to ranked causes; pure."""
