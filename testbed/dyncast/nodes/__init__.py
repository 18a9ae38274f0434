"""The Dyncast nodes, the door of the core: D-Router, CFN Dispatcher, DNS steering, and their organs."""
