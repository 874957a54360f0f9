"""How far generated frames are from real ones."""
