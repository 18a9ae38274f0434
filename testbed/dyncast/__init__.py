"""The Dyncast roles as pure logic: no clock, socket, log or global randomness.

`now_s` and random generators come in, actions go out. The controller, the agents, a simulator and the
tests drive the same objects. Vocabulary: draft-li-rtgwg-dyncast-architecture and
draft-li-rtgwg-cfn-dyncast-architecture.
"""
