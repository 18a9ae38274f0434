"""Each system's part of an experiment, one folder per system; `testbed.systems` lists them."""
