"""Unit tests: no root, no network, a folder per room of the product."""
