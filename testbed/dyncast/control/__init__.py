"""Control modes (distributed, centralized, hybrid): the role of a D-Router in each."""
