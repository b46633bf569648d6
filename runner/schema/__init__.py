"""The stored documents: their fields, and what a reader checks of them before it believes one."""
