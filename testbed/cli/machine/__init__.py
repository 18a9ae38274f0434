"""Commands about this machine: doctor, calibrate, clean; and those that judge the testbed on it: test, bench."""
