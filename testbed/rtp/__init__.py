"""RTP and RTCP: header, reports, receiver statistics. Pure."""
