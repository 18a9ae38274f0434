"""Commands that carry out experiments: demo, run, sweep; and validate, which only says what a run would build."""
