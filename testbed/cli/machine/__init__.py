"""Commands about this machine: doctor, calibrate, clean; and those that assess the testbed on it: test, bench."""
