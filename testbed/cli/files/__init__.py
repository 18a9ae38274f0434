"""Commands about the files that one writes: topology (the catalogue of networks), schema."""
