"""Files and rows shared by the processes around the Dyncast core: keys, shared state, decision rows."""
