"""The information resource directory (IRD): which resources there are, where, and what each can do."""
