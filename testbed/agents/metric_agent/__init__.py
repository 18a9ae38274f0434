"""The metric agent (D-MA) as a process: polls the instances of a site and sends reports."""
