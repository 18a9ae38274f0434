"""Tables of a run: columns, their meaning, the writer, parts that are still being written."""
