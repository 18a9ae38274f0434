"""Networks from elsewhere, one file per source."""
