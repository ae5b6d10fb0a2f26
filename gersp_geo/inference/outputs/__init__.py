"""What becomes of scores: maps, objects, patches."""
