"""The name server as a process: answers by zone, and selects instances under the policy dns_ttl."""
