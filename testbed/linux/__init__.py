"""What Linux offers a process: timerfd, CPU priority, packet timestamps, port counters, OVS conntrack."""
