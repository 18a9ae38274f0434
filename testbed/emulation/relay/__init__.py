"""The relay process: impairs packets between TAP devices where the kernel has no netem."""
