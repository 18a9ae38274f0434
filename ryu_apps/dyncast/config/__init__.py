"""Configuration of a Dyncast node's control process, key by key (docs/processes.md). Pure."""
