"""Named secrets: their values, what is hidden of them, and what must not travel."""
