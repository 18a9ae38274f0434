"""What benchmarks measure with: networks, packets by the thousand, frames stamped where they leave and arrive."""
