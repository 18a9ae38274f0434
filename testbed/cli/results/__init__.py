"""Commands that read the files of finished runs: report, compare, check."""
