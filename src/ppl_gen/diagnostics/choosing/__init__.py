"""Which model, and of what size? Criteria, ladders and codes."""
