"""The page of one run: its sections, and the pictures in them."""
