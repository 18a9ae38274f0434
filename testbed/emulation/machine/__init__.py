"""Capabilities of the machine: doctor, self-test, packets that the host drops."""
