"""The terminal: streams that nothing can break, and a console that shows what it is given and interprets none of it."""
