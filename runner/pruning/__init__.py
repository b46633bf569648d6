"""What may be removed of a flow, who still needs it, and how it goes without a lie in between."""
