"""What pages consist of: blocks and their templates, pictures, tables, the time axis of a run."""
