"""OpenFlow apps: a thin shim between the switch and the pure `testbed.dyncast.DRouter`.

`launcher` starts an app, `openflow` serves every app, `dyncast` is one. The only package that builds OpenFlow.
Runs on os-ken and, where that is absent, on stock Ryu 4.34.
"""
