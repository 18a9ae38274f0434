"""Selection of an instance or a site: views of the candidates, session model."""
